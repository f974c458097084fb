"""What callers may hand to a video model, and what they are told when it is wrong."""

import numpy as np
import pytest
import tensorflow as tf

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from support.video_proofs import (
    eagerly,
    random_frames,
    random_sequences,
    random_video_model,
    random_video_uniforms,
)

FRAMES = np.zeros((2, 5, 4, 4, 1), "uint8")
ACTIONS, STATES = np.zeros((2, 5, 2), "float32"), np.zeros((2, 5, 1), "float32")
CONDITIONS = {"actions": ACTIONS, "states": STATES}


def with_one(values, value):
    values = values.copy()
    values[1, 3, 0] = value
    return values


@pytest.fixture(scope="module")
def model():
    return random_video_model("OT", num_levels=4)


@pytest.fixture(scope="module")
def upscaler():
    return random_video_model("OT_upscaler", num_levels=4)


@pytest.mark.parametrize(
    "frames, message",
    [
        (FRAMES[:, :2], r"frames have shape \(2, 2, 4, 4, 1\); valid: \(batch, 5, 4, 4, 1\)"),
        (FRAMES[0], r"frames have shape \(5, 4, 4, 1\); valid"),
        (np.zeros((2, 5, 8, 8, 1), "uint8"), "frames have shape"),
        (np.zeros((2, 5, 4, 4, 3), "uint8"), "frames have shape"),
        (FRAMES.astype("float32"), "frames are float32; valid: integer levels 0 to 3"),
        (FRAMES + 255, "frames hold levels 255 to 255; valid: 0 to 3"),
        ("clip.gif", "frames are <U8; valid: numbers"),
    ],
)
def test_frames(model, frames, message):
    for call in (model.log_prob, model.log_prob_by_frame, model.forced_log_prob_by_frame):
        with pytest.raises(UserError, match=message):
            call(frames, CONDITIONS)


@pytest.mark.parametrize(
    "conditions, message",
    [
        (None, r"given: none; this model needs actions \(batch, 5, 2\) and states \(batch, 5, 1\)"),
        ({"actions": ACTIONS}, "conditions given: actions; this model needs"),
        (CONDITIONS | {"label": [0, 1]}, "conditions given: actions, label, states"),
        (CONDITIONS | {"actions": np.zeros((2, 5, 5))}, r"actions have .*5\); valid: \(2, 5, 2\)"),
        (
            CONDITIONS | {"states": STATES[:, :4]},
            r"states have shape \(2, 4, 1\); valid: \(2, 5, 1\)",
        ),
        (CONDITIONS | {"states": STATES[:1]}, r"states have shape \(1, 5, 1\); valid: \(2, 5, 1\)"),
        (
            CONDITIONS | {"states": with_one(STATES, np.nan)},
            r"states hold nan at \(1, 3, 0\); valid",
        ),
        (CONDITIONS | {"actions": with_one(ACTIONS, np.inf)}, r"actions hold inf at \(1, 3, 0\)"),
        (
            CONDITIONS | {"actions": with_one(ACTIONS.astype("float64"), 1e300)},
            r"actions hold 1e\+300 at \(1, 3, 0\); valid: finite numbers in float32",
        ),
        (CONDITIONS | {"actions": "left"}, "actions are <U4; valid: numbers"),
        ([ACTIONS], "conditions are a list; valid: None or a dict"),
    ],
)
def test_conditions(model, conditions, message):
    for call in (model.log_prob, lambda frames, own: model.sample(frames[:, :2], own)):
        with pytest.raises(UserError, match=message):
            call(FRAMES, conditions)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_the_last_actions_and_states_may_be_any(value):
    """What comes of them is not part of the clip; not one bit depends on them."""
    model = random_video_model("OT", num_levels=4, num_frames=3)
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    other = {name: values.astype("float64") for name, values in conditions.items()}
    for values in other.values():
        values[:, -1] = value
    given, uniforms = frames[:, :2], random_video_uniforms(model, 2, dtype="float32")
    calls = [
        lambda own: model.log_prob(frames, own),
        lambda own: sum(model.forced_log_prob_by_frame(frames, own).values()),
        lambda own: model.sample(given, own),
        lambda own: model.decode(uniforms, given, own, "stepwise"),
        lambda own: model.decode(uniforms, given, own, "naive"),
    ]
    with eagerly():
        for call in calls[: None if np.isnan(value) else 1]:
            found = np.asarray(call(other))
            assert np.isfinite(found).all()
            np.testing.assert_array_equal(found, call(conditions))


