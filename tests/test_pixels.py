"""The pyramid, its groups and patches, quantisation and units."""

import numpy as np
import pytest
from keras import ops

from ms_pixelcnn_tf import pixels, sizes


def images(batch=2, height=8, width=12, channels=3):
    """Every sub-pixel a number of its own."""
    return np.arange(batch * height * width * channels).reshape(batch, height, width, channels)


def test_subsample_takes_pixels_and_never_averages():
    whole = images()
    np.testing.assert_array_equal(pixels.subsample(whole), whole[:, ::2, ::2])
    np.testing.assert_array_equal(pixels.subsample(whole, 4), whole[:, ::4, ::4])


def test_format_size():
    assert sizes.format_size((32, 48)) == "32x48"
    assert sizes.format_size((32, 32)) == "32"


def test_pyramid_is_the_subsampled_images_smallest_first():
    whole = images(height=16, width=8)
    scales = pixels.pyramid(whole, 3)
    assert [scale.shape[1:3] for scale in scales] == [(4, 2), (8, 4), (16, 8)]
    assert scales[-1] is whole
    np.testing.assert_array_equal(scales[0], whole[:, ::4, ::4])
    np.testing.assert_array_equal(scales[1], whole[:, ::2, ::2])


def test_groups_are_the_corners_of_the_blocks_and_merge_back():
    whole = images()
    groups = pixels.split_groups(whole)
    corners = (whole[:, ::2, ::2], whole[:, ::2, 1::2], whole[:, 1::2, ::2], whole[:, 1::2, 1::2])
    for group, corner in zip(groups, corners, strict=True):
        np.testing.assert_array_equal(group, corner)
    np.testing.assert_array_equal(groups[0], pixels.subsample(whole))
    np.testing.assert_array_equal(pixels.merge_groups(groups), whole)


@pytest.mark.parametrize("patch_size", [(2, 3), (4, 4), (8, 12), (1, 1), (8, 1)])
def test_patches_are_contiguous_and_fold_back(patch_size):
    whole = images(channels=2)
    patches = np.asarray(pixels.to_patches(whole, patch_size))
    rows, columns = patch_size
    expected = [
        image[row : row + rows, column : column + columns]
        for image in whole
        for row in range(0, 8, rows)
        for column in range(0, 12, columns)
    ]
    np.testing.assert_array_equal(patches, expected)
    np.testing.assert_array_equal(pixels.from_patches(patches, (8, 12)), whole)


@pytest.mark.parametrize("num_levels", range(2, 257))
def test_quantise_and_dequantise(num_levels):
    values = np.arange(256, dtype="uint8")
    levels = pixels.quantise(values, num_levels)
    assert levels.dtype == np.uint8
    assert levels[0] == 0 and levels[-1] == num_levels - 1
    assert (np.diff(levels.astype(int)) >= 0).all()
    counts = np.bincount(levels, minlength=num_levels)
    assert len(counts) == num_levels and counts.max() - counts.min() <= 1  # bins of equal width
    np.testing.assert_array_equal(
        pixels.quantise(ops.convert_to_tensor(values), num_levels), levels
    )
    shown = pixels.dequantise(np.arange(num_levels), num_levels)
    assert shown.dtype == np.uint8 and shown[0] == 0 and shown[-1] == 255
    assert (np.diff(shown.astype(int)) > 0).all()  # no two levels are shown alike


def test_to_unit_spans_minus_one_to_one():
    for num_levels in (2, 5, 256):
        unit = np.asarray(pixels.to_unit(np.arange(num_levels), num_levels, "float64"))
        np.testing.assert_allclose(unit, np.linspace(-1, 1, num_levels), atol=1e-12)


@pytest.mark.parametrize("pixel_inputs, width", [("features", 3 * 8 + 1), ("values", 3)])
def test_pixel_features_know_their_channel(pixel_inputs, width):
    def read(levels):
        return np.asarray(pixels.pixel_features(levels, 256, "float64", pixel_inputs))

    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3))
    features, owners = read(levels), pixels.feature_channels(3, pixel_inputs)
    assert features.shape[-1] == len(owners) == width
    assert (features[..., np.array(owners) == -1] == 1).all()
    np.testing.assert_allclose(features[..., :3], levels / 127.5 - 1, atol=1e-12)
    for channel in range(3):
        changed = levels.copy()
        changed[..., channel] = 255 - changed[..., channel] // 2
        moved = (read(changed) != features).any((0, 1, 2))
        np.testing.assert_array_equal(moved, np.array(owners) == channel)


@pytest.mark.parametrize("pixel_inputs", ["features", "values"])
@pytest.mark.parametrize("num_levels", [2, 7, 256])
def test_pixel_features_tell_every_level_apart(num_levels, pixel_inputs):
    levels = np.arange(num_levels)[:, None]
    features = np.asarray(pixels.pixel_features(levels, num_levels, "float32", pixel_inputs))
    assert len(np.unique(features, axis=0)) == num_levels


def test_bits_and_nats():
    assert pixels.bits_per_dim(3072 * np.log(256), 3072) == pytest.approx(8.0)
    assert pixels.bits_per_dim(-(-12 * np.log(2)), 12) == pytest.approx(1.0)
    assert pixels.nats_per_image(pixels.bits_per_dim(123.0, 48), 48) == pytest.approx(123.0)
