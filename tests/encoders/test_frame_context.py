"""What a factor of a frame is given of the ConvLSTM's state."""

import numpy as np
import pytest

from ms_pixelcnn_tf.encoders.frame_context import Conditioning
from ms_pixelcnn_tf.encoders.resize import resize


def make(own_size, size, features=3):
    layer = Conditioning(features, own_size, size)
    layer.build()
    return layer


def maps(size, features=3, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *size, features)).astype("float32")


def test_a_block_of_places_becomes_one_by_a_linear_layer():
    layer, hidden = make((4, 8), (2, 4)), maps((4, 8))
    kernel, bias = layer.reduce.get_weights()
    layer.reduce.set_weights([kernel, bias + 1])
    found = np.asarray(layer(hidden))
    assert found.shape == (2, 2, 4, 3)
    kernel = kernel.reshape(2, 2, 3, 3)  # row and column in the block, feature, output
    for row in range(2):
        for column in range(4):
            block = hidden[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = np.einsum("nrcf,rcfo->no", block, kernel) + 1
            np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-5, atol=1e-5)


def test_it_tells_places_of_a_block_apart_where_an_average_does_not():
    layer = make((4, 4), (1, 1))
    first, second = np.zeros((2, 1, 4, 4, 3), "float32")
    first[0, 0, 0], second[0, 3, 2] = 1, 1
    assert first.mean() == second.mean()
    assert not np.allclose(layer(first), layer(second), atol=1e-3)


@pytest.mark.parametrize(
    "own_size, size",
    [((4, 4), (4, 4)), ((2, 3), (4, 6)), ((6, 6), (4, 4)), ((4, 8), (2, 8)), ((8, 4), (2, 2))],
)
def test_else_it_is_resized(own_size, size):
    layer, hidden = make(own_size, size), maps(own_size)
    assert not layer.weights
    np.testing.assert_array_equal(layer(hidden), resize(hidden, size))