def test_a_graph_that_is_traced_ignores_the_last_actions_too():
    model = random_video_model("OT", num_levels=4, num_frames=3)
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    with tf.GradientTape() as tape:
        values = tf.Variable(conditions["actions"])
        log_prob = tf.function(lambda own: model.log_prob(frames, conditions | {"actions": own}))
        values[:, -1].assign(tf.fill((2, 2), np.nan))
        found = log_prob(values)
    assert np.isfinite(found).all() and np.isfinite(tape.gradient(found, values)).all()
    np.testing.assert_allclose(found, model.log_prob(frames, conditions), rtol=1e-6)


@pytest.mark.parametrize(
    "uniforms, given, message",
    [
        (np.zeros((2, 3, 4, 4, 3)), FRAMES[:, :2], "uniforms have shape"),
        (np.zeros((2, 2, 4, 4, 1)), FRAMES[:, :2], "uniforms have shape"),
        (np.ones((2, 3, 4, 4, 1)), FRAMES[:, :2], "uniforms hold values from 1.0"),
        (np.zeros((3, 3, 4, 4, 1)), FRAMES[:, :2], "3 uniforms for 2 videos; give one a video"),
        (
            np.zeros((2, 3, 4, 4, 1)),
            FRAMES[:, :1],
            r"given_frames have .*valid: \(batch, 2, 4, 4, 1\)",
        ),
        (np.zeros((2, 3, 4, 4, 1)), FRAMES[:, :2] + 4, "given_frames hold levels 4"),
    ],
)
def test_decoding(model, uniforms, given, message):
    with pytest.raises(UserError, match=message):
        model.decode(uniforms, given, CONDITIONS)


def test_seeds_and_samplers(model):
    with pytest.raises(UserError, match="seed is -1; valid: integers from 0 to"):
        model.sample(FRAMES[:, :2], CONDITIONS, seed=-1)
    with pytest.raises(UserError, match="unknown sampler 'fast'; valid: cached, stepwise, naive"):
        model.decode(random_video_uniforms(model, 2), FRAMES[:, :2], CONDITIONS, sampler="fast")


@pytest.mark.parametrize(
    "low, given, message",
    [
        (FRAMES, FRAMES[:, :2], r"low_frames have shape .*; valid: \(batch, 5, 2, 2, 1\)"),
        (
            FRAMES[:, :2, ::2, ::2],
            FRAMES[:, :2],
            r"low_frames have .*; valid: \(batch, 3, 2, 2, 1\)",
        ),
        (FRAMES[:1, :, ::2, ::2], FRAMES[:, :2], "given_frames of 2 videos, low_frames of 1"),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[:, :0],
            r"given_frames have .*; valid: \(batch, 1, 4, 4, 1\)",
        ),
        (FRAMES[:, :, ::2, ::2], FRAMES, r"low_frames have .*; valid: \(batch, 6, 2, 2, 1\)"),
        (FRAMES[:, :, ::2, ::2], FRAMES[0], r"given_frames have .*; valid: \(batch, 2, 4, 4, 1\)"),
        (
            FRAMES[0, :, ::2, ::2],
            FRAMES[:, :2],
            r"low_frames have .*; valid: \(batch, 5, 2, 2, 1\)",
        ),
        (FRAMES[:, :, ::2, ::2], FRAMES[:, :2, ::2], r"given_frames have .*\(batch, 2, 4, 4, 1\)"),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[:, :2] + 1,
            "every second pixel of given_frames is not the",
        ),
        (FRAMES[:, :, ::2, ::2] / 2, FRAMES[:, :2], "low_frames are float64"),
    ],
)
def test_upscaling(upscaler, low, given, message):
    with pytest.raises(UserError, match=message):
        upscaler.upscale(low, given)


