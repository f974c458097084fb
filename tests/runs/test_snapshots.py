"""Checkpoints are whole or absent, and the newest sound one is read."""

import contextlib
import resource

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.runs import snapshots
from support.errors import refuses, warns


class Weights:
    """Two variables and their checkpoint."""

    def __init__(self, shape=(300,)):
        self.variables = {name: tf.Variable(tf.zeros(shape)) for name in ("a", "b")}
        self.checkpoint = tf.train.Checkpoint(**self.variables)

    def fill(self, value):
        for variable in self.variables.values():
            variable.assign(tf.fill(variable.shape, float(value)))

    def values(self):
        return {float(v) for variable in self.variables.values() for v in variable.numpy().ravel()}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of the steps 2, 9 and 10, filled with their numbers."""
    weights = Weights()
    for step in (2, 9, 10):
        weights.fill(step)
        snapshots.write(weights.checkpoint, tmp_path, step, kept=3)
    return tmp_path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_last_ones_stay_in_the_order_of_numbers(folder):
    assert snapshots.steps(folder) == [2, 9, 10]
    weights = Weights()
    assert snapshots.read_newest(weights.checkpoint, folder) == 10 and weights.values() == {10}
    snapshots.write(weights.checkpoint, folder, 11, kept=2)
    assert snapshots.steps(folder) == [10, 11]
    assert len(content(folder)) == 4
    assert snapshots.read_newest(weights.checkpoint, folder / "none") is None


def damage_byte(place):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[place if place >= 0 else len(content) + place] ^= 0x40
        path.write_bytes(content)

    return damage


def cut(length):
    return lambda path: path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize(
    "suffix, damage",
    [
        ("data-00000-of-00001", damage_byte(5)),
        ("data-00000-of-00001", damage_byte(-3)),
        ("data-00000-of-00001", cut(100)),
        ("data-00000-of-00001", cut(0)),
        ("data-00000-of-00001", lambda path: path.unlink()),
        ("index", damage_byte(3)),
        ("index", damage_byte(-5)),
        ("index", cut(40)),
        ("index", cut(0)),
        ("index", lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n.")),
    ],
)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_read(folder, suffix, damage):
    damage(folder / f"step-10.{suffix}")
    weights = Weights()
    with warns(folder / "step-10", "damaged", "step 9"):
        assert snapshots.read_newest(weights.checkpoint, folder) == 9
    assert weights.values() == {9}


def test_damage_may_go_further_back_but_not_to_the_end(folder):
    for step in (10, 9):
        damage_byte(5)(folder / f"step-{step}.data-00000-of-00001")
    weights = Weights()
    with pytest.warns(UserWarning) as warned:
        assert snapshots.read_newest(weights.checkpoint, folder) == 2
    assert len(warned) == 2 and weights.values() == {2}
    cut(3)(folder / "step-2.index")
    with pytest.warns(UserWarning), refuses(folder / "step-2", "damaged", "none before"):
        snapshots.read_newest(weights.checkpoint, folder)


def test_an_index_lost_is_a_checkpoint_absent(folder):
    (folder / "step-10.index").unlink()
    weights = Weights()
    assert snapshots.read_newest(weights.checkpoint, folder) == 9
    snapshots.write(weights.checkpoint, folder, 12, kept=5)  # which clears what is left of it
    assert not list(folder.glob("step-10*"))


def test_another_models_checkpoint_is_told_and_not_passed_over(folder):
    with refuses(folder / "step-10", "another model"):
        snapshots.read_newest(Weights((7,)).checkpoint, folder)
    more = tf.train.Checkpoint(a=tf.Variable(tf.zeros(300)), c=tf.Variable(tf.zeros(3)))
    with refuses(folder / "step-10", "another model"):
        snapshots.read_newest(more, folder)


@contextlib.contextmanager
def no_file_longer_than(length):
    """What a write beyond it meets is the error of a full disk, but for its number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("length", [0, 100, 2000])
def test_a_full_disk_leaves_the_old_ones_intact(folder, length):
    before, weights = content(folder), Weights()
    weights.fill(11)
    with no_file_longer_than(length), refuses("step 11", "cannot be saved", folder, "step 10"):
        snapshots.write(weights.checkpoint, folder, 11, kept=1)
    assert content(folder) == before
    snapshots.write(weights.checkpoint, folder, 11, kept=1)
    assert snapshots.steps(folder) == [11]


def test_what_a_dying_process_left_is_cleared(folder):
    (folder / ".saving.data-00000-of-00001").write_bytes(b"half")
    (folder / ".saving_temp").mkdir()
    (folder / ".saving_temp" / "part-00000-of-00001.data").write_bytes(b"half")
    (folder / "step-11.data-00000-of-00001").write_bytes(b"no index yet")
    assert snapshots.steps(folder) == [2, 9, 10]
    snapshots.write(Weights().checkpoint, folder, 11, kept=2)
    assert sorted(content(folder)) == sorted(
        f"step-{step}.{suffix}" for step in (10, 11) for suffix in ("data-00000-of-00001", "index")
    )


def test_what_is_read_is_what_was_written(tmp_path):
    weights, values = Weights(), np.random.default_rng(0).normal(size=300).astype("float32")
    weights.variables["a"].assign(values)
    snapshots.write(weights.checkpoint, tmp_path, 1, kept=1)
    other = Weights()
    snapshots.read_newest(other.checkpoint, tmp_path)
    np.testing.assert_array_equal(other.variables["a"], values)


def test_what_is_written_stays_though_later_steps_are_there(folder):
    """After a fall back to an older checkpoint, or a best one of steps that are taken anew."""
    weights = Weights()
    weights.fill(3)
    snapshots.write(weights.checkpoint, folder, 3, kept=1)
    assert snapshots.steps(folder) == [3]
    assert snapshots.read_newest(weights.checkpoint, folder) == 3 and weights.values() == {3}
