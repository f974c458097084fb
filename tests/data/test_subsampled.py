"""Every n-th pixel of a data set: what an upscaler is given, conditions and all else with it."""

import copy

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.subsampled import Subsampled
from support.errors import refuses
from support.runs import TinyFilm, TinySource

INDICES = np.arange(12)


@pytest.mark.parametrize(
    "image_size, source_size, factor",
    [(32, 64, 2), (16, 48, 3), ((16, 24), 96, 4), ((24, 16), 48, 2)],
)
def test_images_and_their_conditions_are_those_of_the_larger(image_size, source_size, factor):
    small = data.load("shapes", image_size=image_size, source_size=source_size)
    large = data.load("shapes", image_size=tuple(factor * side for side in small.image_size))
    assert max(large.image_size) == source_size
    found, whole = (source.examples("train", INDICES) for source in (small, large))
    for field in ("image", "segmentation"):
        np.testing.assert_array_equal(found[field], whole[field][:, ::factor, ::factor])
    maps = [
        conditions.keypoint_maps(examples["keypoints"], source.image_size)
        for examples, source in ((found, small), (whole, large))
    ]
    np.testing.assert_array_equal(*maps)
    assert maps[0].sum(axis=(1, 2, 3)).min() >= 5
    for field in ("label", "text"):
        np.testing.assert_array_equal(found[field], whole[field])
    for field, values in found.items():
        assert values.dtype == whole[field].dtype
        np.testing.assert_array_equal(small.examples("train", INDICES, (field,))[field], values)
    # The main shape's centre lies on it in the smaller picture too.
    x, y, _ = found["keypoints"][:, 0].T.astype(int)
    np.testing.assert_array_equal(found["segmentation"][INDICES, y, x], 1 + found["label"])


def test_keypoints_that_are_mirrored_stay_in_their_cells():
    coins, maps = INDICES % 2 == 0, []
    for side in (32, 64):
        source = data.load("shapes", image_size=side, source_size=64)
        flipped = conditions.mirrored(source.examples("train", INDICES), coins, ())
        maps.append(conditions.keypoint_maps(flipped["keypoints"], source.image_size))
    np.testing.assert_array_equal(*maps)


def test_a_chain_of_upscalers_is_given_what_the_smaller_models_make():
    """8 → 16 → 32, each trained on the same 32x32 videos, bit for bit and in the same order."""
    small, middle, large = (
        next(
            pipeline.training_batches(
                data.load("shapes_push", image_size=side, source_size=32, num_frames=3),
                batch_size=3,
                seed=5,
                fields=("frames", "actions", "states"),
                num_levels=64,
            ).as_numpy_iterator()
        )
        for side in (8, 16, 32)
    )
    for lower, upper in ((small, middle), (middle, large)):
        np.testing.assert_array_equal(lower["frames"], upper["frames"][:, :, ::2, ::2])
        for field in ("actions", "states"):
            np.testing.assert_array_equal(lower[field], upper[field])
    drawn = data.load("shapes_push", image_size=8, num_frames=3).examples("train", [0])["frames"]
    kept = data.load("shapes_push", image_size=8, source_size=32, num_frames=3)
    assert (kept.examples("train", [0])["frames"] != drawn).mean() > 0.5


def test_a_stream_goes_on_where_it_was_and_starts_clips_alike():
    streams = {}
    for start in (0, 2):
        batches = pipeline.training_batches(
            Subsampled(TinyFilm(8), 2),
            batch_size=4,
            seed=3,
            start_step=start,
            random_crop=True,
            augment=("mirror", "jitter"),
            fields=("frames", "actions", "states"),
        ).as_numpy_iterator()
        streams[start] = [next(batches) for _ in range(4 - start)]
    for going, resumed in zip(streams[0][2:], streams[2], strict=True):
        for field in going:
            np.testing.assert_array_equal(going[field], resumed[field])
    places = np.random.default_rng(0).random((5, 2))
    film, indices = TinyFilm(8), np.arange(5)
    found = Subsampled(film, 2).examples("validation", indices, places=places)
    whole = film.examples("validation", indices, places=places)
    np.testing.assert_array_equal(found["frames"], whole["frames"][:, :, ::2, ::2])
    np.testing.assert_array_equal(found["actions"], whole["actions"])


