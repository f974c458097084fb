"""Damaged examples are replaced in training, and only there, up to a limit."""

import numpy as np
import pytest

from ms_pixelcnn_tf.data.batches.damaged import Tolerance
from ms_pixelcnn_tf.data.batches.pipeline import evaluation_batches, iterate, training_batches
from ms_pixelcnn_tf.errors import DamagedExample
from support.errors import missing_facts, refuses
from support.runs import TinySource


class Damaged(TinySource):
    """Some of its examples cannot be read."""

    def __init__(self, damaged):
        super().__init__()
        self.damaged, self.reads = set(damaged), []

    def examples(self, split, indices, fields=None):
        self.reads.append(list(indices))
        for index in indices:
            if split == "train" and int(index) in self.damaged:
                raise DamagedExample(
                    f"file x, the record at byte {index}: a checksum does not hold"
                )
        return super().examples(split, indices, fields)


def test_the_next_sound_example_takes_the_place():
    source, whole = Damaged([5, 6, 29]), TinySource()
    reader = Tolerance(source, "train", limit=3)
    with pytest.warns(UserWarning) as warned:
        found = reader.examples(np.array([4, 5, 6, 29]), ("image", "label"))
    expected = whole.examples("train", np.array([4, 7, 7, 0]), ("image", "label"))
    for field in expected:
        np.testing.assert_array_equal(found[field], expected[field])
    assert len(warned) == 3
    assert not missing_facts(str(warned[0].message), "file x", "byte 5", "checksum", 1, 3)


def test_each_is_counted_and_warned_of_once():
    reader = Tolerance(Damaged([5]), "train", limit=1)
    with pytest.warns(UserWarning) as warned:
        for _ in range(5):
            reader.examples(np.array([5, 5, 8]), ("image",))
    assert len(warned) == 1


def test_more_than_the_limit_end_it():
    reader = Tolerance(Damaged([5, 8, 9]), "train", limit=2)
    with pytest.warns(UserWarning), refuses("byte 8", "3 examples", "split train"):
        reader.examples(np.array([9, 5, 8, 9]), ("image",))


def test_what_is_sound_is_read_once_and_other_errors_pass():
    source = Damaged([])
    reader = Tolerance(source, "train", limit=0)
    reader.examples(np.arange(3), ("image",))
    assert len(source.reads) == 1
    with refuses("field", "colour", "image"):
        reader.examples(np.arange(3), ("colour",))


def test_a_training_stream_goes_on_and_resumes_the_same(recwarn):
    damaged = [3, 17]

    def batches(start, count):
        stream = iterate(
            training_batches(
                Damaged(damaged),
                batch_size=7,
                seed=2,
                start_step=start,
                max_damaged=2,
                fields=("image", "label"),
            )
        )
        return [{k: v.numpy() for k, v in next(stream).items()} for _ in range(count)]

    whole, resumed = batches(0, 9), batches(5, 4)  # two epochs
    for first, second in zip(whole[5:], resumed, strict=True):
        for field in first:
            np.testing.assert_array_equal(first[field], second[field])
    other = iterate(training_batches(TinySource(), batch_size=7, seed=2, fields=("image", "label")))
    differing = sum(
        int((batch["image"] != next(other)["image"].numpy()).any(axis=(1, 2, 3)).sum())
        for batch in whole
    )
    assert 2 <= differing <= 6  # two examples in two epochs and a bit; all else as it was


def test_a_stream_ends_beyond_the_limit_and_evaluation_replaces_nothing(recwarn):
    stream = iterate(training_batches(Damaged([3, 4]), batch_size=30, seed=0, max_damaged=1))
    with refuses("2 examples", "max_damaged_examples, 1"):
        next(stream)
    strict = iterate(evaluation_batches(Damaged([3]), split="train", batch_size=30))
    with refuses("byte 3", "checksum"):
        next(strict)


def test_the_first_example_may_be_damaged_too(recwarn):
    stream = iterate(training_batches(Damaged([0]), batch_size=4, seed=0, max_damaged=1))
    assert next(stream)["image"].shape == (4, 4, 4, 1)


def test_a_split_of_which_nothing_is_sound_ends_it(recwarn):
    reader = Tolerance(Damaged(range(30)), "train", limit=99)
    with refuses("30 examples", "split train", "damaged"):
        reader.examples(np.array([4]), ("image",))
