"""What callers may hand to a video model, and what they are told when it is wrong."""

import numpy as np
import pytest
import tensorflow as tf

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from ms_pixelcnn_tf.sampling.uniforms import MAX_SEED
from support.errors import refuses
from support.models import (
    random_frames,
    random_sequences,
    random_video_model,
    random_video_uniforms,
)
from support.proofs import eagerly

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
    "frames, facts",
    [
        (FRAMES[:, :2], ("frames", "(2, 2, 4, 4, 1)", "(batch, 5, 4, 4, 1)")),
        (FRAMES[0], ("frames", "(5, 4, 4, 1)", "(batch, 5, 4, 4, 1)")),
        (np.zeros((2, 5, 8, 8, 1), "uint8"), ("frames", "(2, 5, 8, 8, 1)")),
        (np.zeros((2, 5, 4, 4, 3), "uint8"), ("frames", "(2, 5, 4, 4, 3)")),
        (FRAMES.astype("float32"), ("frames", "float32", "integer", "0 to 3")),
        (FRAMES + 255, ("frames", "255 to 255", "0 to 3")),
        ("clip.gif", ("frames", "<U8", "numbers")),
    ],
)
def test_frames(model, frames, facts):
    for call in (model.log_prob, model.log_prob_by_frame):
        with refuses(*facts):
            call(frames, CONDITIONS)


@pytest.mark.parametrize(
    "conditions, facts",
    [
        (None, ("none", "actions (batch, 5, 2)", "states (batch, 5, 1)")),
        ({"actions": ACTIONS}, ("given: actions;", "states (batch, 5, 1)")),
        (CONDITIONS | {"label": [0, 1]}, ("actions, label, states", "actions (batch, 5, 2)")),
        (CONDITIONS | {"actions": np.zeros((2, 5, 5))}, ("actions", "(2, 5, 5)", "(2, 5, 2)")),
        (CONDITIONS | {"states": STATES[:, :4]}, ("states", "(2, 4, 1)", "(2, 5, 1)")),
        (CONDITIONS | {"states": STATES[:1]}, ("states", "(1, 5, 1)", "(2, 5, 1)")),
        (
            CONDITIONS | {"states": with_one(STATES, np.nan)},
            ("states", "nan", "(1, 3, 0)", "finite"),
        ),
        (
            CONDITIONS | {"actions": with_one(ACTIONS, np.inf)},
            ("actions", "inf", "(1, 3, 0)", "finite"),
        ),
        (
            CONDITIONS | {"actions": with_one(ACTIONS.astype("float64"), 1e300)},
            ("actions", 1e300, "(1, 3, 0)", "float32"),
        ),
        (CONDITIONS | {"actions": "left"}, ("actions", "<U4", "numbers")),
        ([ACTIONS], ("conditions", "list", None, "dict")),
    ],
)
def test_conditions(model, conditions, facts):
    for call in (model.log_prob, lambda frames, own: model.sample(frames[:, :2], own)):
        with refuses(*facts):
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
    "uniforms, given, facts",
    [
        (np.zeros((2, 3, 4, 4, 3)), FRAMES[:, :2], ("uniforms", "(2, 3, 4, 4, 3)")),
        (np.zeros((2, 2, 4, 4, 1)), FRAMES[:, :2], ("uniforms", "(2, 2, 4, 4, 1)")),
        (np.ones((2, 3, 4, 4, 1)), FRAMES[:, :2], ("uniforms", "1.0")),
        (np.zeros((3, 3, 4, 4, 1)), FRAMES[:, :2], ("3 uniforms", "2 videos")),
        (
            np.zeros((2, 3, 4, 4, 1)),
            FRAMES[:, :1],
            ("given_frames", "(2, 1, 4, 4, 1)", "(batch, 2, 4, 4, 1)"),
        ),
        (np.zeros((2, 3, 4, 4, 1)), FRAMES[:, :2] + 4, ("given_frames", "4 to 4", "0 to 3")),
    ],
)
def test_decoding(model, uniforms, given, facts):
    with refuses(*facts):
        model.decode(uniforms, given, CONDITIONS)


