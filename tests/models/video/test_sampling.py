"""Sampling of videos: every way to decode gives one video; its likelihood is what was summed."""

import numpy as np
import pytest

from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.configs.shared import paper_values
from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.sampling import batching
from ms_pixelcnn_tf.sampling.batching import videos_at_once
from support.cases import fast
from support.models import (
    PAPER_PAST,
    PAPER_PIXELS,
    TYPE_B,
    VIDEO_VARIANTS,
    random_frames,
    random_sequences,
    random_video_model,
    random_video_uniforms,
)
from support.proofs import eagerly, row

FULL = {"num_levels": 256, "channels": 3, "num_frames": 4}
MODELS = {
    "baseline": ("OT_baseline", FULL | {"image_size": (4, 6), "frame_stride": 2}),
    "baseline-gray": ("OT_baseline", {"image_size": (3, 2), "action_size": 0}),
    "OTN": ("OTN", FULL | {"image_size": (2, 5), "state_size": 0}),
    "OTN-strided": ("OTN", {"frame_stride": 2, "num_levels": 9, "num_frames": 4}),
    "OT": ("OT", FULL | {"image_size": (2, 4), "frame_stride": 2, "action_size": 0}),
    "OT-softmax": (
        "OT",
        {"output": "softmax", "num_levels": 16, "given_frames": 1, "num_frames": 3},
    ),
    "OTlogN-masked": ("OTlogN", {"type_a_colour": "masked", "channels": 2, "num_levels": 9}),
    "OTlogN": ("OTlogN", FULL | {"image_size": (4, 8), "base_size": (2, 4), "frame_stride": 2}),
    "OTlogN-dmol": (
        "OTlogN",
        {"output": "dmol", "num_levels": 50, "given_frames": 3, "action_size": 0, "state_size": 0},
    ),
    "OT-B": ("OT", FULL | TYPE_B | {"image_size": (4, 8), "num_frames": 3}),
    "OTlogN-B-apart": (
        "OTlogN",
        TYPE_B | {"scale": "base;4;8", "image_size": 8, "channels": 2, "num_levels": 9},
    ),
    "OTN-paper": ("OTN", FULL | PAPER_PIXELS | {"image_size": (2, 5)}),
    "OT-paper": ("OT", FULL | PAPER_PAST | {"image_size": (2, 4), "num_frames": 3}),
}
SLOW = {
    f"{variant}-paper-pixels": (variant, FULL | PAPER_PIXELS)
    for variant in ("OT_baseline", "OT", "OTlogN")
}
SLOW |= {  # every departure off
    f"{variant}-paper-all": (variant, FULL | PAPER_PAST | paper_values(VideoConfig))
    for variant in VIDEO_VARIANTS[:-1]
}
COMPILED = ("baseline-gray", "OTN-strided", "OT-softmax")  # in all; the cached sampler always


@pytest.mark.parametrize(
    "name", fast([*MODELS, *SLOW], *map(list(MODELS).index, ("baseline-gray", "OTN")))
)
def test_all_samplers_give_the_same_video_and_its_likelihood(name):
    """In float64, where rounding cannot carry a value over a step of the CDF: every sub-pixel."""
    variant, overrides = (MODELS | SLOW)[name]
    model, batch = random_video_model(variant, 1, 0.4, dtype="float64", **overrides), 3
    given = random_frames(model, batch)[:, : model.config.given_frames]
    conditions = random_sequences(model, batch)
    uniforms = random_video_uniforms(model, batch)

    decoded, log_prob = model.decode_with_log_prob(uniforms, given, conditions)
    assert decoded.dtype == np.uint8 and decoded.shape == uniforms.shape
    for sampler in ("stepwise", "naive"):
        with eagerly(name not in COMPILED):
            levels, other = model.decode_with_log_prob(uniforms, given, conditions, sampler)
        np.testing.assert_array_equal(levels, decoded, err_msg=sampler)
        np.testing.assert_allclose(other, log_prob, rtol=1e-9)
    assert len(np.unique(decoded.reshape(batch, -1), axis=0)) > 1, "the videos should differ"

    clip = np.concatenate([given, decoded], axis=1)
    with eagerly(name not in COMPILED):
        np.testing.assert_allclose(log_prob, model.log_prob(clip, conditions), rtol=1e-9)

    for index in range(batch):  # each video is a matter of its own row
        own = slice(index, index + 1)
        alone, _ = model.decode_with_log_prob(uniforms[own], given[own], row(conditions, index))
        np.testing.assert_array_equal(alone, decoded[own])
    traced = model.graphs.decode(model.config.predicted_frames, True)
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("variant", fast(["OTN", "OT"], 0))
def test_float32_likelihood_of_what_was_decoded(variant):
    model = random_video_model(variant, 2, 0.3, **FULL)
    given, conditions = random_frames(model, 2)[:, :2], random_sequences(model, 2)
    uniforms = random_video_uniforms(model, 2, dtype="float32")
    decoded, log_prob = model.decode_with_log_prob(uniforms, given, conditions)
    np.testing.assert_array_equal(model.decode(uniforms, given, conditions), decoded)  # unscored
    clip = np.concatenate([given, decoded], axis=1)
    np.testing.assert_allclose(log_prob, model.log_prob(clip, conditions), rtol=1e-4)


