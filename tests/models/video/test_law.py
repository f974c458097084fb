"""The likelihood of videos: it adds up to 1, alone and rolled out, and every variable learns."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.models.video import rollout
from support.cases import fast
from support.models import (
    PAPER_PAST,
    PAPER_PIXELS,
    TYPE_B,
    VIDEO_VARIANTS,
    make_video_model,
    random_frames,
    random_sequences,
    random_video_model,
    random_video_uniforms,
)

ONE_FRAME = {"num_frames": 3}
GRAY = {"image_size": 4, "base_size": 2, "channels": 1}  # 65,536 frames
RGB = {"image_size": 2, "base_size": 1, "channels": 3, "frame_stride": 2}  # 4,096 frames
PAPERS = pytest.mark.parametrize(
    "fields",
    [{}, *(pytest.param(fields, marks=pytest.mark.slow) for fields in (PAPER_PIXELS, PAPER_PAST))],
    ids=["ours", "paper-pixels", "paper-past"],
)


def all_frames(model, low=None):
    """Every frame of two levels, `[N, H, W, C]`; if `low` is given, those that it is part of."""
    shape = (*model.config.image_size, model.config.channels)
    free = np.ones(shape, bool)
    if low is not None:
        free[::2, ::2] = False
    count = int(free.sum())
    frames = np.zeros((2**count, *shape), "uint8")
    frames[:, free] = np.arange(2**count)[:, None] >> np.arange(count) & 1
    if low is not None:
        frames[:, ::2, ::2] = low
    return frames


def law_of_last_frame(model, seed, chunk=16384):
    """p of every last frame there is, given one random past."""
    past, conditions = random_frames(model, 1, seed), random_sequences(model, 1, seed)
    low = past[0, -1, ::2, ::2] if model.upscales else None
    everything, law = all_frames(model, low), []
    for start in range(0, len(everything), chunk):
        last = everything[start : start + chunk]
        frames = np.repeat(past, len(last), axis=0)
        frames[:, -1] = last
        own = conditions and {k: np.repeat(v, len(last), axis=0) for k, v in conditions.items()}
        law.append(np.exp(np.asarray(model.log_prob(frames, own), "float64")))
    return np.concatenate(law)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "pasts, shape",
    [
        (1, GRAY),
        (2, RGB),  # 4,096
        (2, RGB | PAPER_PIXELS),
        pytest.param(2, RGB | PAPER_PAST, marks=pytest.mark.slow),
    ],
    ids=["gray4x4", "rgb2x2", "rgb2x2-paper-pixels", "rgb2x2-paper-past"],
)
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_all_frames_have_probability_one(variant, pasts, shape):
    model = random_video_model(variant, 1, 0.25, **ONE_FRAME, **shape)
    laws = [law_of_last_frame(model, seed) for seed in range(pasts)]
    for law in laws:
        assert law.sum() == pytest.approx(1.0, abs=1e-4)
        assert law.std() > 0.1 * law.mean(), "the law should be far from uniform"
        assert law.max() < 0.3, "the law should not sit on one frame"
    assert pasts == 1 or np.abs(laws[0] - laws[1]).sum() > 1e-3, "the past should matter"


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("variant", ["OT", "OTlogN", "OT_upscaler"])
def test_all_frames_have_probability_one_by_type_b(variant):
    """Groups of 2x2 pixels, one patch each."""
    model = random_video_model(variant, 1, 0.25, **ONE_FRAME, **GRAY, **TYPE_B)
    law = law_of_last_frame(model, 0)
    assert law.sum() == pytest.approx(1.0, abs=1e-4)
    assert 0.1 * law.mean() < law.std() and law.max() < 0.3


@pytest.mark.usefixtures("eagerly")
def test_the_proof_sees_a_leak(monkeypatch):
    """Given itself in place of the frame before, a frame tells its own probability."""

    def leaking(model, frames, sequences, seen):
        past, own = teacher_forced(model, frames, sequences)
        return past._replace(previous=own), own

    teacher_forced = rollout.teacher_forced
    monkeypatch.setattr(rollout, "teacher_forced", leaking)
    model = random_video_model("OT_baseline", 1, 0.3, **ONE_FRAME, image_size=2)
    assert abs(law_of_last_frame(model, 1).sum() - 1.0) > 1e-3


def rolled_out(model, frames, conditions):
    """`log_prob_by_frame` frame by frame, as decoding goes, with true frames for decoded ones."""
    count, inputs = model.config.given_frames, conditions or {"low": frames[:, 1:, ::2, ::2]}
    state = rollout.start(model, frames[:, :count], {k: v[:, :count] for k, v in inputs.items()})
    found = {name: [] for name in model.term_dims}
    for time in range(count, frames.shape[1]):
        own = {name: values[:, time - 1] for name, values in inputs.items()}
        state, context = rollout.advance(model, state, frames[:, time - 1], own)
        for name, term in model.decoder.log_prob_terms(context, frames[:, time]).items():
            found[name].append(term)
    return {name: np.stack(terms, axis=1) for name, terms in found.items()}


@PAPERS
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_roll_out_with_the_true_frames_gives_the_likelihood(variant, fields):
    """In float32, and over a clip long enough for the ConvLSTM's state to drift."""
    model = random_video_model(
        variant,
        3,
        0.3,
        num_frames=9,
        channels=3,
        num_levels=256,
        image_size=(4, 8),
        base_size=(2, 4),
        frame_stride=2,
        **fields,
    )
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    at_once = model.log_prob_by_frame(frames, conditions)
    rolled = rolled_out(model, frames.astype("int32"), conditions)
    terms = model.log_prob_terms(frames, conditions)
    assert list(terms) == list(at_once) == list(rolled) == list(model.term_dims)
    assert sum(model.term_dims.values()) == 7 * 4 * 8 * 3 * (0.75 if model.upscales else 1)
    for name, by_frame in at_once.items():
        assert by_frame.shape == (2, 7) and by_frame.dtype == "float32"
        np.testing.assert_allclose(rolled[name], by_frame, rtol=1e-4)
        np.testing.assert_allclose(np.sum(by_frame, axis=1), terms[name], rtol=1e-5)
    total = np.asarray(model.log_prob(frames, conditions))
    np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-5)
    np.testing.assert_array_equal(total, sum(model(frames, conditions).values()))


