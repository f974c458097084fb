"""Resizing: known values, and those of the backend's own operation."""

import numpy as np
import pytest
from keras import ops

from ms_pixelcnn_tf.encoders.resize import bilinear_weights, resize

SIZES = [(32, 32), (64, 64), (16, 16), (8, 8), (4, 4), (1, 1), (8, 64), (48, 6), (33, 5)]


@pytest.mark.parametrize("length", [1, 5, 32])
@pytest.mark.parametrize("new_length", [1, 2, 5, 8, 32, 33, 128])
def test_rows_sum_to_one(length, new_length):
    weights = bilinear_weights(length, new_length)
    assert weights.shape == (new_length, length) and weights.dtype == np.float64
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-15)  # a mirror image


@pytest.mark.parametrize("size", SIZES)
def test_constants_stay(size):
    maps = np.broadcast_to([0.1, -7.0], (2, 32, 32, 2))
    resized = resize(ops.convert_to_tensor(maps, "float64"), size)
    np.testing.assert_allclose(resized, np.broadcast_to([0.1, -7.0], (2, *size, 2)), rtol=1e-14)


def test_known_values():
    """Pixel i covers i to i + 1. Doubling interpolates at quarters; halving spans three to four."""
    ramp = np.array([0.0, 1.0, 2.0])
    doubled = bilinear_weights(3, 6) @ ramp
    np.testing.assert_array_equal(doubled, [0, 0.25, 0.75, 1.25, 1.75, 2])
    halved = bilinear_weights(6, 3) * 8
    np.testing.assert_allclose(halved[1], [0, 1, 3, 3, 1, 0], rtol=1e-15)
    np.testing.assert_allclose(halved[0], np.array([3, 3, 1, 0, 0, 0]) * 8 / 7, rtol=1e-15)
    np.testing.assert_array_equal(bilinear_weights(7, 7), np.eye(7))


@pytest.mark.parametrize("size", SIZES)
def test_as_the_backend_does(size):
    maps = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    expected = ops.image.resize(maps, size, interpolation="bilinear", antialias=True)
    resized = resize(ops.convert_to_tensor(maps), size)
    assert tuple(resized.shape) == (2, *size, 3)
    np.testing.assert_allclose(resized, expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_float64_stays_float64(size):
    """No intermediate is rounded to less."""
    maps = np.random.default_rng(1).random((2, 32, 32, 3))
    rows, columns = bilinear_weights(32, size[0]), bilinear_weights(32, size[1])
    resized = np.asarray(resize(ops.convert_to_tensor(maps), size))
    assert resized.dtype == np.float64
    np.testing.assert_allclose(
        resized, np.einsum("ih,jw,bhwf->bijf", rows, columns, maps), rtol=1e-13
    )
