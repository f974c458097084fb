"""The frame encoder keeps places, loses no pixel, and looks at each frame by itself."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.encoders import FrameEncoder
from ms_pixelcnn_tf.encoders.frames import stack_blocks
from support.models import randomise

SIZE, CHANNELS, LEVELS, BLOCKS, FEATURES = (16, 20), 3, 256, 1, 4


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda stride: f"stride{stride}")
def encoder(request):
    encoder = FrameEncoder(
        LEVELS, CHANNELS, FEATURES, BLOCKS, stride=request.param, dtype="float64"
    )
    encoder.build()
    randomise(encoder, 2, 0.3)
    return encoder


def random_frames(count, seed=0):
    shape = (count, *SIZE, CHANNELS)
    return np.random.default_rng(seed).integers(0, LEVELS, shape).astype("uint8")


def test_each_frame_by_itself_at_its_size(encoder):
    frames = random_frames(5)
    features = np.asarray(encoder(frames))
    size = tuple(side // encoder.stride for side in SIZE)
    assert features.shape == (5, *size, 2 * FEATURES)
    for index in range(5):
        alone = encoder(frames[index : index + 1])[0]
        np.testing.assert_allclose(alone, features[index], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channel", range(CHANNELS))
def test_a_pixel_reaches_its_surroundings_and_no_further(encoder, channel):
    """Three convolutions of 3x3 see three places each way."""
    frames = random_frames(1, seed=1)
    moved = frames.copy()
    moved[0, 9, 6, channel] ^= 128
    change = np.abs(np.asarray(encoder(moved)) - np.asarray(encoder(frames)))[0].max(axis=-1)
    reach, row, column = 1 + 2 * BLOCKS, 9 // encoder.stride, 6 // encoder.stride
    near = np.zeros(change.shape, bool)
    near[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    np.testing.assert_array_equal(change > 0, near)


@pytest.mark.parametrize(
    "max_dilation, num_blocks, dilations", [(1, 3, [1, 1, 1]), (4, 7, [1, 2, 4, 1, 2, 4, 1])]
)
def test_dilation_doubles_from_block_to_block_and_starts_again(max_dilation, num_blocks, dilations):
    encoder = FrameEncoder(LEVELS, 1, FEATURES, num_blocks, max_dilation=max_dilation)
    assert [block.dilation for block in encoder.blocks] == dilations


def test_a_dilated_pixel_reaches_as_far_as_its_taps():
    encoder = FrameEncoder(LEVELS, 1, FEATURES, 2, max_dilation=2, dtype="float64")
    encoder.build()
    randomise(encoder, 2, 0.3)
    frames = np.full((1, 1, 24, 1), 100, "uint8")
    moved = frames.copy()
    moved[0, 0, 12] = 7
    change = np.abs(np.asarray(encoder(moved)) - np.asarray(encoder(frames))).max(axis=(0, 1, 3))
    reach = 1 + 2 * 1 + 2 * 2  # the entry, two units of dilation 1, two of dilation 2
    np.testing.assert_array_equal(change > 0, np.abs(np.arange(24) - 12) <= reach)


def test_every_pixel_is_seen(encoder):
    frames = tf.constant(random_frames(2), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(frames)
        features = encoder(frames)
        total = tf.reduce_sum(features * np.random.default_rng(3).normal(size=features.shape))
    assert (tape.gradient(total, frames).numpy() != 0).all()


def test_blocks_are_stacked_in_depth_row_by_row():
    maps = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    np.testing.assert_array_equal(stack_blocks(maps, 1), maps)
    expected = np.concatenate(
        [maps[:, row::2, column::2] for row in range(2) for column in range(2)], axis=-1
    )
    np.testing.assert_array_equal(stack_blocks(maps, 2), expected)


def test_integers_and_floats_are_the_same_levels(encoder):
    frames = random_frames(2)
    np.testing.assert_array_equal(encoder(frames), encoder(frames.astype("float64")))


def test_the_configuration_makes_the_same_encoder(encoder):
    again = FrameEncoder.from_config(encoder.get_config())
    again.build()
    again.set_weights(encoder.get_weights())
    frames = random_frames(2)
    np.testing.assert_array_equal(again(frames), encoder(frames))
    assert again.get_config() == encoder.get_config()