@pytest.mark.parametrize("size", [3, 1, 0, -2])
def test_crops(upscaler, size):
    with pytest.raises(UserError, match=f"crop_size is {size}; valid: even numbers, 2 or more"):
        upscaler.cropped_log_prob_terms(FRAMES, None, size, np.zeros((2, 2), "float32"))


def test_each_variant_has_its_verb(model, upscaler):
    with pytest.raises(UserError, match="variant OT; use decode or sample"):
        model.upscale(FRAMES[:, :, ::2, ::2], FRAMES[:, :2])
    for call in (
        lambda: upscaler.sample(FRAMES[:, :2]),
        lambda: upscaler.decode(random_video_uniforms(upscaler, 2), FRAMES[:, :2]),
    ):
        with pytest.raises(UserError, match="variant OT_upscaler; use upscale"):
            call()
    with pytest.raises(UserError, match="takes no conditions; got actions"):
        upscaler.log_prob(FRAMES, {"actions": ACTIONS})


def test_lists_tensors_and_graphs_are_taken(model):
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    nats = np.asarray(model.log_prob(frames, conditions))
    listed = model.log_prob(frames.tolist(), {k: v.tolist() for k, v in conditions.items()})
    traced = tf.function(lambda x, y: model.log_prob(x, y))(frames, conditions)
    for other in (listed, traced):
        np.testing.assert_allclose(other, nats, rtol=1e-6)


def test_models_are_built_by_variant():
    fields = {"preset": "tiny", "image_size": 8}
    assert isinstance(ms.build_model(variant="OT", **fields), VideoPixelCNN)
    assert isinstance(ms.build_model(variant="OlogN", **fields), MultiscalePixelCNN)
    assert VideoPixelCNN.example_field == "frames" and MultiscalePixelCNN.example_field == "image"


DRAWN, CHOSEN = np.zeros((2, 3, *FRAMES.shape[1:]), "float32"), np.ones((2, 3, 5), bool)


@pytest.mark.parametrize(
    "uniforms, chosen, message",
    [
        (
            DRAWN,
            CHOSEN.astype(int),
            "chosen is of int64 and shape .2, 3, 5.; valid: bool .batch, passes, 5.",
        ),
        (DRAWN, CHOSEN[0], "chosen is of bool and shape .3, 5.; valid: bool .batch, passes, 5."),
        (DRAWN, CHOSEN[:, :, :4], r"chosen has shape \(2, 3, 4\); valid: \(2, 3, 5\)"),
        (DRAWN, CHOSEN[:1], r"chosen has shape \(1, 3, 5\); valid: \(2, 3, 5\)"),
        (
            DRAWN[:, :2],
            CHOSEN,
            r"uniforms have shape \(2, 2, 5, 4, 4, 1\); valid: \(2, 3, 5, 4, 4, 1\)",
        ),
        (DRAWN[:1], CHOSEN, "uniforms have shape"),
        (DRAWN + 1, CHOSEN, "uniforms hold values from 1.0 to 1.0"),
    ],
)
def test_what_the_past_is_sampled_with(model, uniforms, chosen, message):
    with pytest.raises(UserError, match=message):
        model.sampled_past(FRAMES, uniforms, chosen, CONDITIONS)


def test_an_upscaler_samples_no_past(upscaler):
    with pytest.raises(UserError, match="this model is of variant OT_upscaler; use upscale"):
        upscaler.sampled_past(FRAMES, DRAWN, CHOSEN)
