"""The preset `paper`, narrow: with every departure off at once a model scores what it samples, and
learns."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.configs import VIDEO_VARIANTS, make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from support.models import (
    random_conditions,
    random_frames,
    random_levels,
    random_sequences,
    random_uniforms,
    random_video_uniforms,
    randomise,
)

WIDTHS = {
    "image_size": 8,
    "num_levels": 16,
    "num_mixtures": 2,
    "base_layers": 2,
    "base_features": 6,
    "residual_blocks": 1,
    "features": 12,
    "head_features": 24,  # 8 a channel, for a ReLU to be open
    "dtype": "float64",
    "batch_size": 2,
}
OF_IMAGES = {
    "decoder_layers": 2,
    "decoder_features": 6,
    "label_features": 4,
    "text_features": 4,
    "text_width": 8,
    "spatial_features": 4,
    "spatial_blocks": 1,
    "joint_features": 4,
}
OF_VIDEOS = {
    "num_frames": 4,
    "frame_blocks": 1,
    "frame_features": 6,
    "lstm_features": 5,
    "frame_decoder_blocks": 1,
}
IMAGES = [
    ("shapes", "OlogN", {}),
    pytest.param(("shapes", "OlogN", {"upscaler": "A"}), marks=pytest.mark.slow),
    pytest.param(("shapes", "ON", {"image_size": 4}), marks=pytest.mark.slow),
    pytest.param(("cub", "OlogN", {}), marks=pytest.mark.slow),
    pytest.param(("imagenet", "OlogN", {"base_size": 4, "num_classes": 3}), marks=pytest.mark.slow),
]


def as_the_paper(dataset, variant, **widths):
    """A run of the preset and its model, every variable drawn at random."""
    run = make_run(dataset, variant, "paper", **(WIDTHS | widths))
    model = make_model(run.model)
    assert not any("prediction" in v.path or "neighbours" in v.path for v in model.variables)
    randomise(model, 1, 0.3)
    return run.train, model


def check_step(train, model, examples, conditions):
    """A training step is taken, and moves the weights."""
    examples, conditions = model.check_inputs(model.config, examples, conditions)
    optimizer = build_optimizer(train)
    optimizer.build(model.trainable_variables)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    step = make_train_step(model, model, optimizer, train)
    metrics = step({model.example_field: examples} | conditions, tf.constant(0, tf.int64))
    assert metrics["skipped"] == 0 and np.isfinite(metrics["bits"])
    moved = [
        (np.asarray(variable) != old).any()
        for variable, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert np.mean(moved) > 0.9  # a ReLU may be closed


@pytest.mark.slow
@pytest.mark.parametrize("case", IMAGES, ids=lambda case: "-".join(case[:2]))
def test_images(case):
    dataset, variant, fields = case
    train, model = as_the_paper(dataset, variant, **OF_IMAGES | fields)
    conditions, uniforms = random_conditions(model, 4), random_uniforms(model, 4)
    assert np.isfinite(model.log_prob(random_levels(model, 4), conditions)).all()
    images, log_prob = model.decode_with_log_prob(uniforms, conditions)
    naive, _ = model.decode_with_log_prob(uniforms, conditions, "naive")
    np.testing.assert_array_equal(images, naive)
    np.testing.assert_allclose(log_prob, model.log_prob(images, conditions), rtol=1e-5)
    assert model.sample(2, random_conditions(model, 2)).shape == (2, *images.shape[1:])
    check_step(train, model, random_levels(model, 2), random_conditions(model, 2))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_videos(variant):
    train, model = as_the_paper("shapes_push", variant, **OF_VIDEOS)
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    uniforms, given = random_video_uniforms(model, 2), frames[:, :2]
    if model.upscales:
        low = frames[:, :, ::2, ::2]
        cached, naive = (
            model.upscale(low, given, uniforms, sampler=sampler) for sampler in ("cached", "naive")
        )
        np.testing.assert_array_equal(cached, naive)
        assert np.isfinite(model.log_prob(cached)).all()
    else:
        cached, log_prob = model.decode_with_log_prob(uniforms, given, conditions)
        naive, _ = model.decode_with_log_prob(uniforms, given, conditions, "naive")
        np.testing.assert_array_equal(cached, naive)
        clip = np.concatenate([given, cached], axis=1)
        np.testing.assert_allclose(log_prob, model.log_prob(clip, conditions), rtol=1e-5)
    check_step(train, model, frames, conditions)
