"""Grids and trajectories show every image, unchanged, in its place."""

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.drawing import grids


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("count, rows, columns", [(1, 1, 1), (5, 2, 3), (9, 3, 3)])
def test_grid_holds_every_image(count, rows, columns):
    images = random_images(count, 4, 6, 3)
    picture = grids.grid(images, scale=2)
    pad = grids.PADDING
    assert picture.shape == (rows * (8 + pad) + pad, columns * (12 + pad) + pad, 3)
    for index in range(count):
        top = pad + index // columns * (8 + pad)
        left = pad + index % columns * (12 + pad)
        np.testing.assert_array_equal(
            picture[top : top + 8 : 2, left : left + 12 : 2], images[index]
        )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_becomes_rgb(channels):
    images = random_images(2, 3, 3, channels)
    rgb = grids.to_rgb(images)
    assert rgb.shape == (2, 3, 3, 3)
    shown = min(channels, 3)
    np.testing.assert_array_equal(rgb[..., :shown], images[..., :shown])


def test_trajectory_enlarges_each_scale_to_the_target():
    target = random_images(2, 8, 8, 3)
    picture = grids.trajectory([target[:, ::4, ::4], target[:, ::2, ::2], target])
    pad = grids.PADDING
    assert picture.shape == (2 * (8 + pad) + pad, 3 * (8 + pad) + pad, 3)
    base = picture[pad : pad + 8, pad : pad + 8]
    np.testing.assert_array_equal(base[::4, ::4], target[0, ::4, ::4])
    np.testing.assert_array_equal(base[1::4, 3::4], target[0, ::4, ::4])


@pytest.mark.parametrize("columns", [None, 1, 3, 9])
def test_grid_size_is_that_of_the_grid(columns):
    picture = grids.grid(random_images(5, 4, 6, 3), columns, scale=3)
    assert picture.shape == (*grids.grid_size(5, (4, 6), columns, scale=3), 3)


def test_upscaled_shows_given_pixels_real_image_and_samples():
    low, real = random_images(2, 2, 2, 1), random_images(2, 4, 4, 1)
    samples = random_images(2, 3, 4, 4, 1)
    cell = 4 + grids.PADDING
    picture = grids.upscaled(list(low), [real[0], None], samples)
    assert picture.shape == (*grids.grid_size(10, (4, 4), 5), 3)
    cells = picture[2:, 2:].reshape(2, cell, 5, cell, 3)[:, :4, :, :4, 0]  # row, y, column, x
    np.testing.assert_array_equal(cells[:, ::2, 0, ::2], low[..., 0])
    np.testing.assert_array_equal(cells[:, 1::2, 0, 1::2], low[..., 0])
    np.testing.assert_array_equal(cells[0, :, 1], real[0, ..., 0])
    assert (cells[1, :, 1] == grids.BACKGROUND).all()
    np.testing.assert_array_equal(cells[:, :, 2:].swapaxes(1, 2), samples[..., 0])
    without = grids.upscaled(list(low), [None, None], samples)
    assert without.shape == (*grids.grid_size(8, (4, 4), 4), 3)


def test_png_round_trip_makes_folders_and_leaves_no_temporary(tmp_path):
    picture = grids.grid(random_images(2, 4, 4, 3))
    path = tmp_path / "new" / "samples.png"
    grids.write_png(path, picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert [p.name for p in path.parent.iterdir()] == ["samples.png"]
