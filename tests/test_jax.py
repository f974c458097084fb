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

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from support.proofs import random_conditions, random_levels, random_uniforms, randomise

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed; the extra [jax] is"
)
SMALL = {
    "image_size": 8,
    "base_size": 4,
    "num_levels": 16,
    "num_mixtures": 2,
    "base_layers": 2,
    "base_features": 6,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "decoder_layers": 2,
    "decoder_features": 6,
    "patch_size": 2,
    "dtype": "float64",
}
CONDITIONS = {
    "num_classes": 3,
    "label_features": 2,
    "text": True,
    "text_features": 3,
    "text_width": 4,
    "num_segments": 2,
    "spatial_features": 3,
    "spatial_blocks": 1,
    "joint_features": 4,
}
VIDEO = {
    "image_size": 8,
    "base_size": 4,
    "num_levels": 16,
    "num_mixtures": 2,
    "base_layers": 1,
    "base_features": 6,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "num_frames": 4,
    "frame_blocks": 1,
    "frame_features": 6,
    "frame_stride": 2,
    "lstm_features": 4,
    "frame_decoder_blocks": 1,
    "dtype": "float64",
}
MODELS = {
    "A-softmax": ("shapes", "OlogN", SMALL | {"upscaler": "A", "output": "softmax"}),
    "A-masked": (
        "shapes",
        "OlogN",
        SMALL | {"output": "softmax", "type_a_colour": "masked", "residual_block": "3x3_3x3"},
    ),
    "B-dmol": ("shapes", "OlogN", SMALL | {"upscaler": "B", "output": "dmol"}),
    "ON-softmax": ("shapes", "ON", SMALL | {"image_size": 4, "output": "softmax"}),
    "conditional": ("shapes", "OlogN", SMALL | CONDITIONS | {"output": "softmax"}),
    **{name: ("shapes_push", name, VIDEO) for name in ("OT_baseline", "OTN", "OT", "OTlogN")},
}
BATCH = 2


def on_tensorflow(name, folder):
    """What a model with random weights says here; it is stored for JAX."""
    dataset, variant, fields = MODELS[name]
    fields = {k: v for k, v in fields.items() if not (variant == "ON" and k == "base_size")}
    model = make_model(make_run(dataset, variant, **fields).model)
    randomise(model, scale=0.2)
    stored = {f"weight{index}": weight for index, weight in enumerate(model.get_weights())}
    generator = np.random.default_rng(1)
    config = model.config
    if dataset == "shapes":
        conditions = random_conditions(model, BATCH) if config.conditions else None
        stored |= {"images": random_levels(model, BATCH), "uniforms": random_uniforms(model, BATCH)}
        log_prob = model.log_prob(stored["images"], conditions)
        decoded = model.decode(stored["uniforms"], conditions)
    else:
        shape = (*config.image_size, 3)
        conditions = {
            "actions": generator.uniform(-1, 1, (BATCH, 4, 5)),
            "states": generator.uniform(-1, 1, (BATCH, 4, 5)),
        }
        stored |= {
            "frames": generator.integers(0, 16, (BATCH, 4, *shape)).astype("uint8"),
            "uniforms": generator.random((BATCH, 2, *shape)),
        }
        log_prob = model.log_prob(stored["frames"], conditions)
        decoded = model.decode(stored["uniforms"], stored["frames"][:, :2], conditions)
    stored |= {f"condition_{field}": values for field, values in (conditions or {}).items()}
    np.savez(folder / f"{name}.npz", **stored)
    (folder / f"{name}.json").write_text(json.dumps(dataclasses.asdict(config)))
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
