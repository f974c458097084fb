"""Grids and trajectories show every image, unchanged, in its place."""

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import pictures


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("count, rows, columns", [(1, 1, 1), (5, 2, 3), (9, 3, 3)])
def test_grid_holds_every_image(count, rows, columns):
    images = random_images(count, 4, 6, 3)
    picture = pictures.grid(images, scale=2)
    pad = pictures.PADDING
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
    rgb = pictures.to_rgb(images)
    assert rgb.shape == (2, 3, 3, 3)
    shown = min(channels, 3)
    np.testing.assert_array_equal(rgb[..., :shown], images[..., :shown])


def test_trajectory_enlarges_each_scale_to_the_target():
    target = random_images(2, 8, 8, 3)
    picture = pictures.trajectory([target[:, ::4, ::4], target[:, ::2, ::2], target])
    pad = pictures.PADDING
    assert picture.shape == (2 * (8 + pad) + pad, 3 * (8 + pad) + pad, 3)
    base = picture[pad : pad + 8, pad : pad + 8]
    np.testing.assert_array_equal(base[::4, ::4], target[0, ::4, ::4])
    np.testing.assert_array_equal(base[1::4, 3::4], target[0, ::4, ::4])


def test_png_round_trip_makes_folders_and_leaves_no_temporary(tmp_path):
    picture = pictures.grid(random_images(2, 4, 4, 3))
    path = tmp_path / "new" / "samples.png"
    pictures.write_png(path, picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert [p.name for p in path.parent.iterdir()] == ["samples.png"]
