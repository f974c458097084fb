"""In bfloat16 a prediction reaches the law unrounded, in likelihoods and in samplers.

With the hidden layers' share set to zero, the predictions alone make a law. It is then the same as
in float32 up to its own rounding; a centre rounded to 8 bits would be off by a part of a level.
"""

import keras
import numpy as np
import pytest

from ms_pixelcnn_tf.configs import replace
from ms_pixelcnn_tf.layers import ChannelHead
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.step import copy_weights
from support.cases import fast
from support.models import (
    random_frames,
    random_levels,
    random_model,
    random_sequences,
    random_uniforms,
    random_video_model,
    random_video_uniforms,
)

FULL = {"num_levels": 256, "channels": 3}
IMAGES = [
    {"variant": variant, "upscaler": upscaler, "output": output}
    for variant, upscaler in (("ON", "A"), ("OlogN", "A"), ("OlogN", "B"))
    for output in ("softmax", "dmol")
] + [{"variant": "OlogN", "output": "softmax", "type_a_colour": "masked"}]
VIDEOS = ("OT_baseline", "OTN", "OT", "OTlogN")


def in_both(model):
    """The model with nothing but predictions, in float32 and in bfloat16."""
    channels = model.config.channels
    for layer in model._flatten_layers():
        if isinstance(layer, ChannelHead):
            keep(layer.kernel, np.s_[:, :1])
        elif layer.name == "logits" or type(layer) is keras.layers.Dense and layer.name == "head":
            keep(layer.kernel, np.s_[:channels])
    mixed = make_model(replace(model.config, dtype="mixed_bfloat16"))
    copy_weights(model, mixed)
    return model, mixed


def keep(kernel, part):
    """Sets all but a part of a kernel to zero."""
    values, kept = kernel.numpy(), np.zeros(kernel.shape, "float32")
    kept[part] = values[part]
    kernel.assign(kept)


@pytest.mark.parametrize("overrides", fast(IMAGES, 1), ids=lambda o: "-".join(o.values()))
def test_images(overrides):
    model, mixed = in_both(random_model(2, 0.3, **FULL | overrides))
    images = random_levels(model, 4)
    expected = np.asarray(model.log_prob_by_pixel(images))
    np.testing.assert_allclose(mixed.log_prob_by_pixel(images), expected, rtol=1e-5, atol=1e-5)
    assert len(np.unique(expected.round(3))) > 20  # it is the pixels that make the law
    uniforms = random_uniforms(model, 4, dtype="float32")
    decoded = model.decode(uniforms)
    for sampler in ("cached", "naive"):
        assert (mixed.decode(uniforms, sampler=sampler) == decoded).mean() > 0.98, sampler


@pytest.mark.parametrize("variant", fast(VIDEOS, 0))
def test_videos(variant):
    model, mixed = in_both(random_video_model(variant, 2, 0.3, **FULL))
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    expected = np.asarray(model.log_prob(frames, conditions))
    np.testing.assert_allclose(mixed.log_prob(frames, conditions), expected, rtol=1e-5)
    uniforms = random_video_uniforms(model, 2, dtype="float32")
    given = frames[:, : model.config.given_frames]
    decoded = model.decode(uniforms, given, conditions)
    assert (mixed.decode(uniforms, given, conditions) == decoded).mean() > 0.98
