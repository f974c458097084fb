"""What TensorBoard's own server and pages show of runs."""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.training import loop
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from support import browser
from support.commands import free_ports
from support.runs import TinyFilm, TinySource, tiny_run, tiny_video_run

pytestmark = pytest.mark.slow

SECONDS = 40  # of the page's own time


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a TensorBoard that looks at two image runs of a sweep, and one of videos."""
    root = tmp_path_factory.mktemp("runs")
    for rate in (0.01, 0.001):
        run = tiny_run(sample_every=6, learning_rate=rate, final_learning_rate=0.0001, channels=1)
        loop.train(run, root / f"rate-{rate}", TinySource())
    loop.train(tiny_video_run("OTN", sample_every=4), root / "film", TinyFilm())
    (port,) = free_ports(1)
    with open(root / "log", "wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tensorboard.main",
                f"--logdir={root}",
                f"--port={port}",
                "--host=127.0.0.1",
                "--load_fast=false",
            ],
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError, ValueError):
                if len(get(address, "runs")) == 3:
                    break
            assert process.poll() is None, (root / "log").read_text()
            time.sleep(0.5)
        yield address
    finally:
        process.kill()
        process.wait()


def get(address, path, sent=None, **query):
    """What the server answers, JSON; `sent`, if any, is sent as JSON."""
    url = f"{address}/data/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    request = urllib.request.Request(
        url, json.dumps(sent).encode() if sent else None, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        content = reply.read()
    return json.loads(content)


def test_the_server_has_all_kinds(server):
    runs = get(server, "runs")
    assert sorted(runs) == [f"{name}/{TENSORBOARD}" for name in ("film", "rate-0.001", "rate-0.01")]
    scalars, images, histograms = (
        get(server, f"plugin/{kind}/tags") for kind in ("scalars", "images", "histograms")
    )
    for run in runs:
        assert {"train/bits", "train/gradient_norm", "validation/bits", "validation/nats"} <= set(
            scalars[run]
        )
        pictures = {"samples"} if "film" in run else {"samples", "trajectories"}
        assert pictures == set(images[run])
        assert set(histograms[run]) == {"levels/sampled", "levels/real"}
        assert any(tag.startswith("validation/terms/") for tag in scalars[run])


@pytest.mark.parametrize(
    "run, tag", [("rate-0.01", "samples"), ("rate-0.01", "trajectories"), ("film", "samples")]
)
def test_pictures_are_not_blank(server, run, tag):
    run = f"{run}/{TENSORBOARD}"
    last = get(server, "plugin/images/images", run=run, tag=tag, sample=0)[-1]
    with urllib.request.urlopen(
        f"{server}/data/plugin/images/individualImage?{last['query']}"
    ) as reply:
        picture = tf.image.decode_image(reply.read()).numpy()
    assert picture.std() > 10 and len(np.unique(picture)) >= 2


def test_the_graph_is_of_the_likelihood(server):
    url = f"{server}/data/plugin/graphs/graph?" + urllib.parse.urlencode(
        {
            "run": f"rate-0.01/{TENSORBOARD}",
            "conceptual": "false",
            "large_attrs_key": "_large_attrs",
        }
    )
    with urllib.request.urlopen(url) as reply:
        graph = reply.read().decode()
    assert "images" in graph and "Conv2D" in graph


def test_a_sweep_is_compared_by_its_hyperparameters(server):
    """What the runs differ in, beside what they reached."""
    tag = {"tag": "validation/bits", "group": ""}
    found = get(
        server,
        "plugin/hparams/session_groups",
        {
            "startIndex": 0,
            "sliceSize": 10,
            "colParams": [{"metric": tag}],
            "allowedStatuses": [
                "STATUS_SUCCESS",
                "STATUS_RUNNING",
                "STATUS_UNKNOWN",
                "STATUS_FAILURE",
            ],
        },
    )["sessionGroups"]
    assert len(found) == 3
    rates = sorted(group["hparams"]["learning_rate"] for group in found)
    assert rates == [0.001, 0.01, 0.01] and {group["hparams"]["dataset"] for group in found} == {
        "shapes",
        "tiny_film",
    }
    assert all(np.isfinite(group["metricValues"][0]["value"]) for group in found)


@browser.needed
def test_the_pages_show_what_there_is(server):
    shown = browser.text(f"{server}/#timeseries", SECONDS)
    for word in ("levels/real", "levels/sampled", "samples", "trajectories", "train", "rate-0.001"):
        assert word in shown, word
    assert re.search(r'<img[^>]+src="[^"]*individualImage|<img[^>]+src="data/plugin/', shown)
    empty = browser.screenshot(f"{server}/#nothing", (1400, 1400), SECONDS)
    for page in ("timeseries", "hparams", "graphs"):
        picture = browser.screenshot(f"{server}/#{page}", (1400, 1400), SECONDS)
        assert (picture != empty).any(axis=-1).mean() > 0.01, page
