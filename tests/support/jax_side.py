"""Run with `KERAS_BACKEND=jax`: what models of stored weights say of stored inputs, on JAX.

    python tests/support/jax_side.py FOLDER

FOLDER holds, for each model, `NAME.json`, its configuration, and `NAME.npz` with its weights
"weight0" …, its inputs "images" or "frames", "uniforms", and "condition_FIELD". Written to the same
folder: `NAME-jax.npz` with "log_prob" and "decoded".
"""

import json
import pathlib
import sys

import keras
import numpy as np

from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig, replace
from ms_pixelcnn_tf.models import make_model


def without_random_weights():
    """Makes initialisers give zeros: JAX would compile each shape's random numbers for seconds, and
    the weights are stored."""
    initializers = keras.initializers
    for kind in (initializers.VarianceScaling, initializers.Orthogonal, initializers.RandomUniform):
        kind.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)


def answer(path):
    """What the model stored at `path` says."""
    fields, stored = json.loads(path.read_text()), dict(np.load(path.with_suffix(".npz")))
    kind = VideoConfig if "num_frames" in fields else ModelConfig
    model = make_model(replace(kind(), **fields))
    weights = [stored[f"weight{index}"] for index in range(len(model.weights))]
    model.set_weights(weights)
    prefix = "condition_"
    conditions = {
        name.removeprefix(prefix): values
        for name, values in stored.items()
        if name.startswith(prefix)
    } or None
    if kind is VideoConfig:
        given = stored["frames"][:, : model.config.given_frames]
        log_prob = model.log_prob(stored["frames"], conditions)
        decoded = model.decode(stored["uniforms"], given, conditions)
    else:
        log_prob = model.log_prob(stored["images"], conditions)
        decoded = model.decode(stored["uniforms"], conditions)
    return {"log_prob": np.asarray(log_prob), "decoded": np.asarray(decoded)}


def main(folder):
    assert keras.backend.backend() == "jax"
    without_random_weights()
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        np.savez(path.with_name(f"{path.stem}-jax.npz"), **answer(path))
    assert "tensorflow" not in sys.modules, "a model on JAX needs no TensorFlow"


if __name__ == "__main__":
    main(*sys.argv[1:])