def test_all_else_is_the_sources():
    film = TinyFilm(8)
    source = Subsampled(film, 4)
    assert source.image_size == (2, 2) and source.example_field == "frames"
    assert source.description == f"{film.description}; every 4th pixel of 8x8: 2x2"
    others = set(data.Source.__annotations__) - {"image_size", "description"}
    assert {"splits", "lateral", "takes_places", "num_frames"} < others
    for name in others:
        assert getattr(source, name) == getattr(film, name)
    assert [source.size(split) for split in source.splits] == [13, 5, 3]
    with refuses("tiny_film", "split", "test", "train, validation"):
        source.size("test")
    pushed = data.load("shapes_push", image_size=8, source_size=16, num_frames=3)
    np.testing.assert_allclose(
        pushed.episode("test_seen", 4).states, pushed.examples("test_seen", [4])["states"][0], 1e-6
    )
    assert copy.copy(pushed).state_names == pushed.state_names
    with pytest.raises(AttributeError, match="scene"):
        pushed.scene("test_seen", 4)


@pytest.mark.parametrize("factor, ordinal", [(3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st")])
def test_the_description_counts_in_english(factor, ordinal):
    side = 8 * factor
    described = data.load("shapes", image_size=8, source_size=side).description
    assert described.endswith(f"; every {ordinal} pixel of {side}x{side}: 8x8")


def test_a_fingerprint_tells_the_factor_and_the_source():
    prints = [
        source.fingerprint()
        for source in (
            TinyFilm(8),
            Subsampled(TinyFilm(8), 2),
            Subsampled(TinyFilm(8), 4),
            TinyFilm(4),
            Subsampled(TinyFilm(16), 4),
            Subsampled(TinySource(), 2),
        )
    ]
    assert len(set(prints)) == len(prints) and {len(found) for found in prints} == {16}
    assert Subsampled(TinyFilm(8), 2).fingerprint() == prints[1]
    changed = TinyFilm(8)
    changed.sequences["train"]["frames"][0, 0, 1, 1] ^= 1  # a pixel that is not kept
    assert Subsampled(changed, 2).fingerprint() != prints[1]


def test_a_folder_is_read_at_the_larger_size(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(tmp_path / "cache"))
    pictures = np.random.default_rng(0).integers(0, 256, (9, 8, 12, 3), "uint8")
    photos = tmp_path / "photos {of}"  # braces mean nothing in a description
    photos.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(photos / f"{number}.png")
    options = dict(data_dir=str(photos), image_size=(4, 6), validation_fraction=0.5)
    source = data.load("folder", source_size=12, **options)
    assert source.description.endswith("; every 2nd pixel of 8x12: 4x6")
    found = {
        image.tobytes()
        for split in source.splits
        for image in source.examples(split, np.arange(source.size(split)))["image"]
    }
    assert found == {image.tobytes() for image in pictures[:, ::2, ::2]}
    averaged = data.load("folder", **options)
    assert source.fingerprint() != averaged.fingerprint()
    assert {split: source.size(split) for split in source.splits} == {
        split: averaged.size(split) for split in averaged.splits
    }


@pytest.mark.parametrize("source_size", [0, None, 48])
def test_its_own_size_is_no_other(source_size):
    source = data.load("shapes", image_size=(32, 48), source_size=source_size)
    assert not isinstance(source, Subsampled) and source.image_size == (32, 48)


@pytest.mark.parametrize(
    "name, options, facts",
    [
        ("shapes", {"image_size": 32, "source_size": 48}, ("source_size", 48, 0, 32, 64)),
        ("shapes", {"source_size": 16}, ("source_size", 16, 0, 32)),
        ("shapes", {"image_size": (16, 24), "source_size": 32}, ("source_size", 32, 24)),
        ("shapes", {"source_size": -64}, ("source_size", -64)),
        ("shapes", {"source_size": 64.0}, ("source_size", 64.0)),
        ("shapes", {"source_size": "64"}, ("source_size", "'64'")),
        ("shapes", {"source_size": 512}, ("shapes", 512, "8 to 256")),
        ("shapes_push", {"source_size": 512}, ("shapes_push", 512, "8 to 256")),
        (
            "tiny-imagenet-32",
            {"data_dir": "x", "source_size": 64},
            ("tiny-imagenet-32", "image_size", 32, 64),
        ),
    ],
)
def test_sizes_that_cannot_be(name, options, facts):
    with refuses(*facts):
        data.load(name, **options)
