"""The step's parts: the moving average, clipping, and crops that depend on (seed, step) alone."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.training.step import (
    copy_weights,
    make_train_step,
    train_log_prob_terms,
    update_average,
)
from tiny import TinySource, tiny_run


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return [MultiscalePixelCNN(tiny_run().model) for _ in range(2)]


def weights(model):
    return [variable.numpy() for variable in model.variables]


def test_copied_weights_give_the_same_likelihood(models):
    model, averaged = models
    images = TinySource().examples("train", np.arange(4))["image"] // 128
    copy_weights(model, averaged)
    np.testing.assert_array_equal(model.log_prob(images), averaged.log_prob(images))


@pytest.mark.parametrize("step, keep", [(0, 0.1), (17, 18 / 27), (10_000, 0.9)])
def test_average_follows_with_a_warm_up(models, step, keep):
    model, averaged = models
    for variable in averaged.variables:
        variable.assign(variable + 1.0)
    before, new = weights(averaged), weights(model)
    update_average(averaged, model, tf.constant(step, tf.int64), 0.9)
    for mean, old, value in zip(weights(averaged), before, new):
        np.testing.assert_allclose(mean, keep * old + (1 - keep) * value, atol=1e-6)


def test_step_reports_the_loss_before_the_update_and_clips(models):
    model, averaged = models
    config = tiny_run(gradient_clip_norm=1e-3).train
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    batch = {"image": TinySource().examples("train", np.arange(4))["image"] // 128}
    bits = -float(np.mean(model.log_prob(batch["image"]))) / (16 * np.log(2.0))
    before = weights(model)
    metrics = make_train_step(model, averaged, optimizer, config)(batch, tf.constant(0, tf.int64))
    assert float(metrics["bits"]) == pytest.approx(bits, rel=1e-5)
    dims = model.term_dims
    total = sum(float(metrics["terms"][name]) * dims[name] for name in dims) / sum(dims.values())
    assert total == pytest.approx(bits, rel=1e-5)
    moved = sum(np.sum((a - b) ** 2) for a, b in zip(weights(model), before)) ** 0.5
    assert float(metrics["gradient_norm"]) > 1e-3
    assert moved == pytest.approx(1e-3, rel=1e-3)


def offsets_of(step, seed=0, crop_size=2):
    seen = []

    def cropped(images, conditions, crop_size, offsets):
        seen.append(offsets.numpy())
        return {}

    model = types.SimpleNamespace(
        config=tiny_run().model,
        cropped_log_prob_terms=cropped,
        log_prob_terms=lambda images, conditions: {},
    )
    config = tiny_run(seed=seed, crop_size=crop_size).train
    train_log_prob_terms(model, {"image": np.zeros((5, 4, 4, 1), "uint8")}, step, config)
    return seen


def test_crops_depend_on_seed_and_step_alone():
    (first,), (again,), (later,), (other,) = (
        offsets_of(3), offsets_of(3), offsets_of(4), offsets_of(3, seed=1)
    )
    assert first.shape == (5, 2)
    assert 0 <= first.min() and first.max() < 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, later) and not np.array_equal(first, other)


@pytest.mark.parametrize("crop_size", [0, 4, 32])
def test_images_within_the_crop_stay_whole(crop_size):
    assert not offsets_of(0, crop_size=crop_size)
