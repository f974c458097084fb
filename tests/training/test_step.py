"""The step's parts: the moving average, clipping, and crops that depend on (seed, step) alone."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.data.batches.pipeline import training_batches
from ms_pixelcnn_tf.models import MultiscalePixelCNN, make_model
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.training.scheduled_sampling import choose
from ms_pixelcnn_tf.training.step import (
    copy_weights,
    crop_offsets,
    make_train_step,
    train_log_prob_terms,
    update_average,
)
from support.runs import TinyFilm, TinySource, tiny_run, tiny_video_run


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
    for mean, old, value in zip(weights(averaged), before, new, strict=True):
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
    moved = sum(np.sum((a - b) ** 2) for a, b in zip(weights(model), before, strict=True)) ** 0.5
    assert float(metrics["gradient_norm"]) > 1e-3
    assert moved == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("crop_size, size", [(2, 2), (0, None), (4, None), (32, None)])
def test_only_what_is_larger_than_the_crop_is_cropped(models, crop_size, size):
    model, images = models[0], TinySource().examples("train", np.arange(4))["image"] // 128
    offsets, config = np.full((4, 2), 0.99), tiny_run(crop_size=crop_size).train
    scored = train_log_prob_terms(model, {"image": images}, offsets, config)
    whole = model.log_prob_terms(images)
    cropped = model.cropped_log_prob_terms(images, None, size, offsets) if size else whole
    for name, expected in cropped.items():
        np.testing.assert_allclose(scored[name], expected, rtol=1e-5)
    differs = [not np.allclose(scored[name], whole[name], rtol=1e-3) for name in whole]
    assert any(differs) == bool(size)


def test_frames_that_are_seen_are_what_is_looked_back_at():
    frames, seen = np.zeros((2, 3, 4, 4, 1), "uint8"), np.ones((2, 3, 4, 4, 1), "uint8")
    model = types.SimpleNamespace(
        config=tiny_video_run(action_size=0, state_size=0).model,
        example_field="frames",
        cropped_log_prob_terms=lambda frames, *_: (frames, frames),
        log_prob_terms_given=lambda frames, past_frames, conditions: (frames, past_frames),
    )
    for batch, looked_at in (({}, frames), ({"past_frames": seen}, seen)):
        found = train_log_prob_terms(model, {"frames": frames} | batch, None, tiny_run().train)
        assert found[0] is frames and found[1] is looked_at


def test_ever_more_of_the_past_is_sampled():
    chances = np.random.default_rng(0).random((4, 2, 500))
    config = tiny_run(steps=100, past_samples_share=0.6).train
    parts = []
    for step in (0, 50, 75, 100):
        batch = choose({"chances": chances}, tf.constant(step, tf.int64), config)
        parts.append(batch["chosen"].numpy().mean())
    np.testing.assert_allclose(parts, [0, 0, 0.3, 0.6], atol=0.03)
    assert parts[0] == parts[1] == 0
    assert choose({"frames": 0}, 0, config) == {"frames": 0}


@pytest.mark.parametrize(
    "variant, fused_from",
    [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (("OT", 64), ("OTN", 64), ("OTN", 1), ("OTlogN", 1))
    ],
)
def test_a_step_looks_back_at_what_its_own_weights_sample(variant, fused_from, monkeypatch):
    """The nats that a step tells are those given the samples of the weights before it."""
    monkeypatch.setattr(loops, "FUSED_FROM", fused_from)
    run = tiny_video_run(variant, past_samples=2, steps=2, batch_size=2, micro_batch_size=1)
    film = TinyFilm()
    model = make_model(run.model)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    batch = next(
        training_batches(
            film,
            batch_size=2,
            seed=0,
            num_levels=run.model.num_levels,
            past_samples=2,
            fields=("frames", *run.model.conditions),
        ).as_numpy_iterator()
    )
    conditions = {field: batch[field] for field in run.model.conditions}

    def bits(chosen):
        seen = model.sampled_past(batch["frames"], batch["uniforms"], chosen, conditions)
        assert (np.asarray(seen) != batch["frames"]).any() == chosen.any()
        terms = model.log_prob_terms_given(batch["frames"], seen, conditions)
        nats = -float(np.mean(sum(terms.values()))) / sum(model.term_dims.values())
        return nats / np.log(2)

    true, sampled = bits(batch["chances"] < 0), bits(batch["chances"] < 0.7)
    assert abs(sampled - true) > 1e-4
    step = make_train_step(model, model, optimizer, run.train)
    tensors = {field: tf.constant(values) for field, values in batch.items()}
    told = float(step(tensors, tf.constant(1, tf.int64))["bits"])  # half of the steps: none yet
    assert told == pytest.approx(true, rel=1e-5)
    sampled = bits(batch["chances"] < 0.7)  # of the new weights
    told = float(step(tensors, tf.constant(2, tf.int64))["bits"])  # the end: all of them
    assert told == pytest.approx(sampled, rel=1e-5)


def test_crops_depend_on_seed_and_step_alone():
    first, again, later, other = (
        crop_offsets(5, tf.constant(step, tf.int64), seed).numpy()
        for step, seed in ((3, 0), (3, 0), (4, 0), (3, 1))
    )
    assert first.shape == (5, 2)
    assert 0 <= first.min() and first.max() < 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, later) and not np.array_equal(first, other)


def batch_of(run, source, count):
    """The first examples as the model takes them."""
    model = run.model
    fields = (source.example_field, *model.conditions)
    batch = source.examples("train", np.arange(count), fields)
    levels = batch[source.example_field]
    batch[source.example_field] = levels // (256 // model.num_levels)
    return {name: tf.constant(values) for name, values in batch.items()}


@pytest.mark.parametrize(
    "run, source",
    [
        (tiny_run(num_classes=3, label_features=4, crop_size=2, dtype="float64"), TinySource()),
        pytest.param(tiny_video_run(dtype="float64"), TinyFilm(), marks=pytest.mark.slow),
        (tiny_video_run("OT_upscaler", image_size=8, crop_size=4, dtype="float64"), TinyFilm(8)),
    ],
    ids=["OlogN on crops", "OT", "OT_upscaler on crops"],
)
def test_parts_of_a_batch_make_the_whole_batchs_step(run, source):
    """In float64: the same metrics and, after a step of plain descent, the same weights."""
    batch, found = batch_of(run, source, 6), []
    keras.utils.set_random_seed(0)
    model = make_model(run.model)
    start = weights(model)
    for size in (0, 2):
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        config = dataclasses.replace(run.train, batch_size=6, micro_batch_size=size)
        step = make_train_step(model, model, optimizer, config)
        metrics = step(batch, tf.constant(7, tf.int64))
        found.append([*map(np.asarray, tf.nest.flatten(metrics)), *weights(model)])
    moved = [
        abs(after - before).max()
        for after, before in zip(found[0][-len(start) :], start, strict=True)
    ]
    assert max(moved) > 1e-3
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-12)


def test_a_step_that_is_asked_to_stop_changes_nothing():
    run = tiny_run()
    keras.utils.set_random_seed(0)
    model, averaged = make_model(run.model), make_model(run.model)
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    step = make_train_step(model, averaged, optimizer, run.train)
    batch = batch_of(run, TinySource(), 4)

    def state():
        held = (*model.variables, *averaged.variables, *optimizer.variables)
        return [variable.numpy() for variable in held]

    before = state()
    assert float(step(batch, tf.constant(0, tf.int64), True)["stop"]) == 1
    for old, new in zip(before, state(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert float(step(batch, tf.constant(0, tf.int64))["stop"]) == 0
    assert any((old != new).any() for old, new in zip(before, state(), strict=True))
