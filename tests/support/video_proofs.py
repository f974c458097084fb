"""What the proofs of the video models share: small models with random weights, and their inputs."""

import contextlib

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.configs import VideoConfig, replace
from ms_pixelcnn_tf.models import make_model
from support.proofs import randomise

SMALL_VIDEO = {
    "image_size": 4,
    "base_size": 2,
    "channels": 1,
    "num_levels": 2,
    "num_mixtures": 2,
    "base_layers": 1,
    "base_features": 6,
    "first_kernel": 3,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "num_frames": 5,
    "given_frames": 2,
    "action_size": 2,
    "state_size": 1,
    "frame_blocks": 1,
    "frame_features": 4,
    "lstm_features": 5,
    "frame_decoder_blocks": 1,
}
OUTPUTS = {
    "OT_baseline": "softmax",
    "OTN": "softmax",
    "OT": "dmol",
    "OTlogN": "softmax",
    "OT_upscaler": "dmol",
}
VARIANTS = tuple(OUTPUTS)


def make_video_model(variant, **overrides):
    """A small model as it is before training."""
    fields = {"variant": variant, "output": OUTPUTS[variant]} | overrides
    return make_model(replace(VideoConfig(), **(SMALL_VIDEO | fields)))


def random_video_model(variant, weight_seed=0, weight_scale=0.5, **overrides):
    """A small model, every variable drawn at random."""
    model = make_video_model(variant, **overrides)
    randomise(model, weight_seed, weight_scale)
    return model


@contextlib.contextmanager
def eagerly(wanted=True):
    """Runs what is compiled a step at a time: slower to run, but there is no graph to make."""
    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def random_frames(model, batch, seed=0):
    """uint8 `[batch, T, H, W, C]` levels, uniform."""
    config = model.config
    shape = (batch, config.num_frames, *config.image_size, config.channels)
    return np.random.default_rng(seed).integers(0, config.num_levels, shape).astype("uint8")


def random_sequences(model, batch, seed=0):
    """Random actions and states, as far as the model takes them, else None."""
    config, generator = model.config, np.random.default_rng(seed)
    sizes = {"actions": config.action_size, "states": config.state_size}
    return {
        name: generator.normal(size=(batch, config.num_frames, sizes[name])).astype("float32")
        for name in config.conditions
    } or None


def random_video_uniforms(model, batch, seed=0, dtype="float64"):
    """`[batch, T - G, H, W, C]` uniforms in [0, 1)."""
    config = model.config
    shape = (batch, config.predicted_frames, *config.image_size, config.channels)
    return np.random.default_rng(seed).random(shape, dtype=dtype)


def row(conditions, index):
    """The conditions of one video, as a batch of one; None of None."""
    if conditions is None:
        return None
    return {name: values[index : index + 1] for name, values in conditions.items()}
