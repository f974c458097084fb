"""Crops with a halo: where it covers the receptive field, they are scored as the whole image is."""

import itertools

import numpy as np
import pytest

from ms_pixelcnn_tf.configs import ModelConfig, make_run, replace
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.crop import Crop
from support.errors import refuses

BATCH = 2
CONDITIONS = {"num_classes": 3, "num_keypoints": 2}
MASKED = {"type_a_colour": "masked", "channels": 3}  # channels before count, of pixels around too


def random_model(**fields):
    """In float64, one residual block: a receptive field of 2 · (1 + 1) pixels."""
    config = {
        "image_size": (16, 32),
        "base_size": (4, 8),
        "channels": 1,
        "num_levels": 4,
        "residual_blocks": 1,
        "features": 6,
        "head_features": 6,
        "base_layers": 1,
        "base_features": 6,
        "decoder_layers": 1,
        "decoder_features": 6,
        "patch_size": 2,
        "spatial_blocks": 1,
        "map_resizing": "corners",
        "dtype": "float64",
    }
    model = make_model(replace(ModelConfig(), **config | fields))
    generator = np.random.default_rng(1)
    for variable in model.variables:
        variable.assign(generator.normal(size=variable.shape) * 0.4)
    return model


def random_inputs(model):
    generator = np.random.default_rng(2)
    images = generator.integers(
        0, 4, (BATCH, *model.config.image_size, model.config.channels)
    ).astype("uint8")
    conditions = {
        "label": generator.integers(0, 3, BATCH).astype("int32"),
        "keypoints": generator.integers(0, 2, (BATCH, 32, 32, 2)),
    }
    return images, {name: conditions[name] for name in model.config.conditions}


def mean_over_tiles(model, images, conditions, side, halo):
    """The terms of all tiles, averaged; a scale of fewer tiles has each as often."""
    tiles = [length // side for length in model.config.image_size]
    places = (np.array(list(itertools.product(*map(range, tiles)))) + 0.5) / tiles
    images, *given = (np.repeat(v, len(places), axis=0) for v in (images, *conditions.values()))
    offsets = np.tile(places, (BATCH, 1))
    conditions = dict(zip(conditions, given, strict=True))
    terms = model.cropped_log_prob_terms(images, conditions, side, offsets, halo)
    return {name: np.reshape(term, (BATCH, -1)).mean(axis=1) for name, term in terms.items()}


@pytest.mark.parametrize(
    "upscaler, side, halo, fields",
    [
        ("A", 4, 4, CONDITIONS),
        ("A", 8, 6, {}),
        ("A", 8, 4, CONDITIONS | MASKED),
        ("A", 8, 6, MASKED | {"residual_block": "3x3_3x3"}),
        ("B", 8, 4, CONDITIONS),
        ("B", 4, 4, {}),
    ],
)
def test_tiles_average_to_the_whole_images_terms(upscaler, side, halo, fields):
    model = random_model(upscaler=upscaler, output="softmax", **fields)
    images, conditions = random_inputs(model)
    whole = model.log_prob_terms(images, conditions)
    averaged = mean_over_tiles(model, images, conditions, side, halo)
    for name, term in whole.items():
        np.testing.assert_allclose(averaged[name], term, rtol=1e-12)
    without = mean_over_tiles(model, images, conditions, side, 0)
    name = "8x16to16x32/group4"
    assert np.abs(np.asarray(without[name]) - whole[name]).max() > 1e-3


def test_each_pixel_is_scored_as_in_the_whole_image():
    """Not only their sums: what a crop scores is cut of what the whole image scores."""
    seen = []
    model = random_model(output="dmol")
    law = type(model.distribution).log_prob

    class Recording(type(model.distribution)):
        def log_prob(self, params, levels):
            seen.append(np.asarray(law(self, params, levels)))
            return law(self, params, levels)

    model.distribution.__class__ = Recording
    images, _ = random_inputs(model)
    model.cropped_log_prob_terms(images, None, 32, np.zeros((BATCH, 2)))
    whole = seen[-3:]
    seen.clear()
    model.cropped_log_prob_terms(images, None, 8, np.array([[0.0, 0.3], [0.9, 0.99]]), 4)
    for full, own in zip(whole, seen[-3:], strict=True):
        expected = [full[0, 0:4, 4:8], full[1, 4:8, 12:16]]
        np.testing.assert_allclose(own, expected, rtol=1e-11)


def test_the_window_keeps_its_size_and_stays_inside():
    """16x32 pixels are 8x16 blocks; tiles of 4 with 2 around, at the border 4 on the inner side."""
    offsets = np.array([[0.0, 0.0], [0.5, 0.5], [0.0, 0.99]], "float32")
    rows, columns = Crop((16, 32), 8, offsets, 4).places
    assert rows is None  # all 8
    np.testing.assert_array_equal(columns, [range(0, 8), range(6, 14), range(8, 16)])
    crop = Crop((32, 32), 8, offsets, 4)
    rows, columns = crop.places
    np.testing.assert_array_equal(rows, [range(0, 8), range(6, 14), range(0, 8)])
    maps = np.arange(8 * 8).reshape(1, 8, 8, 1).repeat(3, axis=0)
    scored = np.asarray(crop.cut_scored(maps))[..., 0]
    for own, (row, column) in zip(scored, [(0, 0), (2, 2), (0, 4)], strict=True):
        np.testing.assert_array_equal(own, maps[0, row : row + 4, column : column + 4, 0])
    assert crop.area_ratio == 16
    everything = Crop((16, 16), 8, offsets, 8)  # with its halo a crop is the whole image
    assert everything.places == (None, None)
    assert everything.cut_scored(maps).shape == (3, 4, 4, 1)


@pytest.mark.parametrize("halo", [-2, 3])
def test_a_halo_that_cuts_blocks_is_refused(halo):
    with refuses("crop_halo", halo, "even", "0"):
        Crop((8, 8), 4, np.zeros((2, 2)), halo)


@pytest.mark.parametrize(
    "fields, facts",
    [
        ({"crop_halo": 3}, ["crop_halo", 3, "even"]),
        ({"crop_halo": -2}, ["crop_halo", -2, "0"]),
        ({"crop_size": 0, "crop_halo": 2}, ["crop_size", "crop_halo", 2]),
        ({"crop_size": 24, "crop_halo": 2}, ["crop_size", 24, 32]),
        ({"image_size": (32, 48), "base_size": (8, 12), "crop_halo": 2}, ["crop_size", 24]),
        ({"upscaler": "B", "crop_halo": 4}, ["crop_halo", 4, 8]),
        ({"variant": "OT_upscaler", "crop_halo": 4}, ["crop_halo", 4, "images"]),
    ],
)
def test_what_a_run_refuses(fields, facts):
    with refuses(*facts):
        make_run(**fields)
    assert make_run(upscaler="B", image_size=64, crop_halo=8).train.crop_halo == 8
    assert make_run(image_size=64).train.crop_halo == 0
