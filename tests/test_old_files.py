"""Runs, exports and `.keras` files of an earlier version load, to the bit.

`old/` was written by the version of 2026-11-30, two steps a run; `old/expected.json` has what that
version read of it: a hash of all weights, and log p of `examples`.
"""

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from ms_pixelcnn_tf.models import VideoPixelCNN
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from support.models import random_conditions, random_frames, random_levels, random_sequences
from support.runs import TinySource, tiny_run, train

OLD = Path(__file__).parent / "old"
NAMES = (
    "image",
    "conditional",
    "scales",
    "ON",
    "video",
    "OT",
    "OT_upscaler",
    "export/1",
    "conditional.keras",
    "video.keras",
)


def load(name):
    path = OLD / name
    return keras.saving.load_model(path) if path.suffix else Run(path).model()


def digest(model):
    """A hash of the weights' values, in the model's order."""
    found = hashlib.sha256()
    for variable in model.weights:  # not the states of seeds
        found.update(str(variable.shape).encode() + np.asarray(variable).tobytes())
    return found.hexdigest()


def examples(model):
    if isinstance(model, VideoPixelCNN):
        return random_frames(model, 3), random_sequences(model, 3)
    return random_levels(model, 3), random_conditions(model, 3)


def read(name):
    """What `expected.json` holds of a file."""
    model = load(name)
    log_prob = np.asarray(model.log_prob(*examples(model)), "float64")
    return {"weights": digest(model), "log_prob": log_prob.tolist()}


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_to_the_bit(name):
    expected, found = json.loads((OLD / "expected.json").read_text())[name], read(name)
    assert found["weights"] == expected["weights"]
    np.testing.assert_allclose(found["log_prob"], expected["log_prob"], rtol=1e-5)


def test_a_run_goes_on(tmp_path):
    shutil.copytree(OLD / "image", tmp_path / "image")
    fields = {"upscaler": "B", "output": "softmax", "num_classes": 3}
    run = tiny_run(**fields, steps=4, evaluate_every=2, checkpoint_every=2)
    train(run, tmp_path / "image", TinySource())
    assert [line["step"] for line in read_metrics(tmp_path / "image")] == [2, 4]
