"""What TensorBoard's own server and pages show of runs."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

import browser
from ms_pixelcnn_tf.training import loop
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from processes import free_ports
from tiny import TinySource, tiny_run
from tiny_video import TinyFilm, tiny_video_run

SECONDS = 20  # of the page's own time


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
            [sys.executable, "-m", "tensorboard.main", f"--logdir={root}", f"--port={port}",
             "--host=127.0.0.1", "--load_fast=false"], stdout=log, stderr=log,
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


def get(address, path, **query):
    """What the server answers, JSON."""
    url = f"{address}/data/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    with urllib.request.urlopen(url, timeout=30) as reply:
        content = reply.read()
    return json.loads(content)


def test_the_server_has_all_kinds(server):
    runs = get(server, "runs")
    assert sorted(runs) == [f"{name}/{TENSORBOARD}" for name in ("film", "rate-0.001", "rate-0.01")]
    scalars, images, histograms = (
        get(server, f"plugin/{kind}/tags") for kind in ("scalars", "images", "histograms")
    )
    for run in runs:
        assert {"train/bits", "train/gradient_norm", "validation/bits", "validation/nats"} <= set(scalars[run])
        pictures = {"samples"} if "film" in run else {"samples", "trajectories"}
        assert pictures == set(images[run])
        assert set(histograms[run]) == {"levels/sampled", "levels/real"}
        assert any(tag.startswith("validation/terms/") for tag in scalars[run])


@pytest.mark.parametrize("run, tag", [("rate-0.01", "samples"), ("rate-0.01", "trajectories"), ("film", "samples")])
def test_pictures_are_not_blank(server, run, tag):
    run = f"{run}/{TENSORBOARD}"
    last = get(server, "plugin/images/images", run=run, tag=tag, sample=0)[-1]
    with urllib.request.urlopen(f"{server}/data/plugin/images/individualImage?{last['query']}") as reply:
        picture = tf.image.decode_image(reply.read()).numpy()
    assert picture.std() > 10 and len(np.unique(picture)) >= 2


def test_the_graph_is_of_the_likelihood(server):
    url = f"{server}/data/plugin/graphs/graph?" + urllib.parse.urlencode(
        {"run": f"rate-0.01/{TENSORBOARD}", "conceptual": "false", "large_attrs_key": "_large_attrs"}
    )
    with urllib.request.urlopen(url) as reply:
        graph = reply.read().decode()
    assert "images" in graph and "Conv2D" in graph


@browser.needed
def test_the_page_shows_curves_and_pictures(server):
    shown = browser.text(f"{server}/#timeseries", SECONDS)
    for tag in ("train/bits", "samples", "trajectories", "levels/sampled", "rate-0.001"):
        assert tag in shown, tag
    picture = browser.screenshot(f"{server}/#timeseries", (1400, 1400), SECONDS)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


@browser.needed
def test_a_sweep_is_a_table(server):
    """HParams: what the runs differ in, beside what they reached."""
    shown = browser.text(f"{server}/#hparams", SECONDS)
    for word in ("learning_rate", "rate-0.01", "rate-0.001"):
        assert word in shown, word
