"""Conditions move with the image: maps, mirrors, captions."""

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data import conditions, pipeline
from ms_pixelcnn_tf.errors import UserError


def test_keypoint_maps_have_one_cell_a_visible_part():
    points = [[0.5, 0.5, 1], [63.5, 95.5, 1], [32.0, 48.0, 0], [31.9, 3.1, 1]]
    points = np.array([points], "float32")
    maps = conditions.keypoint_maps(points, (96, 64))
    assert maps.shape == (1, 32, 32, 4) and maps.dtype == np.uint8
    assert [tuple(map(int, np.argwhere(maps[0, ..., part])[0])) for part in (0, 1, 3)] == [
        (0, 0), (31, 31), (1, 15)
    ]
    assert maps.sum(axis=(0, 1, 2)).tolist() == [1, 1, 0, 1]


def test_a_cell_holds_the_pixels_it_covers():
    """Every pixel's centre falls into the cell that covers it, whatever the image's size."""
    for side in (16, 32, 64, 128):
        centres = np.arange(side) + 0.5
        points = np.stack([centres, centres, np.ones(side)], axis=-1)[:, None]
        maps = conditions.keypoint_maps(points, (side, side))
        rows = np.argwhere(maps[..., 0])[:, 1]
        np.testing.assert_array_equal(rows, np.floor(centres * 32 / side))


def test_keypoints_beyond_the_border_are_clamped():
    points = np.array([[[-5.0, 500.0, 1]]])
    assert conditions.keypoint_maps(points, (64, 64))[0, 31, 0, 0] == 1


def test_a_mirror_moves_pixels_masks_and_points_alike_and_twice_is_none():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (3, 8, 6, 3), dtype="uint8")
    masks = generator.integers(0, 2, (3, 4, 3, 2), dtype="uint8")
    points = np.zeros((3, 3, 3), "float32")
    for example in range(3):
        points[example, :2] = [(1.5, 2.5, 1), (4.5, 6.5, 1)]  # left eye, right eye; tail unseen
    examples = {"image": image, "segmentation": masks, "keypoints": points}
    coins = np.array([True, False, True])
    flipped = conditions.mirrored(examples, coins, (1, 0, 2))
    for example in range(3):
        if not coins[example]:
            for field in examples:
                np.testing.assert_array_equal(flipped[field][example], examples[field][example])
            continue
        np.testing.assert_array_equal(flipped["image"][example], image[example, :, ::-1])
        np.testing.assert_array_equal(flipped["segmentation"][example], masks[example, :, ::-1])
        # What was the right eye is the left one now, on the same pixel.
        (lx, ly, _), (rx, ry, _), tail = flipped["keypoints"][example]
        old = image[example]
        np.testing.assert_array_equal(flipped["image"][example][int(ly), int(lx)], old[6, 4])
        np.testing.assert_array_equal(flipped["image"][example][int(ry), int(rx)], old[2, 1])
        assert (tail == 0).all()
    again = conditions.mirrored(flipped, coins, (1, 0, 2))
    for field in examples:
        np.testing.assert_array_equal(again[field], examples[field])


def test_captions_are_drawn_fairly_in_training_and_enumerated_in_evaluation():
    shapes = data.load("shapes", image_size=8)
    options = dict(batch_size=7, fields=("image", "text"))
    captions = shapes.examples("validation", np.arange(4), ("text",))["text"]
    batches = pipeline.evaluation_batches(shapes, split="validation", limit=4, **options)
    batches = list(batches.as_numpy_iterator())
    told = np.concatenate([batch["text"] for batch in batches])
    assert [text.decode() for text in told] == captions.ravel().tolist()
    images = np.concatenate([batch["image"] for batch in batches])
    np.testing.assert_array_equal(
        images, np.repeat(shapes.examples("validation", np.arange(4))["image"], 5, axis=0)
    )

    class Few(type(shapes)):
        def size(self, split):
            return 4

    few = Few((8, 8))
    drawn = {}
    train = pipeline.training_batches(few, split="validation", seed=0, **options)
    for batch in train.take(60).as_numpy_iterator():
        for text in batch["text"]:
            drawn[text.decode()] = drawn.get(text.decode(), 0) + 1
    assert set(drawn) == set(captions.ravel())
    texts, copies = np.unique(captions.astype(str), return_counts=True)
    counts, expected = np.array([drawn[text] for text in texts]), 21 * copies
    assert counts.sum() == expected.sum() == 420
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square, up to 19 freedoms


def test_training_is_the_same_from_any_start():
    shapes = data.load("shapes", image_size=8)
    options = dict(batch_size=3, seed=5, fields=("image", "text", "keypoints"))
    whole = list(pipeline.training_batches(shapes, **options).take(4).as_numpy_iterator())
    late = next(pipeline.training_batches(shapes, start_step=3, **options).as_numpy_iterator())
    for field in options["fields"]:
        np.testing.assert_array_equal(whole[3][field], late[field])
    assert whole[0]["keypoints"].shape == (3, 32, 32, 15)


def test_what_a_source_cannot_do_is_told():
    shapes = data.load("shapes", image_size=8)
    with pytest.raises(UserError, match="flip mirrors the image but not text of shapes"):
        pipeline.training_batches(shapes, batch_size=1, seed=0, flip=True, fields=("image", "text"))
    with pytest.raises(UserError, match="turn random_crop off"):
        pipeline.training_batches(shapes, batch_size=1, seed=0, random_crop=True)


def test_an_example_without_captions_is_told():
    with pytest.raises(UserError, match="no caption"):
        conditions.chosen_captions(np.array([()], object), [0.5])
