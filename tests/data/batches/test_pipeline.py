"""The stream of batches: order, resuming, exact passes, quantisation, mirroring, other fields."""

import subprocess
import sys

import numpy as np
import pytest

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.data.batches import draws, pipeline
from ms_pixelcnn_tf.data.source import ArraySource, Source
from ms_pixelcnn_tf.errors import UserError
from support.errors import refuses


class Numbered(ArraySource):
    """`size` images, each filled with noise of its own; the label is the example's number."""

    name = "numbered"
    description = "numbered noise"
    image_size = (4, 6)
    channels = 3

    def __init__(self, size):
        super().__init__()
        self.num_classes = size
        images = np.random.default_rng(0).integers(0, 256, (size, 4, 6, 3), "uint8")
        self.set_split("train", images, np.arange(size, dtype="int32"))


class Film(Source):
    """A video source with strings: everything but a label."""

    name = "film"
    description = "film"
    image_size = (2, 2)
    channels = 1
    splits = ("train",)

    def size(self, split):
        self.check_split(split)
        return 5

    def examples(self, split, indices, fields=None):
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, ("frames", "actions", "captions", "title"))
        count = len(indices)
        every = {
            "frames": np.full((count, 3, 2, 2, 1), 255, "uint8"),
            "actions": np.ones((count, 3, 5), "float32") * indices[:, None, None],
            "captions": np.array([[f"number {i}", "überall"] for i in indices]),
            "title": np.array([f"film {i}".encode() for i in indices], object),
        }
        return {field: every[field] for field in fields}


def take(batches, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in batches.take(count)]


def labels_of(source, count, **options):
    options = {"batch_size": 4, "seed": 3, **options}
    batches = pipeline.training_batches(source, fields=("label",), **options)
    return np.concatenate([batch["label"] for batch in take(batches, count)])


@pytest.mark.parametrize("size", [1, 3, 10, 12])  # batches larger than an epoch; straddling; not
def test_each_example_comes_once_an_epoch(size):
    labels = labels_of(Numbered(size), 3 * size)  # twelve epochs
    for epoch in labels.reshape(12, size):
        assert sorted(epoch) == list(range(size))


def test_permutation_depends_on_epoch_and_seed_alone():
    source = Numbered(50)
    first = labels_of(source, 25)
    assert np.array_equal(first, labels_of(source, 25))
    assert not np.array_equal(first[:50], first[50:])
    assert not np.array_equal(first, labels_of(source, 25, seed=4))
    # The stream is the same whatever the batch size.
    assert np.array_equal(first, labels_of(source, 10, batch_size=10))


def test_permutation_stays_the_same_between_versions():
    assert draws.epoch_permutation(8, seed=3, epoch=1).tolist() == [6, 7, 4, 3, 2, 5, 0, 1]


@pytest.mark.parametrize("start", [1, 7, 1000])
def test_resuming_equals_going_on(start):
    source = Numbered(11)
    options = dict(batch_size=4, seed=0, flip=True, fields=("image", "label"))
    going_on = pipeline.training_batches(source, **options).skip(start)
    resumed = pipeline.training_batches(source, start_step=start, **options)
    for expected, actual in zip(take(going_on, 5), take(resumed, 5), strict=True):
        for field in expected:
            np.testing.assert_array_equal(actual[field], expected[field])


def test_flip_mirrors_about_half_and_draws_anew():
    source = Numbered(64)
    options = dict(batch_size=64, seed=0, fields=("image", "label"))
    images = source.examples("train", np.arange(64))["image"]
    coins = []
    for batch in take(pipeline.training_batches(source, flip=True, **options), 8):
        originals = images[batch["label"]]
        mirrored = (batch["image"] != originals).any(axis=(1, 2, 3))
        expected = np.where(mirrored[:, None, None, None], originals[:, :, ::-1], originals)
        np.testing.assert_array_equal(batch["image"], expected)
        coins.append(mirrored[np.argsort(batch["label"])])
    assert 0.4 < np.mean(coins) < 0.6
    assert not np.array_equal(coins[0], coins[1])


def test_flip_coins_are_fair_and_independent():
    coins = draws.flip_coins(5, np.arange(100_000)).astype(float)
    assert abs(coins.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(coins[1:], coins[:-1])[0, 1]) < 0.02
    assert np.array_equal(draws.flip_coins(5, np.arange(7, 9)), coins[7:9])


@pytest.mark.parametrize("fields", [("image", "actions"), ("frames",)])
def test_flip_refuses_what_it_would_make_untrue(fields):
    with refuses("flip", *set(fields) - {"image"}):
        pipeline.training_batches(Film(), batch_size=1, seed=0, flip=True, fields=fields)


@pytest.mark.parametrize("num_levels", [2, 7, 256])
def test_images_are_quantised(num_levels):
    source = Numbered(9)
    images = source.examples("train", np.arange(9))["image"]
    options = dict(batch_size=9, num_levels=num_levels, fields=("image", "label"))
    (evaluation,) = take(pipeline.evaluation_batches(source, split="train", **options), 2)
    np.testing.assert_array_equal(evaluation["image"], pixels.quantise(images, num_levels))
    assert evaluation["image"].max() == num_levels - 1
    (batch,) = take(pipeline.training_batches(source, seed=0, **options), 1)
    np.testing.assert_array_equal(batch["image"], evaluation["image"][batch["label"]])


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 64])
@pytest.mark.parametrize("limit", [None, 0, 3, 10, 99])
def test_evaluation_is_one_exact_pass(batch_size, limit):
    expected = np.arange(10)[: limit or 10]
    batches = pipeline.evaluation_batches(
        Numbered(10), split="train", batch_size=batch_size, fields=("label",), limit=limit
    )
    labels = [batch["label"] for batch in take(batches, 100)]
    np.testing.assert_array_equal(np.concatenate(labels), expected)
    assert all(len(part) == batch_size for part in labels[:-1])
    assert batches.cardinality() == len(labels)


