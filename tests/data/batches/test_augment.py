"""Changed clips: mirrored ones keep their physics, jittered ones move as a whole; both resume."""

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.batches import augment, draws, pipeline
from ms_pixelcnn_tf.data.procedural.shapes_push import SEEN_CAMERA
from support.errors import refuses
from support.runs import TinyFilm, TinySource

SIDE = 96
OPENING, X, YAW = 4, 0, 3


def clips(count=3, frames=4, height=32, width=48, channels=3):
    shape = (count, frames, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def test_a_mirror_turns_the_picture_and_what_tells_of_sides_and_twice_is_none():
    film = TinyFilm()
    examples = film.examples("train", np.arange(4)) | {"title": np.arange(4)}
    coins = np.array([True, False, True, False])
    mirrored = augment.mirror(examples, coins, film.lateral)
    for row, coin in enumerate(coins):
        side = -1 if coin else 1
        np.testing.assert_array_equal(
            mirrored["frames"][row], examples["frames"][row][:, :, ::side]
        )
        np.testing.assert_array_equal(
            mirrored["actions"][row], examples["actions"][row] * [side, 1, side]
        )
        np.testing.assert_array_equal(mirrored["states"][row], examples["states"][row] * [1, side])
    again = augment.mirror(mirrored, coins, film.lateral)
    for field, values in examples.items():
        np.testing.assert_array_equal(again[field], values)
        assert mirrored[field].dtype == values.dtype


def fingers(frame):
    """Columns and rows of the gripper's fingers, the brightest things there are."""
    rows, columns = np.nonzero(frame.min(axis=-1) > 205)
    return columns, rows


def test_in_a_mirrored_video_the_gripper_is_where_its_state_says():
    source = data.load("shapes_push", image_size=SIDE)
    examples = source.examples("train", np.arange(12))
    pixels_a_unit, turned = SIDE / SEEN_CAMERA.view, 0
    for coins in (np.zeros(12, bool), np.ones(12, bool)):
        changed = augment.mirror(examples, coins, source.lateral)
        for frames, states in zip(changed["frames"], changed["states"], strict=True):
            for frame, state in zip(frames[::3], states[::3], strict=True):
                columns, rows = fingers(frame)
                if len(columns) < 12 or abs(state[:2]).max() > 0.8:
                    continue
                assert abs(columns.mean() + 0.5 - SIDE / 2 - pixels_a_unit * state[X]) < 2
                twice_yaw = np.sin(np.pi * state[YAW])
                if state[OPENING] > 0 and abs(twice_yaw) > 0.6:
                    # The fingers stand side by side across the push, turned by the yaw.
                    assert np.sign(np.cov(columns, rows)[0, 1]) == -np.sign(twice_yaw)
                    turned += 1
    assert turned > 20
    mirrored = augment.mirror(examples, np.ones(12, bool), source.lateral)
    gaps = examples["actions"] - examples["states"]  # what moves it is mirrored as where it is
    np.testing.assert_allclose(
        mirrored["actions"] - mirrored["states"], gaps * [-1, 1, 1, -1, 1], atol=1e-6
    )


@pytest.mark.parametrize("down, right", [(-2, -3), (0, 0), (2, 3), (1, -2)])
def test_jitter_shifts_a_clip_as_a_whole_and_repeats_its_edges(down, right):
    frames = clips(1)
    uniforms = np.array([[(down + 2.5) / 5, (right + 3.5) / 7, 0.5, 0.5, 0.5]])
    (jittered,) = augment.jitter(frames, uniforms)
    padded = np.pad(frames[0], ((0, 0), (2, 2), (3, 3), (0, 0)), mode="edge")
    expected = padded[:, 2 - down : 34 - down, 3 - right : 51 - right]
    np.testing.assert_array_equal(jittered, expected)


def test_jitter_scales_each_colour_of_a_clip_within_a_tenth():
    frames = clips(2)
    frames[:, 1:] = frames[:, :1]
    uniforms = np.full((2, 5), 0.5)
    uniforms[0, 2:], uniforms[1, 2:] = (0.0, 0.25, 1 - 1e-9), (0.5, 1 - 1e-9, 0.0)
    jittered = augment.jitter(frames, uniforms)
    for clip, original, gains in zip(
        jittered, frames, ([0.9, 0.95, 1.1], [1, 1.1, 0.9]), strict=True
    ):
        scaled = np.rint(original * np.array(gains)).clip(0, 255)
        assert abs(clip - scaled).max() <= 1  # of halves, float32 may round either way
        assert (clip == clip[:1]).all()
    assert jittered.dtype == np.uint8


def test_small_frames_are_not_shifted():
    frames = clips(height=8, width=15)
    uniforms = np.random.default_rng(1).random((3, 5))
    uniforms[:, 2:] = 0.5
    np.testing.assert_array_equal(augment.jitter(frames, uniforms), frames)


def batches(source, **options):
    options = {"batch_size": 4, "seed": 2, "fields": ("frames", "actions", "states")} | options
    return pipeline.training_batches(source, **options).as_numpy_iterator()


CHANGES = {"augment": ("jitter", "mirror"), "random_crop": True}


@pytest.mark.parametrize("start", [1, 5])
def test_changed_clips_resume_exactly(start):
    source = TinyFilm(side=32)
    going_on, resumed = batches(source, **CHANGES), batches(source, start_step=start, **CHANGES)
    for _ in range(start):
        next(going_on)
    for _ in range(3):
        expected, got = next(going_on), next(resumed)
        for field in expected:
            np.testing.assert_array_equal(got[field], expected[field])


def test_the_stream_holds_what_the_functions_give():
    source = TinyFilm(side=32)
    positions = np.arange(13, 17)  # of the second epoch
    order = draws.epoch_permutation(13, 2, 1)[: len(positions)]
    examples = source.examples("train", order)
    coins = draws.flip_coins(2, positions)
    assert 0 < coins.sum() < 4
    examples = augment.mirror(examples, coins, source.lateral)
    uniforms = draws.jitter_uniforms(2, positions, 1)
    assert uniforms.shape == (4, 3) and len(np.unique(uniforms)) == uniforms.size
    examples["frames"] = augment.jitter(examples["frames"], uniforms)
    stream = batches(source, batch_size=1, start_step=13, augment=("mirror", "jitter"))
    for row in range(4):
        batch = next(stream)
        for field, values in examples.items():
            np.testing.assert_array_equal(batch[field][0], values[row])


def test_what_to_sample_the_past_with_is_drawn_anew_and_resumes():
    source = TinyFilm()
    with_draws, plain = batches(source, past_samples=2, **CHANGES), batches(source, **CHANGES)
    resumed = batches(source, past_samples=2, start_step=1, **CHANGES)
    found = {"uniforms": [], "chances": []}
    for step in range(40):
        batch, original = next(with_draws), next(plain)
        for field, values in original.items():
            np.testing.assert_array_equal(batch[field], values)
        length = batch["frames"].shape[1]
        assert batch["uniforms"].shape == (len(batch["frames"]), 2, *batch["frames"].shape[1:])
        assert batch["chances"].shape == (len(batch["frames"]), 2, length)
        if step:
            again = next(resumed)
        for field, values in found.items():
            values.append(batch[field])
            if step:
                np.testing.assert_array_equal(again[field], batch[field])
    for values in found.values():
        values = np.concatenate(values).ravel()
        assert 0 <= values.min() < 0.05 and 0.95 < values.max() < 1
        assert abs(values.mean() - 0.5) < 4 * 12**-0.5 * len(values) ** -0.5  # its deviation
        assert len(np.unique(values)) > 0.99 * len(values)
    assert not found.keys() & original.keys()


@pytest.mark.parametrize(
    "options, facts",
    [
        ({"past_samples": -1}, ("past_samples", -1, "integer", 0)),
        ({"past_samples": 1, "fields": ("actions",)}, ("past_samples", 1, "frames")),
        ({"map_noise": -1.0}, ("map_noise", -1.0, "0 to 1")),
    ],
)
def test_draws_that_cannot_be_are_told(options, facts):
    with refuses(*facts):
        batches(TinyFilm(), **options)


def test_what_is_drawn_for_a_position_stays_what_it_was():
    """A run goes on by them, whatever version began it."""
    drawn = draws.jitter_uniforms(2, np.arange(13, 15), 1)
    expected = [[0.80689587, 0.7709254, 0.76212252], [0.88820413, 0.60564698, 0.70101107]]
    np.testing.assert_allclose(drawn, expected, atol=1e-8)
    drawn = draws.uniforms(0, draws.CLASSES, np.arange(2))
    np.testing.assert_allclose(drawn, [0.14868611, 0.55831068], atol=1e-8)
    (drawn,) = draws.point_uniforms(0, np.arange(1), 1)
    np.testing.assert_allclose(drawn, [0.71652518, 0.86507437, 0.20213547], atol=1e-8)
    (drawn,) = draws.sample_uniforms(0, [3], (2, 2))
    np.testing.assert_allclose(
        drawn, [[0.64761997, 0.9319829], [0.50490052, 0.00110848]], atol=1e-7
    )
    (drawn,) = draws.chances(0, np.array([3]), (1, 2))
    np.testing.assert_allclose(drawn, [[0.42302152, 0.55499247]], atol=1e-8)


def test_videos_start_at_random_places():
    source = TinyFilm()
    stream = batches(source, random_crop=True)
    frames = source.sequences["train"]["frames"]
    starts = set()
    for _ in range(10):
        for clip in next(stream)["frames"]:
            starts |= {
                start
                for start in range(4)
                if (frames[:, start : start + 4] == clip).all(axis=(1, 2, 3, 4)).any()
            }
    assert starts == {0, 1, 2, 3}


class Unknown(TinyFilm):
    """Frames can be mirrored; what actions and states tell of sides is not known."""

    lateral = {}
    mirrored_fields = ("frames",)


def test_what_cannot_be_mirrored_is_told():
    with refuses("mirror", "actions", "states", "tiny_film"):
        batches(Unknown(), augment=("mirror",))
    with refuses("mirror", "states", "tiny_film") as refused:
        batches(Unknown(), augment=("mirror",), fields=("frames", "states"))
    assert "actions" not in str(refused.value)
    alone = next(batches(Unknown(), augment=("mirror",), fields=("frames",)))
    assert alone.keys() == {"frames"}
    assert next(batches(Unknown(), augment=("jitter",))).keys() == {"frames", "actions", "states"}
    with refuses("images", "augment", "flip"):
        batches(TinySource(), augment=("mirror",), fields=("image",))
    with refuses("shapes_push", "video", "random_crop"):
        batches(data.load("shapes_push", image_size=8), random_crop=True)


@pytest.mark.parametrize(
    "name, names", [("none", ()), ("mirror", ("mirror",)), ("mirror,jitter", ("jitter", "mirror"))]
)
def test_augment_is_told_by_name_in_any_order(name, names):
    train = make_run(variant="OT", augment=name).train
    assert train.augmentations == names and train.augment == (",".join(names) or "none")
