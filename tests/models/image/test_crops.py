"""Training on crops: which pixels a crop holds, and what is checked before one is taken."""

import numpy as np
import pytest

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models.crop import Crop
from support.errors import refuses
from support.models import random_levels, random_model

LARGE = {"image_size": (8, 16), "base_size": (2, 4)}


@pytest.mark.parametrize("offset, start", [(0.0, 0), (0.3, 2), (0.5, 4), (0.999, 8)])
def test_a_crop_is_a_slice_at_an_even_offset(offset, start):
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 4, 2)).astype("int32")
    offsets = np.array([[0.0, 0.7], [offset, 0.1], [0.999, 0.0]], "float32")
    crop = Crop(images.shape[1:3], 4, offsets)
    cropped = crop.cut_image(images)
    assert crop.area_ratio == 3.0  # the width is no more than the crop's
    expected = [images[i, s : s + 4] for i, s in enumerate((0, start, 8))]
    np.testing.assert_array_equal(cropped, expected)


@pytest.mark.parametrize("upscaler", ["A", "B"])
def test_terms_of_crops(upscaler):
    """Whole where the crop covers the scale, and else those of the crop by itself, scaled up."""
    model = random_model(3, 0.3, **LARGE, upscaler=upscaler, output="dmol")
    images = random_levels(model, 2)
    whole = model.log_prob_terms(images)
    offsets = np.zeros((2, 2), "float32")
    covered = model.cropped_log_prob_terms(images, None, 16, offsets)
    cropped = model.cropped_log_prob_terms(images, None, 4, offsets)
    for name in whole:
        np.testing.assert_allclose(covered[name], whole[name], rtol=1e-5)
    np.testing.assert_allclose(cropped["base"], whole["base"], rtol=1e-5)
    corner = random_model(3, 0.3, image_size=4, base_size=2, upscaler=upscaler, output="dmol")
    for ours, theirs in zip(corner.upscalers, model.upscalers[3:], strict=True):
        for variable, value in zip(ours.variables, theirs.variables, strict=True):
            variable.assign(value)
    expected = corner.log_prob_terms(images[:, :4, :4])
    for group in (2, 3, 4):
        np.testing.assert_allclose(
            cropped[f"4x8to8x16/group{group}"], 8 * expected[f"2to4/group{group}"], rtol=1e-4
        )


@pytest.mark.parametrize(
    "fields, facts",
    [
        ({"crop_size": 31}, ("crop_size", 31, "even")),
        ({"crop_size": 12, "upscaler": "B", "image_size": 64}, ("crop_size", 12, "multiples of 8")),
        (
            {"crop_size": 16, "upscaler": "B", "patch_size": 16},
            ("crop_size", 16, "multiples of 32"),
        ),
    ],
)
def test_crops_that_cut_patches_are_refused(fields, facts):
    with refuses(*facts):
        make_run(**fields)
    assert make_run(upscaler="B", image_size=64, crop_size=16).train.crop_size == 16


@pytest.mark.parametrize("side", [3, 1, 0, -2])
def test_a_side_that_cuts_blocks_is_told(side):
    with refuses("crop_size", side, "even", 2):
        Crop((8, 8), side, np.zeros((2, 2)))
