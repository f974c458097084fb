"""Actions and states of files are taken whole or refused; states follow as the arm does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data.procedural.push_physics import FOLLOW, Table
from ms_pixelcnn_tf.generation import driving
from support.errors import refuses

CLIPS, STEPS, WIDTH = 3, 6, 5


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def read(path):
    return driving.read_values(str(path), "actions", CLIPS, STEPS, WIDTH)


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "float16", "int8", "uint8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_file_for_all_clips_or_a_row_each(tmp_path, dtype, order):
    each = (100 * np.abs(noise(CLIPS, STEPS, WIDTH))).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(each, order=order))
    found = read(tmp_path / "a.npy")
    assert found.dtype == np.float32 and found.flags.writeable
    np.testing.assert_array_equal(found, each.astype("float32"))
    np.save(tmp_path / "b.npy", np.asarray(each[1], order=order))
    np.testing.assert_array_equal(read(tmp_path / "b.npy"), np.stack([each[1]] * CLIPS))


def with_value(value):
    values = noise(STEPS, WIDTH).astype("float64")
    values[4, 2] = value
    return values


@pytest.mark.parametrize(
    "values, facts",
    [
        (noise(STEPS - 1, WIDTH), ([5, 5], [6, 5], [3, 6, 5])),
        (noise(STEPS, WIDTH + 1), ([6, 6], [6, 5])),
        (noise(CLIPS + 1, STEPS, WIDTH), ([4, 6, 5], [6, 5])),
        (noise(1, STEPS, WIDTH), ([1, 6, 5], [6, 5])),
        (noise(STEPS), ([6], [6, 5])),
        (np.float32(1), ([], [6, 5])),
        (np.empty((0, WIDTH), "float32"), ([0, 5], [6, 5])),
        (with_value(np.nan), ("nan", "frame 4", "number 2", "finite")),
        (with_value(-np.inf), ("-inf", "frame 4", "number 2")),
        (with_value(1e300), ("inf", "frame 4", "number 2")),
        (noise(STEPS, WIDTH).astype(complex), ("complex128", "floats")),
        (noise(STEPS, WIDTH) > 0, ("bool", "floats")),
        (np.full((STEPS, WIDTH), "1.0"), ("<U3", "floats")),
        (np.zeros((STEPS, WIDTH), "datetime64[s]"), ("datetime64[s]", "floats")),
        (np.zeros((STEPS, WIDTH), [("x", "f4")]), ("[('x', '<f4')]", "floats")),
        (noise(STEPS, WIDTH).astype(object), (".npy", "numpy.save")),  # pickled
        ({"actions": 1}, (".npy", "numpy.save")),
    ],
)
def test_what_is_no_such_array_is_told(tmp_path, values, facts):
    np.save(tmp_path / "a.npy", values)
    with refuses("--actions", tmp_path / "a.npy", *facts):
        read(tmp_path / "a.npy")


def test_what_is_no_such_file_is_told(tmp_path):
    with refuses("--actions", "no file", tmp_path / "absent.npy"):
        read(tmp_path / "absent.npy")
    with refuses("--actions", tmp_path, "Is a directory"):
        read(tmp_path)
    np.savez(tmp_path / "a.npz", a=noise(STEPS, WIDTH))
    with refuses("--actions", tmp_path / "a.npz", "several arrays", ".npy"):
        read(tmp_path / "a.npz")
    np.save(tmp_path / "good.npy", noise(STEPS, WIDTH))
    whole = (tmp_path / "good.npy").read_bytes()
    damaged = [b"", b"not numpy", whole[:4], whole[:50], whole[:-8], b"PK\3\4 no zip", b"\x80\4N."]
    for content in [*damaged, whole.replace(b"'descr'", b"'descx'")]:
        (tmp_path / "bad.npy").write_bytes(content)
        with refuses("--actions", tmp_path / "bad.npy"):
            read(tmp_path / "bad.npy")


def test_a_header_that_promises_too_much_reserves_no_memory(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**20, 5)}
        )
    with refuses("--actions", tmp_path / "a.npy", "numpy.save"):
        read(tmp_path / "a.npy")


def test_states_follow_as_the_arm_over_an_empty_table():
    actions, states = noise(2, STEPS, WIDTH), noise(2, STEPS, WIDTH, seed=1)
    found = driving.follow(states, actions, 2, FOLLOW)
    np.testing.assert_array_equal(found[:, :2], states[:, :2])
    for clip in range(2):
        table = Table([], [], states[clip, 1].tolist())
        for t in range(1, STEPS - 1):
            table.step(actions[clip, t].tolist())
            np.testing.assert_allclose(found[clip, t + 1], table.pose, atol=1e-6)


def test_states_follow_as_the_data_has_them_where_nothing_jams():
    source = data.load("shapes_push", image_size=8)
    clips = source.examples("test_seen", np.arange(50), ("actions", "states"))
    found = driving.follow(clips["states"], clips["actions"], 2, driving.FOLLOW["shapes_push"])
    same = np.abs(found - clips["states"]).max(axis=(1, 2)) < 1e-5
    assert same.mean() > 0.5  # in the others the arm stalled once


@settings(max_examples=30, deadline=None)
@given(st.integers(1, STEPS - 1), st.integers(0, 99))
def test_what_led_to_the_given_frames_stays(frames, seed):
    clip = {"actions": noise(2, STEPS, 4), "states": noise(2, STEPS, 3, seed=1)}
    actions, states = noise(2, STEPS, 4, seed=seed + 2), noise(2, STEPS, 3, seed=seed + 200)
    driven = driving.drive("any", clip, frames, actions, states)
    for field, values, start in (("actions", actions, frames - 1), ("states", states, frames)):
        np.testing.assert_array_equal(driven[field][:, :start], clip[field][:, :start])
        np.testing.assert_array_equal(driven[field][:, start:], values[:, start:])
    only = driving.drive("any", {"actions": clip["actions"]}, frames, actions)
    np.testing.assert_array_equal(only["actions"], driven["actions"])
    assert set(only) == {"actions"}


def test_states_that_do_not_follow_are_asked_for():
    clip = {"actions": noise(2, STEPS, 4), "states": noise(2, STEPS, 3)}
    with refuses("bair_robot_pushing_small", "--states"):
        driving.drive("bair_robot_pushing_small", clip, 2, clip["actions"])
    push = {"actions": noise(2, STEPS, 5), "states": noise(2, STEPS, 5, seed=1)}
    driven = driving.drive("shapes_push", push, 2, noise(2, STEPS, 5, seed=3))
    np.testing.assert_array_equal(driven["states"][:, :2], push["states"][:, :2])
    assert (driven["states"][:, 2:] != push["states"][:, 2:]).all()
