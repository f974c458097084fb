"""Conditions move with the image: maps, mirrors, captions."""

import numpy as np
import pytest

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.batches import draws, pipeline
from support.errors import refuses


def test_keypoint_maps_have_one_cell_a_visible_part():
    points = [[0.5, 0.5, 1], [63.5, 95.5, 1], [32.0, 48.0, 0], [31.9, 3.1, 1]]
    points = np.array([points], "float32")
    maps = conditions.keypoint_maps(points, (96, 64))
    assert maps.shape == (1, 32, 32, 4) and maps.dtype == np.uint8
    assert [tuple(map(int, np.argwhere(maps[0, ..., part])[0])) for part in (0, 1, 3)] == [
        (0, 0),
        (31, 31),
        (1, 15),
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


def sampled(values, num_segments):
    """The maps, cell by cell: the pixel whose area holds the cell's centre."""
    count, height, width = values.shape
    maps = np.zeros((count, 32, 32, num_segments), "uint8")
    for row in range(32):
        for column in range(32):
            y, x = (row + 0.5) * height / 32, (column + 0.5) * width / 32
            for example, value in enumerate(values[:, int(y), int(x)]):
                if value:
                    maps[example, row, column, value - 1] = 1
    return maps


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (8, 8), (24, 56), (40, 16), (96, 33)])
def test_numbers_become_one_map_a_class_sampled_at_the_cells_centres(size):
    values = np.random.default_rng(0).integers(0, 5, (2, *size), dtype="uint8")
    maps = conditions.segmentation_maps(values, 4)
    assert maps.shape == (2, 32, 32, 4) and maps.dtype == np.uint8
    np.testing.assert_array_equal(maps, sampled(values, 4))
    if size == (32, 32):
        ground = values == 0
        np.testing.assert_array_equal(maps.sum(-1), ~ground)
        np.testing.assert_array_equal(maps.argmax(-1)[~ground] + 1, values[~ground])


def test_maps_of_classes_stay_as_they_are():
    maps = np.random.default_rng(0).integers(0, 2, (3, 32, 32, 7), dtype="uint8")
    np.testing.assert_array_equal(conditions.segmentation_maps(maps, 7), maps)


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
    assert told.dtype == np.int32 and told.shape == (20, text.LENGTH)
    np.testing.assert_array_equal(told, text.encode(captions.ravel()))
    images = np.concatenate([batch["image"] for batch in batches])
    np.testing.assert_array_equal(
        images, np.repeat(shapes.examples("validation", np.arange(4))["image"], 5, axis=0)
    )

    class Few(type(shapes)):
        def size(self, split):
            return 4

    few = Few((8, 8))
    drawn, caption_of = {}, {text.encode([c]).tobytes(): c for c in captions.ravel()}
    train = pipeline.training_batches(few, split="validation", seed=0, **options)
    for batch in train.take(60).as_numpy_iterator():
        for codes in batch["text"]:
            caption = caption_of[codes.tobytes()]
            drawn[caption] = drawn.get(caption, 0) + 1
    assert set(drawn) == set(captions.ravel())
    texts, copies = np.unique(captions.astype(str), return_counts=True)
    counts, expected = np.array([drawn[caption] for caption in texts]), 21 * copies
    assert counts.sum() == expected.sum() == 420
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square, up to 19 freedoms


def test_training_is_the_same_from_any_start():
    shapes = data.load("shapes", image_size=8)
    options = dict(batch_size=3, seed=5, fields=("image", "text", "keypoints", "segmentation"))
    whole = list(pipeline.training_batches(shapes, **options).take(4).as_numpy_iterator())
    late = next(pipeline.training_batches(shapes, start_step=3, **options).as_numpy_iterator())
    for field in options["fields"]:
        np.testing.assert_array_equal(whole[3][field], late[field])
    assert whole[0]["keypoints"].shape == (3, 32, 32, shapes.num_keypoints)
    assert whole[0]["segmentation"].shape == (3, 32, 32, shapes.num_segments)


