"""What a run leaves to look at, and the live line."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.training import events, loop, progress
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from ms_pixelcnn_tf.training.progress import Progress
from support.runs import TinySource, tiny_run

TERMS = ("base", "2to4/group2", "2to4/group3", "2to4/group4")


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A run's folder, and what TensorBoard finds there: tag → {step: value}."""
    workdir = tmp_path_factory.mktemp("run")
    loop.train(tiny_run(sample_every=3), workdir, TinySource())
    found = {}
    for step, tag, value in events.values(workdir / TENSORBOARD):
        found.setdefault(tag, {})[step] = tf.make_ndarray(value.tensor)
    return workdir, found


@pytest.mark.slow
def test_tensorboard_has_every_scalar_at_its_steps(logged):
    workdir, found = logged
    for name in (
        "bits",
        "learning_rate",
        "gradient_norm",
        "images_per_second",
        *(f"terms/{term}" for term in TERMS),
    ):
        assert sorted(found[f"train/{name}"]) == [2, 4, 6], name
        assert all(np.isfinite(value) for value in found[f"train/{name}"].values())
    for line in read_metrics(workdir):
        step = line["step"]
        assert found["validation/bits"][step] == pytest.approx(line["validation_bits"])
        for term in TERMS:
            logged_bits = found[f"validation/terms/{term}"][step]
            assert logged_bits == pytest.approx(line["validation_terms"][term])
    assert sorted(found["validation/bits"]) == [3, 6]


def test_tensorboard_shows_samples(logged):
    _, found = logged
    assert sorted(found["samples"]) == [3, 6]
    width, height, png = found["samples"][6][:3]
    picture = tf.image.decode_png(png).numpy()
    assert picture.shape[:2] == (int(height), int(width))
    assert picture.std() > 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_live_line():
    stream = Terminal()
    with Progress(0, 4, stream) as line:
        for step in range(1, 5):
            line.update(step, 2.0)
        line.say("step 4: validation")
    shown = stream.getvalue()
    assert re.search(r"step 4/4 .*steps/s.*2\.000 bits/sub-pixel, 00:00 left", shown)
    assert "step 4: validation\n" in shown


def test_a_file_gets_lines_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(10, 100, stream) as line:
        for step in range(11, 101):
            now[0] += 1.0
            line.update(step, 3.0)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "step 40/100, 1.00 steps/s, 3.000 bits/sub-pixel, 01:00 left",
        "step 70/100, 1.00 steps/s, 3.000 bits/sub-pixel, 00:30 left",
        "step 100/100, 1.00 steps/s, 3.000 bits/sub-pixel, 00:00 left",
    ]