@PAPERS
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_every_variable_gets_a_gradient_the_same_in_a_graph(variant, fields):
    model = random_video_model(
        variant,
        4,
        0.3,
        dtype="float64",
        frame_stride=2,
        channels=2,  # of one, mask A would leave nothing of the values
        num_levels=4,
        num_frames=4,
        **fields,
    )
    frames = tf.constant(random_frames(model, 4), tf.int32)
    conditions = random_sequences(model, 4) or {}
    variables = [variable.value for variable in model.trainable_variables]
    gradients, eager = [], functools.partial(rollout.log_prob_by_frame, model)
    for by_frame in (model.graphs.log_prob_by_frame, eager):
        with tf.GradientTape() as tape:
            terms = by_frame(frames, conditions).values()
            total = tf.add_n([tf.reduce_sum(term) for term in terms])
        gradients.append(tape.gradient(total, variables))
    for variable, compiled, eager in zip(model.trainable_variables, *gradients, strict=True):
        assert np.abs(compiled).max() > 0, variable.path
        np.testing.assert_allclose(compiled, eager, rtol=1e-7, atol=1e-9, err_msg=variable.path)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_a_fresh_model_expects_the_frame_before(variant):
    """Still scenes are likely from the start: what does not move is what was there."""
    keras.utils.set_random_seed(5)
    model = make_video_model(variant, num_levels=256, channels=3)
    noise = random_frames(model, 4)
    still = np.repeat(noise[:, :1], 5, axis=1)
    conditions = random_sequences(model, 4)
    ours, others = (np.mean(model.log_prob(frames, conditions)) for frames in (still, noise))
    per_pixel = (others - ours) / sum(model.term_dims.values())
    assert per_pixel < -1.0, f"noise is {per_pixel:.2f} nats a sub-pixel above a still scene"


@pytest.mark.parametrize("group", [1, 2, 3, 4])
def test_a_groups_first_prediction_is_the_group_of_the_frame_before(group):
    model = make_video_model("OT", num_levels=256, channels=3)
    before, own = (pixels.split_groups(random_frames(model, 2, seed)[:, 0]) for seed in (1, 2))
    context = np.concatenate(before + own[: group - 1], axis=-1)
    hidden = np.zeros((2, 2, 2, model.config.lstm_features), "float32")
    _, prediction = model.decoder.scale.upscalers[group - 1].trunk(context, hidden)
    expected = pixels.to_unit(np.asarray(before[group - 1]), 256, "float32")
    np.testing.assert_allclose(prediction, expected, atol=1e-6)


@pytest.mark.parametrize("softmax_law", ["tent", "free"])
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_start_at_marginal_sets_a_softmax_with_a_tent_only(variant, softmax_law):
    model = make_video_model(variant, num_levels=3, channels=3, softmax_law=softmax_law)
    counts = np.array([[7, 1, 0], [0, 3, 5], [2, 2, 4]])
    biases = model.decoder.output_biases()
    before = [keras.ops.convert_to_numpy(bias).copy() for bias in biases]
    model.start_at_marginal(counts)
    for old, new in zip(before, map(keras.ops.convert_to_numpy, biases), strict=True):
        if model.config.output == "dmol" or softmax_law == "free":
            np.testing.assert_array_equal(new, old)
        else:
            new, old = new.reshape(3, -1), old.reshape(3, -1)
            np.testing.assert_allclose(np.exp(new[:, :3]), (counts + 1) / 11, rtol=1e-5)
            np.testing.assert_array_equal(new[:, 3:], old[:, 3:])


