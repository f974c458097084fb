"""Uniforms of a seed: the published cipher, the same in parts, in a graph and on numpy's side."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.sampling import uniforms
from support.errors import refuses


@pytest.mark.parametrize(
    "key, block, expected",
    [  # Random123's known answers
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_cipher_is_the_published_one(key, block, expected):
    words = [tf.constant(word, tf.uint32) for word in (*key, *block)]
    assert tuple(int(word) for word in uniforms.threefry(words[:2], *words[2:])) == expected


def test_they_are_uniform_and_below_one():
    drawn = np.asarray(uniforms.draw(7, 0, 64, (16, 16, 3)), "float64")
    assert drawn.min() >= 0 and drawn.max() < 1
    counts, _ = np.histogram(drawn, 64, (0, 1))
    expected = drawn.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 120  # χ² of 63 degrees: beyond 1e-5
    pairs = np.corrcoef(drawn.reshape(64, -1).T[:40])  # of neighbours, over images
    assert np.abs(pairs - np.eye(40)).max() < 0.6
    assert len(np.unique(drawn)) > 0.99 * drawn.size


@pytest.mark.parametrize("shape", [(3, 5, 1), (2, 2, 3), (1,)])
def test_an_image_does_not_depend_on_the_others(shape):
    whole = np.asarray(uniforms.draw(2**40 + 5, 0, 7, shape))
    parts = [uniforms.draw(2**40 + 5, first, num, shape) for first, num in ((0, 2), (2, 1), (3, 4))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.shape == (7, *shape) and whole.dtype == "float32"
    for other in (5, 2**40 + 6, 2**41 + 5):
        assert (np.asarray(uniforms.draw(other, 0, 7, shape)) != whole).mean() > 0.9


def test_a_graph_draws_the_same_of_a_seed_that_it_is_given():
    @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int32)])
    def draw(seed, num):
        return uniforms.draw(seed, 0, num, (4, 3, 3))

    for seed in (0, 1, 2**32 - 1, 2**32, uniforms.MAX_SEED):
        np.testing.assert_array_equal(draw(seed, 5), uniforms.draw(seed, 0, 5, (4, 3, 3)))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True, 2**63])
def test_what_is_no_seed_is_told(seed):
    with refuses("seed", seed, 0, uniforms.MAX_SEED):
        uniforms.check_seed(seed)