def test_seeds_and_samplers(model):
    with refuses("seed", -1, MAX_SEED):
        model.sample(FRAMES[:, :2], CONDITIONS, seed=-1)
    with refuses("sampler", "fast", "cached", "stepwise", "naive"):
        model.decode(random_video_uniforms(model, 2), FRAMES[:, :2], CONDITIONS, sampler="fast")


@pytest.mark.parametrize(
    "low, given, facts",
    [
        (FRAMES, FRAMES[:, :2], ("low_frames", "(2, 5, 4, 4, 1)", "(batch, 5, 2, 2, 1)")),
        (
            FRAMES[:, :2, ::2, ::2],
            FRAMES[:, :2],
            ("low_frames", "(2, 2, 2, 2, 1)", "(batch, 3, 2, 2, 1)"),
        ),
        (FRAMES[:1, :, ::2, ::2], FRAMES[:, :2], ("given_frames", "2 videos", "low_frames", 1)),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[:, :0],
            ("given_frames", "(2, 0, 4, 4, 1)", "(batch, 1, 4, 4, 1)"),
        ),
        (FRAMES[:, :, ::2, ::2], FRAMES, ("low_frames", "(2, 5, 2, 2, 1)", "(batch, 6, 2, 2, 1)")),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[0],
            ("given_frames", "(5, 4, 4, 1)", "(batch, 2, 4, 4, 1)"),
        ),
        (
            FRAMES[0, :, ::2, ::2],
            FRAMES[:, :2],
            ("low_frames", "(5, 2, 2, 1)", "(batch, 5, 2, 2, 1)"),
        ),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[:, :2, ::2],
            ("given_frames", "(2, 2, 2, 4, 1)", "(batch, 2, 4, 4, 1)"),
        ),
        (
            FRAMES[:, :, ::2, ::2],
            FRAMES[:, :2] + 1,
            ("second pixel", "given_frames", "low_frames", 2),
        ),
        (FRAMES[:, :, ::2, ::2] / 2, FRAMES[:, :2], ("low_frames", "float64", "integer")),
    ],
)
def test_upscaling(upscaler, low, given, facts):
    with refuses(*facts):
        upscaler.upscale(low, given)


@pytest.mark.parametrize("size", [3, 1, 0, -2])
def test_crops(upscaler, size):
    with refuses("crop_size", size, "even", 2):
        upscaler.cropped_log_prob_terms(FRAMES, None, size, np.zeros((2, 2), "float32"))


def test_each_variant_has_its_verb(model, upscaler):
    with refuses("variant OT", "decode", "sample"):
        model.upscale(FRAMES[:, :, ::2, ::2], FRAMES[:, :2])
    for call in (
        lambda: upscaler.sample(FRAMES[:, :2]),
        lambda: upscaler.decode(random_video_uniforms(upscaler, 2), FRAMES[:, :2]),
    ):
        with refuses("variant OT_upscaler", "upscale"):
            call()
    with refuses("no conditions", "actions"):
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
    "uniforms, chosen, facts",
    [
        (DRAWN, CHOSEN.astype(int), ("chosen", "int64", "(2, 3, 5)", "bool (batch, passes, 5)")),
        (DRAWN, CHOSEN[0], ("chosen", "(3, 5)", "bool (batch, passes, 5)")),
        (DRAWN, CHOSEN[:, :, :4], ("chosen", "(2, 3, 4)", "(2, 3, 5)")),
        (DRAWN, CHOSEN[:1], ("chosen", "(1, 3, 5)", "(2, 3, 5)")),
        (DRAWN[:, :2], CHOSEN, ("uniforms", "(2, 2, 5, 4, 4, 1)", "(2, 3, 5, 4, 4, 1)")),
        (DRAWN[:1], CHOSEN, ("uniforms", "(1, 3, 5, 4, 4, 1)")),
        (DRAWN + 1, CHOSEN, ("uniforms", "1.0 to 1.0")),
    ],
)
def test_what_the_past_is_sampled_with(model, uniforms, chosen, facts):
    with refuses(*facts):
        model.sampled_past(FRAMES, uniforms, chosen, CONDITIONS)


def test_an_upscaler_samples_no_past(upscaler):
    with refuses("variant OT_upscaler", "upscale"):
        upscaler.sampled_past(FRAMES, DRAWN, CHOSEN)