@pytest.mark.parametrize("variant", ["OT_baseline", "OTlogN"])
def test_mixed_precision(variant):
    model = random_video_model(variant, 2, 0.3, dtype="mixed_bfloat16", num_levels=256)
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    log_prob = model.log_prob(frames, conditions)
    assert log_prob.dtype == "float32" and np.isfinite(log_prob).all()
    assert model.sample(frames[:, :2], conditions).shape == (2, 3, 4, 4, 1)


# -- how many at once -----------------------------------------------------------------------------


def counted(model, monkeypatch, at_once):
    """The numbers of videos that the model decodes from now on, `at_once` of them together."""
    found, decode = [], model._decode

    def counting(sampler, uniforms, *rest, **options):
        found.append(len(uniforms))
        return decode(sampler, uniforms, *rest, **options)

    monkeypatch.setattr(model, "_decode", counting)
    one = batching.NUMBERS_AT_ONCE / videos_at_once(
        model.config, model.decoder.distribution.num_params, model.config.predicted_frames
    )
    monkeypatch.setattr(batching, "NUMBERS_AT_ONCE", int((at_once + 0.5) * one))
    return found


def test_videos_are_the_same_however_many_are_decoded_at_once(monkeypatch):
    model = random_video_model("OT", num_levels=256)
    given, conditions = random_frames(model, 5)[:, :2], random_sequences(model, 5)
    uniforms = random_video_uniforms(model, 5, dtype="float32")
    drawn = model.sample(given, conditions, seed=3)
    decoded = model.decode(uniforms, given, conditions)
    assert (drawn != model.sample(given, conditions, seed=4)).any()
    batches = counted(model, monkeypatch, 2)
    np.testing.assert_array_equal(model.sample(given, conditions, seed=3), drawn)
    np.testing.assert_array_equal(model.decode(uniforms, given, conditions), decoded)
    assert batches == [2, 2, 1] * 2


@pytest.mark.parametrize(
    "fields, num_frames, least, most",
    [
        ({"image_size": 32, "frame_stride": 2, "lstm_features": 32}, 18, 256, 10**4),  # by hundreds
        ({"image_size": 64, "lstm_features": 256}, 18, 16, 16),  # the paper's ConvLSTM
        ({"variant": "OT_baseline", "output": "softmax", "image_size": 64}, 18, 8, 21),
        ({"variant": "OTN", "output": "softmax", "image_size": 64}, 18, 8, 16),
        ({"variant": "OT_upscaler", "image_size": 64}, 18, 256, 512),
        ({"variant": "OT_upscaler", "image_size": 256}, 18, 16, 32),
        ({"variant": "OT_upscaler", "image_size": 256, "output": "softmax"}, 18, 5, 5),
        ({"variant": "OT_upscaler", "image_size": 256}, 1000, 1, 1),  # a long video
        (
            {"variant": "OT_upscaler", "image_size": 2048, "output": "softmax"},
            1,
            1,
            1,
        ),  # never none
    ],
)
def test_how_many_are_decoded_at_once(fields, num_frames, least, most):
    config = VideoConfig(**fields)
    channels = 1 if config.variant == "OT_baseline" else config.channels
    law = make_distribution(config.output, config.num_levels, channels, config.num_mixtures)
    assert least <= videos_at_once(config, law.num_params, num_frames) <= most


# -- super-resolution -----------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[{}, pytest.param(paper_values(VideoConfig), marks=pytest.mark.slow)],
    ids=["ours", "paper"],
)
def upscaler(request):
    fields = FULL | {"channels": 2, "image_size": (4, 6)} | request.param
    return random_video_model("OT_upscaler", 1, 0.4, dtype="float64", **fields)


