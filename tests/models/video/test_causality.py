"""Causality of the video models by input gradients: exact zeros where nothing may be seen, and
non-zeros wherever something is in reach."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.models.video import rollout
from support.models import (
    PAPER_PAST,
    PAPER_PIXELS,
    TYPE_B,
    VIDEO_VARIANTS,
    make_video_model,
    random_frames,
    random_sequences,
    random_video_model,
)

DRAWS = 3  # random videos an output: one relu may be closed on one of them
RASTER = np.arange(16).reshape(4, 4)
GROUP = np.array([[1, 2], [3, 4]])
MASKED = {"output": "softmax", "type_a_colour": "masked", "residual_block": "3x3_3x3"}


def float_inputs(model, count):
    """Random frames, as floats that have gradients, and conditions; DRAWS · count rows."""
    frames = tf.constant(random_frames(model, DRAWS * count), tf.float64)
    conditions = random_sequences(model, DRAWS * count) or {}
    return frames, {name: tf.constant(values, tf.float64) for name, values in conditions.items()}


def factor_params(model, frames, conditions):
    """Each factor's parameters, `[B, T - G, h, w, P]`, and the index in the frame of each of its
    pixels, `[h, w]`."""
    past, own = rollout.teacher_forced(model, frames, conditions)
    indices = np.broadcast_to(RASTER[:, :, None], own.shape)
    named = model.decoder.factors(past, tf.constant(indices, tf.int32))
    for factor, index in zip(model.decoder.factors(past, own), named, strict=True):
        height, width = factor.params.shape[1:3]
        where = np.asarray(index.levels)[0].reshape(height, width)
        shape = (-1, model.config.predicted_frames, height, width, factor.params.shape[-1])
        yield tf.reshape(factor.params, shape), where


def gradients(model, select):
    """Where the sum of the selected parameters depends on frames and conditions.

    Args:
        select: bool `[rows, T - G, 16]`: which pixels' parameters each row adds up.

    Returns:
        bool `[rows, T, 4, 4]`, and a dict of bool `[rows, T]`.
    """
    frames, conditions = float_inputs(model, len(select))
    generator, total = np.random.default_rng(1), 0.0
    with tf.GradientTape() as tape:
        tape.watch((frames, conditions))
        for params, where in factor_params(model, frames, conditions):
            weights = generator.normal(size=params.shape[-1]) * select[:, :, where, None]
            total += tf.reduce_sum(params * np.tile(weights, (DRAWS, 1, 1, 1, 1)))
    found = tape.gradient(total, (frames, conditions), unconnected_gradients="zero")

    def seen(gradient):
        assert np.isfinite(gradient).all()
        by_row = np.reshape(gradient, (DRAWS, len(select), *gradient.shape[1:-1], -1))
        return (by_row != 0).any((0, -1))

    return seen(found[0]), {name: seen(gradient) for name, gradient in found[1].items()}


def check_time(model):
    """A frame sees all before it, actions and states too, and nothing from its own time on."""
    given, count = model.config.given_frames, model.config.predicted_frames
    select = np.eye(count, dtype=bool)[:, :, None] & np.ones(16, bool)  # a row, a predicted frame
    frames, conditions = gradients(model, select)
    assert set(conditions) == set(model.config.conditions)
    for row in range(count):
        time = given + row
        first = time - 1 if model.upscales else 0
        assert not frames[row, time + 1 :].any(), "it sees later frames"
        assert frames[row, first:time].all(), "it is blind to pixels of earlier frames"
        assert not frames[row, :first].any()
        for name, seen in conditions.items():
            assert seen[row, :time].all(), f"it is blind to earlier {name}"
            assert not seen[row, time:].any(), f"it sees its own or later {name}"


def check_space(model):
    """Within its own frame a pixel sees what its variant generates before it, and all of that."""
    select = np.zeros((16, model.config.predicted_frames, 16), bool)
    select[:, -1] = np.eye(16)  # of the last frame
    frames, _ = gradients(model, select)
    expected = reach(model.config.variant, model.config.upscaler)
    found = frames[:, -1].reshape(16, 16)
    leaks, blind = np.argwhere(found & ~expected), np.argwhere(expected & ~found)
    assert not len(leaks), f"{len(leaks)} leaks, as at {leaks[0]} (output, input)"
    assert not len(blind), f"{len(blind)} blind spots, as at {blind[0]} (output, input)"


def reach(variant, upscaler):
    """Pixels of its own frame that each pixel's parameters see, bool `[16, 16]`; patches of type B
    are as large as a group."""
    rows, columns = np.divmod(np.arange(16), 4)
    below, aside = rows[:, None] - rows, columns - columns[:, None]  # of (output, input)
    if variant == "OT_baseline":
        return np.zeros((16, 16), bool)
    if variant == "OTN":  # a single stack: k rows above, no more than k columns to the right
        return (below > 0) & (aside <= below) | (below == 0) & (aside < 0)
    group = np.tile(GROUP, (2, 2)).ravel()
    block = rows // 2 * 2 + columns // 2  # of 2x2 pixels, one of each group
    stage = group + block / 4 if upscaler == "B" else group
    if variant == "OTlogN":  # a base of 2x2 pixels in raster order
        stage = np.where(group == 1, block / 4, stage)
    seen = stage[None] < stage[:, None]
    return seen & (group[:, None] > 1) if variant == "OT_upscaler" else seen


PAPERS = pytest.mark.parametrize(
    "fields",
    [{}, *(pytest.param(fields, marks=pytest.mark.slow) for fields in (PAPER_PIXELS, PAPER_PAST))],
    ids=["ours", "paper-pixels", "paper-past"],
)


@PAPERS
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_time(variant, fields):
    check_time(random_video_model(variant, 1, 0.5, num_levels=256, dtype="float64", **fields))


@PAPERS
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_space(variant, fields):
    fields = fields | {"num_frames": 3, "num_levels": 256, "dtype": "float64"}
    check_space(random_video_model(variant, 2, 0.5, **fields))


@PAPERS
def test_space_of_channel_masked_groups(fields):
    fields = fields | MASKED | {"num_frames": 3, "num_levels": 256, "dtype": "float64"}
    check_space(random_video_model("OT", 2, 0.5, **fields))


@PAPERS
@pytest.mark.parametrize("variant", ["OT", "OTlogN", "OT_upscaler"])
def test_space_and_time_of_type_b(variant, fields):
    fields = fields | TYPE_B | {"num_frames": 3, "num_levels": 256, "dtype": "float64"}
    model = random_video_model(variant, 2, 0.5, **fields)
    check_space(model)
    check_time(model)


@pytest.mark.parametrize("previous_frame", ["given", "none"])
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_the_frame_before_is_seen_beside_the_memory_if_it_is_given(variant, previous_frame):
    """`OT_upscaler`, which has no memory, sees it always."""
    model = random_video_model(variant, num_levels=256, previous_frame=previous_frame)
    frames = tf.constant(random_frames(model, 2), tf.int32)
    past, own = rollout.teacher_forced(model, frames, random_sequences(model, 2) or {})
    other = past._replace(previous=255 - past.previous)
    seen = model.upscales or previous_frame == "given"
    for factor, changed in zip(
        model.decoder.factors(past, own), model.decoder.factors(other, own), strict=True
    ):
        assert (np.abs(factor.params - changed.params).max() > 0) == seen, factor.term


def test_a_fresh_a_trained_and_a_reloaded_model(tmp_path):
    keras.utils.set_random_seed(1)
    model = make_video_model("OTlogN", num_frames=3, num_levels=256, dtype="float64")
    for name in ("fresh", "trained", "reloaded"):
        if name == "trained":
            train(model, steps=5)
        elif name == "reloaded":
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras")
        check_time(model)
        check_space(model)


def train(model, steps):
    """A few steps of Adam on random clips."""
    optimizer = keras.optimizers.Adam(0.01)
    frames, conditions = random_frames(model, 4), random_sequences(model, 4)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(model.log_prob(frames, conditions))
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