@PAPERS
@pytest.mark.parametrize("variant", VIDEO_VARIANTS)
def test_keras_file_round_trip(variant, fields, tmp_path):
    model = random_video_model(variant, **fields)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.config == model.config and again.name == model.name
    assert [v.path for v in again.variables] == [v.path for v in model.variables]
    frames, conditions = random_frames(model, 3), random_sequences(model, 3)
    np.testing.assert_array_equal(
        model.log_prob(frames, conditions), again.log_prob(frames, conditions)
    )


# -- crops ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_terms_of_crops():
    """Whole where the crop covers the frame, and else those of the crop by itself, scaled up."""
    model, corner = (
        random_video_model("OT_upscaler", 3, 0.3, image_size=size, num_levels=256, channels=2)
        for size in ((8, 16), (4, 4))
    )
    frames = random_frames(model, 3)
    whole = model.log_prob_terms(frames)
    offsets = np.array([[0.0, 0.0], [0.9, 0.5], [0.4, 0.99]], "float32")
    covered = model.cropped_log_prob_terms(frames, None, 16, offsets)
    cropped = model.cropped_log_prob_terms(frames, None, 4, offsets)
    cuts = [
        frames[index, :, row : row + 4, column : column + 4]
        for index, (row, column) in enumerate([(0, 0), (4, 6), (2, 12)])
    ]
    expected = corner.log_prob_terms(np.stack(cuts))
    for group in (2, 3, 4):
        name = f"4x8to8x16/group{group}"
        np.testing.assert_allclose(covered[name], whole[name], rtol=1e-5)
        np.testing.assert_allclose(cropped[name], 8 * expected[f"2to4/group{group}"], rtol=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_other_variants_are_scored_whole():
    model = random_video_model("OT")
    frames, conditions = random_frames(model, 2), random_sequences(model, 2)
    whole = model.log_prob_terms(frames, conditions)
    cropped = model.cropped_log_prob_terms(frames, conditions, 2, np.zeros((2, 2), "float32"))
    for name in whole:
        np.testing.assert_array_equal(cropped[name], whole[name])


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("variant", ("OTN", "OTlogN"))
def test_frames_are_scored_given_those_that_are_seen(variant):
    model = random_video_model(variant, 1, 0.25)
    frames, others = random_frames(model, 2, 0), random_frames(model, 2, 1)
    conditions = random_sequences(model, 2, 0)

    def nats(seen, own):
        return np.asarray(sum(model.log_prob_terms_given(own, seen, conditions).values()))

    true = np.asarray(model.log_prob(frames, conditions))
    np.testing.assert_allclose(nats(frames, frames), true, rtol=1e-5)
    # Every seen frame but the last counts, and each predicted frame is scored as it truly is.
    for time in range(model.config.num_frames):
        seen, own = frames.copy(), frames.copy()
        seen[:, time] = own[:, time] = others[:, time]
        last, given = time == model.config.num_frames - 1, time < model.config.given_frames
        assert np.allclose(nats(seen, frames), true, rtol=1e-5) == last
        assert np.allclose(nats(frames, own), true, rtol=1e-5) == given


@pytest.mark.parametrize("variant", fast(VIDEO_VARIANTS[:-1], VIDEO_VARIANTS.index("OTN")))
def test_passes_of_samples_lead_to_a_roll_out(variant):
    """Each pass with the same uniforms: the first p frames are then those of a roll-out."""
    model = random_video_model(variant, dtype="float64")
    frames, conditions = random_frames(model, 3), random_sequences(model, 3)
    count, length = model.config.given_frames, model.config.predicted_frames
    drawn = random_video_uniforms(model, 3)
    rolled = model.decode(drawn, frames[:, :count], conditions)
    assert (rolled != frames[:, count:]).any()
    uniforms = np.concatenate([np.zeros_like(drawn[:, :count]), drawn], axis=1)
    for passes in (1, 2, length):
        repeated = np.repeat(uniforms[:, None], passes, axis=1)
        chosen = np.ones(repeated.shape[:3], bool)
        seen = np.asarray(model.sampled_past(frames, repeated, chosen, conditions))
        np.testing.assert_array_equal(seen[:, :count], frames[:, :count])
        np.testing.assert_array_equal(seen[:, count : count + passes], rolled[:, :passes])
        if passes == 1:
            # Only what is chosen changes, and from true frames.
            chosen[:, :, ::2] = False
            mixed = np.asarray(model.sampled_past(frames, repeated, chosen, conditions))
            np.testing.assert_array_equal(mixed[:, ::2], frames[:, ::2])
            np.testing.assert_array_equal(mixed[:, 1::2], seen[:, 1::2])