def test_upscaling_keeps_what_is_given_and_is_the_same_by_all_samplers(upscaler):
    frames = random_frames(upscaler, 3)
    low, given, uniforms = frames[:, :, ::2, ::2], frames[:, :2], random_video_uniforms(upscaler, 3)
    large = upscaler.upscale(low, given, uniforms)
    assert large.dtype == np.uint8 and large.shape == frames.shape
    np.testing.assert_array_equal(large[:, :, ::2, ::2], low)
    np.testing.assert_array_equal(large[:, :2], given)
    for sampler in ("stepwise", "naive"):
        np.testing.assert_array_equal(
            upscaler.upscale(low, given, uniforms, sampler=sampler), large, err_msg=sampler
        )
    for index in range(3):
        own = slice(index, index + 1)
        alone = upscaler.upscale(low[own], given[own], uniforms[own])
        np.testing.assert_array_equal(alone, large[own])
    sequences = {"low": low.astype("int32")}
    with eagerly(True):
        _, accumulated = upscaler._decode("cached", uniforms, given.astype("int32"), sequences)
    np.testing.assert_allclose(accumulated, upscaler.log_prob(large), rtol=1e-9)


def test_upscaling_takes_clips_of_any_length_with_any_number_given(upscaler):
    """Built for 4 frames of which 2 are given; frame by frame it makes the same of 5 of 1."""
    frames = random_frames(upscaler, 5).reshape(2, 10, 4, 6, 2)[:, :5]
    low, uniforms = frames[:, :, ::2, ::2], np.random.default_rng(2).random((2, 4, 4, 6, 2))

    def upscale(given, stop, sampler):
        own = uniforms[:, given.shape[1] - 1 : stop - 1]
        return upscaler.upscale(low[:, :stop], given, own, sampler=sampler)

    large = upscale(frames[:, :1], 5, "cached")
    np.testing.assert_array_equal(large[:, :, ::2, ::2], low)
    np.testing.assert_array_equal(large[:, 0], frames[:, 0])
    for sampler, count, stop in (
        ("cached", 1, 3),
        ("cached", 2, 4),
        ("cached", 3, 5),
        ("stepwise", 1, 5),
        ("stepwise", 4, 5),
        ("naive", 3, 5),
    ):
        with eagerly(sampler == "naive"):
            again = upscale(large[:, :count], stop, sampler)
        np.testing.assert_array_equal(again, large[:, :stop], err_msg=f"{sampler} {count} {stop}")


@pytest.mark.slow
def test_frames_of_256_pixels_keep_what_is_given():
    """From 128; the first frame, and every second pixel of the others."""
    model = random_video_model(
        "OT_upscaler",
        1,
        0.3,
        image_size=256,
        channels=3,
        num_levels=256,
        num_frames=3,
        given_frames=1,
        num_mixtures=1,
        features=2,
        head_features=3,
        dtype="float64",
    )
    frames = random_frames(model, 1)
    low, uniforms = frames[:, :, ::2, ::2], random_video_uniforms(model, 1)
    large = model.upscale(low, frames[:, :1], uniforms)
    assert large.shape == frames.shape and large.dtype == np.uint8
    np.testing.assert_array_equal(large[:, :, ::2, ::2], low)
    np.testing.assert_array_equal(large[:, 0], frames[:, 0])
    assert large[:, 1:, 1::2].std() > 10
    with eagerly():
        stepwise = model.upscale(low, frames[:, :1], uniforms, sampler="stepwise")
    np.testing.assert_array_equal(stepwise, large)


def test_upscaling_draws_by_its_seed(upscaler):
    frames = random_frames(upscaler, 2)
    low, given = frames[:, :, ::2, ::2], frames[:, :2]
    first, again, other = (upscaler.upscale(low, given, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_upscaling_is_the_same_however_many_are_decoded_at_once(upscaler, monkeypatch):
    frames, uniforms = random_frames(upscaler, 5), random_video_uniforms(upscaler, 5)
    low, given = frames[:, :, ::2, ::2], frames[:, :2]
    decoded, drawn = upscaler.upscale(low, given, uniforms), upscaler.upscale(low, given, seed=3)
    batches = counted(upscaler, monkeypatch, 2)
    np.testing.assert_array_equal(upscaler.upscale(low, given, uniforms), decoded)
    np.testing.assert_array_equal(upscaler.upscale(low, given, seed=3), drawn)
    assert batches == [2, 2, 1] * 2