def test_conditions_have_the_shapes_that_the_source_tells():
    shapes = data.load("shapes", image_size=(24, 40))
    fields = ("text", "keypoints", "segmentation")
    options = dict(batch_size=2, fields=fields)
    for batches in (
        pipeline.training_batches(shapes, seed=0, **options),
        pipeline.evaluation_batches(shapes, split="validation", limit=2, **options),
    ):
        spec = {
            field: (part.shape.as_list(), part.dtype.name)
            for field, part in batches.element_spec.items()
        }
        assert spec == {
            "text": ([2, text.LENGTH], "int32"),
            "keypoints": ([2, 32, 32, 15], "uint8"),
            "segmentation": ([2, 32, 32, 5], "uint8"),
        }
    (batch,) = pipeline.evaluation_batches(
        shapes, split="test", batch_size=3, limit=3, fields=("segmentation",)
    ).as_numpy_iterator()
    numbers = shapes.examples("test", np.arange(3), ("segmentation",))["segmentation"]
    np.testing.assert_array_equal(batch["segmentation"], sampled(numbers, 5))


def test_a_mirror_comes_before_the_maps():
    """Numbers are mirrored pixel by pixel, with the image, and sampled then."""

    class Sided(type(data.load("shapes"))):
        mirrored_fields = ("image", "segmentation")

    source = Sided((48, 48))
    options = dict(batch_size=8, seed=0, fields=("image", "segmentation"))
    mirrored, plain = (
        next(pipeline.training_batches(source, flip=flip, **options).as_numpy_iterator())
        for flip in (True, False)
    )
    coins = draws.flip_coins(0, np.arange(8))
    assert 0 < coins.sum() < 8
    order = draws.epoch_permutation(source.size("train"), 0, 0)[:8]
    numbers = source.examples("train", order, ("segmentation",))["segmentation"]
    for example, coin in enumerate(coins):
        side = -1 if coin else 1
        image = plain["image"][example][:, ::side]
        np.testing.assert_array_equal(mirrored["image"][example], image)
        (expected,) = sampled(numbers[example : example + 1, :, ::side], 5)
        np.testing.assert_array_equal(mirrored["segmentation"][example], expected)


def test_what_a_source_cannot_do_is_told():
    shapes = data.load("shapes", image_size=8)
    with refuses("flip", "image", "text", "shapes"):
        pipeline.training_batches(shapes, batch_size=1, seed=0, flip=True, fields=("image", "text"))
    with refuses("shapes", "image", "random_crop"):
        pipeline.training_batches(shapes, batch_size=1, seed=0, random_crop=True)


def test_an_example_without_captions_is_told():
    with refuses("caption"):
        conditions.chosen_captions(np.array([()], object), [0.5])


def test_maps_left_out_are_empty_and_nothing_else_changes():
    maps = np.zeros((2, 32, 32, 3), "uint8")
    maps[:, 4, 5, 0] = maps[:, 6, 7, 2] = 1
    examples = {"keypoints": maps, "segmentation": maps[..., :2], "text": np.arange(2)}
    found = conditions.without_maps(examples, np.array([True, False]))
    for field in ("keypoints", "segmentation"):
        assert found[field].dtype == np.uint8 and found[field].shape == examples[field].shape
        assert not found[field][0].any()
        np.testing.assert_array_equal(found[field][1], examples[field][1])
    np.testing.assert_array_equal(found["text"], np.arange(2))
    assert maps[0].sum() == 2  # the examples themselves stay


def map_batches(**options):
    source = data.load("shapes", image_size=16)
    stream = pipeline.training_batches(
        source, batch_size=8, seed=3, fields=("image", "segmentation"), **options
    ).as_numpy_iterator()
    return [next(stream) for _ in range(6)]


def of_the_same_images(ours, theirs, field):
    """A field of two lists of batches, example by example, once their images are the same."""
    for own, original in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own["image"], original["image"])
        yield from zip(own[field], original[field], strict=True)


