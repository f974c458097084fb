"""The same models on a second backend: JAX says what TensorFlow says, and draws the same pixels."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from support.models import (
    PAPER_PAST,
    PAPER_PIXELS,
    random_conditions,
    random_frames,
    random_levels,
    random_model,
    random_sequences,
    random_uniforms,
    random_video_model,
    random_video_uniforms,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="JAX is not installed; the extra [jax] is"
    ),
]
SIZES = {"image_size": 8, "base_size": 4, "channels": 3, "num_levels": 16, "dtype": "float64"}
CONDITIONS = {"num_classes": 3, "text": True, "num_segments": 2, "joint_features": 4}
PAPER = {
    "condition_join": "depth",
    "text_average": "all",
    "encoder_sharing": "text",
    "gated_kernel": 5,
}
IMAGES = {
    "A-softmax": {"upscaler": "A", "output": "softmax"},
    "A-masked": {"output": "softmax", "type_a_colour": "masked", "residual_block": "3x3_3x3"},
    "B-dmol": {"upscaler": "B", "output": "dmol"},
    "ON-softmax": {"variant": "ON", "image_size": 4, "output": "softmax"},
    "paper": PAPER_PIXELS | {"upscaler": "B", "output": "softmax"},
    "conditional": CONDITIONS | {"output": "softmax"},
    "conditional-paper": CONDITIONS | {"output": "softmax"} | PAPER,
}
VIDEOS = {name: (name, {}) for name in ("OT_baseline", "OTN", "OT", "OTlogN")}
VIDEOS["OT-paper"] = ("OT", PAPER_PAST)
MODELS = (*IMAGES, *VIDEOS)
BATCH = 2


def on_tensorflow(name, folder):
    """What a model with random weights says here; it is stored for JAX."""
    if name in IMAGES:
        model = random_model(weight_scale=0.2, **SIZES | IMAGES[name])
        conditions = random_conditions(model, BATCH)
        stored = {"images": random_levels(model, BATCH), "uniforms": random_uniforms(model, BATCH)}
        log_prob = model.log_prob(stored["images"], conditions)
        decoded = model.decode(stored["uniforms"], conditions)
    else:
        variant, own = VIDEOS[name]
        fields = SIZES | {"num_frames": 4, "frame_stride": 2} | own
        model = random_video_model(variant, weight_scale=0.2, **fields)
        conditions = random_sequences(model, BATCH)
        stored = {
            "frames": random_frames(model, BATCH),
            "uniforms": random_video_uniforms(model, BATCH),
        }
        log_prob = model.log_prob(stored["frames"], conditions)
        decoded = model.decode(stored["uniforms"], stored["frames"][:, :2], conditions)
    stored |= {f"weight{index}": weight for index, weight in enumerate(model.get_weights())}
    stored |= {f"condition_{field}": values for field, values in (conditions or {}).items()}
    np.savez(folder / f"{name}.npz", **stored)
    (folder / f"{name}.json").write_text(json.dumps(dataclasses.asdict(model.config)))
    return np.asarray(log_prob), np.asarray(decoded)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Of each model both backends' log-probabilities and decoded pixels."""
    folder = tmp_path_factory.mktemp("jax")
    ours = {name: on_tensorflow(name, folder) for name in MODELS}
    tests = pathlib.Path(__file__).parent
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_ENABLE_X64": "1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(tests.parent),
    }
    command = [sys.executable, str(tests / "support" / "jax_side.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = {name: np.load(folder / f"{name}-jax.npz") for name in MODELS}
    return {
        name: (*ours[name], theirs[name]["log_prob"], theirs[name]["decoded"]) for name in MODELS
    }


@pytest.mark.parametrize("name", MODELS)
def test_both_backends_say_and_draw_the_same(answers, name):
    log_prob, decoded, jax_log_prob, jax_decoded = answers[name]
    assert np.isfinite(log_prob).all() and len(np.unique(log_prob)) == BATCH
    np.testing.assert_allclose(jax_log_prob, log_prob, rtol=1e-4)
    np.testing.assert_array_equal(jax_decoded, decoded)
    assert len(np.unique(decoded)) > 4