def test_shapes_are_static():
    source = Numbered(10)
    spec = pipeline.training_batches(source, batch_size=4, seed=0).element_spec
    assert spec["image"].shape.as_list() == [4, 4, 6, 3]
    spec = pipeline.evaluation_batches(source, split="train", batch_size=4).element_spec
    assert spec["image"].shape.as_list() == [None, 4, 6, 3]
    spec = pipeline.evaluation_batches(source, split="train", batch_size=5).element_spec
    assert spec["image"].shape.as_list() == [5, 4, 6, 3]


def test_video_and_string_fields_pass_through():
    fields = ("frames", "actions", "captions", "title")
    batches = pipeline.evaluation_batches(
        Film(), split="train", batch_size=3, num_levels=2, fields=fields
    )
    first, last = take(batches, 3)
    assert first["frames"].shape == (3, 3, 2, 2, 1) and (first["frames"] == 1).all()
    np.testing.assert_array_equal(last["actions"][:, 0, 0], [3, 4])
    captions = [[f"number {i}".encode(), "überall".encode()] for i in (3, 4)]
    assert last["captions"].tolist() == captions
    assert last["title"].tolist() == [b"film 3", b"film 4"]


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"batch_size": 0}, ("batch_size", 0)),
        ({"batch_size": 2.5}, ("batch_size", 2.5)),
        ({"seed": -1}, ("seed", -1)),
        ({"start_step": -1}, ("start_step", -1)),
        ({"num_levels": 257}, ("num_levels", 257, "2 to 256")),
        ({"split": "test"}, ("split", "test", "train")),
        ({"fields": ("imgae",)}, ("field", "imgae", "image, label")),
        ({"fields": ()}, ("fields", "image")),
    ],
)
def test_bad_options_are_user_errors(options, facts):
    with refuses(*facts):
        pipeline.training_batches(Numbered(3), **{"batch_size": 2, "seed": 0, **options})


def test_an_empty_split_is_a_user_error():
    with refuses("examples", "split train"):
        pipeline.evaluation_batches(Numbered(0), split="train", batch_size=1)


def test_an_index_out_of_range_is_a_user_error():
    for index in (-1, 3):
        with refuses("split train", "0 to 2"):
            Numbered(3).examples("train", [index])


@pytest.mark.parametrize(
    ("name", "options", "facts"),
    [
        ("shape", {}, ("dataset", "shape", "shapes, shapes_push, folder")),
        ("folder", {"image_size": 32}, ("folder", "data_dir")),
        ("folder", {"data_dir": "somewhere"}, ("folder", "image_size")),
        ("folder", {"data_dir": "x", "image_size": 32, "seed": 1}, ("folder", "seed=1")),
        ("folder", {"data_dir": "x", "image_size": 32, "channels": 2}, ("channels", 2)),
        ("tiny-imagenet-32", {}, ("tiny-imagenet-32", "data_dir")),
        (
            "tiny-imagenet-32",
            {"data_dir": "x", "image_size": 64},
            ("tiny-imagenet-32", "image_size", 64, 32),
        ),
        ("tiny-imagenet-32", {"data_dir": "x", "channels": 1}, ("tiny-imagenet-32", "channels=1")),
        ("shapes", {"data_dir": "somewhere"}, ("shapes", "data_dir", "somewhere")),
        ("shapes", {"labels": "folders"}, ("shapes", "labels", "folders")),
        ("shapes", {"image_size": "32x"}, ("image_size", "32x")),
        ("shapes", {"seed": -1}, ("seed", -1)),
    ],
)
def test_load_refuses_options_it_cannot_use(name, options, facts):
    with refuses(*facts):
        data.load(name, **options)


class Broken(Numbered):
    def examples(self, split, indices, fields=None):
        if len(indices) > 1 and indices[0] > 3:
            raise UserError("photo.tfrecord, the record at byte 17: cut short")
        return super().examples(split, indices, fields)


def test_a_fault_while_reading_comes_out_as_itself():
    batches = pipeline.evaluation_batches(Broken(9), split="train", batch_size=2)
    got = []
    with pytest.raises(UserError, match="^photo.tfrecord, the record at byte 17: cut short$"):
        for batch in pipeline.iterate(batches):
            got.append(batch)
    assert len(got) == 2


def test_a_program_ends_while_batches_are_read_ahead():
    """An iterator that is still alive at the end must not keep the program from ending."""
    code = """
import time, numpy as np
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.source import ArraySource
class Slow(ArraySource):
    name = "slow"
    def examples(self, split, indices, fields=None):
        time.sleep(0.2)
        return super().examples(split, indices, fields)
source = Slow()
source.set_split("train", np.zeros((9, 4, 4, 3), "uint8"))
kept = iter(pipeline.training_batches(source, batch_size=2, seed=0))
next(kept)
raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode == 7