def test_maps_are_left_out_for_a_part_of_the_examples_drawn_anew_and_resumed_exactly():
    plain, dropped = map_batches(), map_batches(map_dropout=0.5)
    chosen = []
    for own, original in of_the_same_images(dropped, plain, "segmentation"):
        assert original.any()
        chosen.append(not own.any())
        np.testing.assert_array_equal(own, 0 if chosen[-1] else original)
    assert 12 < sum(chosen) < 36
    for expected, got in zip(dropped[2:], map_batches(map_dropout=0.5, start_step=2), strict=False):
        np.testing.assert_array_equal(got["segmentation"], expected["segmentation"])
    assert not any(batch["segmentation"].any() for batch in map_batches(map_dropout=1.0))


def test_a_part_of_the_segmentations_names_other_classes_drawn_anew_and_resumed_exactly():
    plain, noisy = map_batches(), map_batches(map_noise=0.5)
    shifts = []
    for own, original in of_the_same_images(noisy, plain, "segmentation"):
        found = [
            shift for shift in range(5) if np.array_equal(own, np.roll(original, shift, axis=-1))
        ]
        assert len(found) == 1  # the regions are the same ones, all moved by one number
        shifts += found
    assert set(shifts) == set(range(5))
    assert 12 < sum(shift > 0 for shift in shifts) < 36
    for expected, got in zip(noisy[2:], map_batches(map_noise=0.5, start_step=2), strict=False):
        np.testing.assert_array_equal(got["segmentation"], expected["segmentation"])
    for ours, theirs in zip(map_batches(map_noise=1.0), plain, strict=True):
        assert (ours["segmentation"] != theirs["segmentation"]).any(axis=(1, 2, 3)).all()


def test_keypoints_of_a_part_are_moved_a_little_drawn_anew_and_resumed_exactly():
    source = data.load("shapes", image_size=(64, 96))

    def stream(**options):
        batches = pipeline.training_batches(
            source, batch_size=8, seed=3, fields=("image", "keypoints"), **options
        ).as_numpy_iterator()
        return [next(batches) for _ in range(4)]

    plain, noisy = stream(), stream(map_noise=0.5)
    moved, steps = [], set()
    for own, original in of_the_same_images(noisy, plain, "keypoints"):
        np.testing.assert_array_equal(own.sum(axis=(0, 1)), original.sum(axis=(0, 1)))
        ((*places, parts), (*before, same)) = (
            np.nonzero(maps.transpose(2, 0, 1))[::-1] for maps in (own, original)
        )
        np.testing.assert_array_equal(parts, same)
        change = np.subtract(places, before)
        steps |= set(change.ravel().tolist())
        moved.append(change.any())
    assert 8 < sum(moved) < 24
    assert steps == {-2, -1, 0, 1, 2}
    for expected, got in zip(noisy[2:], stream(map_noise=0.5, start_step=2), strict=False):
        np.testing.assert_array_equal(got["keypoints"], expected["keypoints"])


def test_one_class_has_no_other_and_keypoints_no_classes():
    maps = np.ones((3, 4, 4, 1), "uint8")
    examples = {"segmentation": maps, "keypoints": np.ones((3, 4, 4, 2))}
    found = conditions.with_other_classes(examples, np.zeros(3), 1.0)
    for name, values in examples.items():
        np.testing.assert_array_equal(found[name], values)
    assert conditions.with_other_classes({"image": maps}, np.zeros(3), 1.0)["image"] is maps


def test_before_maps_from_no_example_has_maps_and_from_there_on_it_changes_nothing():
    late, usual = map_batches(map_dropout=0.5, maps_from=2), map_batches(map_dropout=0.5)
    assert not any(batch["segmentation"].any() for batch in late[:2])
    for own, expected in zip(late[2:], usual[2:], strict=True):
        np.testing.assert_array_equal(own["segmentation"], expected["segmentation"])
    resumed = map_batches(maps_from=4, start_step=2)
    assert [bool(batch["segmentation"].any()) for batch in resumed] == [False] * 2 + [True] * 4
