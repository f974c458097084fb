"""The loops, driven by a network that can only spell: they must spell a known word."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf.sampling import loops

WORD = "uniforms"  # no letter twice, so each letter's successor is known
SHAPE = (2, 2, 2)  # as an image: two rows of two pixels of two channels


def next_letter(letters):
    """Each letter's successor in the word; the first letter after anything else (0)."""
    result = ops.where(letters == 0, ord(WORD[0]), 0)
    for letter, successor in zip(WORD, WORD[1:], strict=False):
        result = ops.where(letters == ord(letter), ord(successor), result)
    return result


class Speller:
    """A law that decodes to the letter it is given, and tells the uniform in place of log p."""

    channels, num_params = 2, 2

    def __init__(self, channel_autoregressive):
        self.channel_autoregressive = channel_autoregressive

    def decode_channel(self, params, previous, uniforms):
        if self.channel_autoregressive:
            assert len(params) == len(previous) + 1
            return params[-1][..., 0], uniforms
        # One evaluation a pixel: from the second channel on it knows no more than the law does.
        first = params[-1][..., 0]
        return next_letter(previous[-1]) if previous else first, uniforms


class SpellingSteps:
    """Remembers only its inputs: the last letter of the row above and of the pixel before."""

    def __init__(self, network, batch, size):
        assert size == SHAPE[:2]
        self.batch, self.distribution = batch, Speller(channel_autoregressive=True)

    def first_row(self):
        return (tf.zeros(self.batch, tf.int32),)

    def begin_row(self, state, row):
        return state[0][:, None], row  # the batch is the last axis but one

    def end_row(self, state, current, levels):
        return (levels[:, -1, -1] + 0 * current,)

    def first_pixel(self, batch):
        return (tf.zeros(batch, tf.int32),)

    def begin_pixel(self, state, starts, column):
        before = tf.where(column == 0, starts[:, 0], state[0])

        def channel_params(channel, levels):
            return next_letter(before if channel == 0 else levels[:, channel - 1])[:, None]

        return channel_params, lambda levels: (levels[:, -1],)


def spelling_params(levels):
    """A "network" over whole images: at every sub-pixel, the successor of the one before it."""
    flat = ops.reshape(levels, (-1, len(WORD)))
    before = ops.pad(flat, ((0, 0), (1, 0)))[:, :-1]
    return ops.reshape(next_letter(before), (-1, *SHAPE))


def read(levels):
    return ["".join(map(chr, image.ravel())) for image in np.asarray(levels)]


@pytest.fixture
def uniforms():
    return tf.constant(np.random.default_rng(0).random((3, *SHAPE), dtype="float32"))


def test_raster_decoder_spells(uniforms):
    levels, told = loops.decode_raster(None, SpellingSteps, uniforms)
    assert read(levels) == [WORD] * 3
    np.testing.assert_array_equal(told, uniforms)  # each sub-pixel got its own uniform
    levels, told = loops.decode_raster(None, SpellingSteps, uniforms, score=False)
    assert read(levels) == [WORD] * 3 and told is None


def test_raster_decoder_spells_in_a_graph_of_any_batch():
    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
    def decode(uniforms):
        return loops.decode_raster(None, SpellingSteps, uniforms)[0]

    assert read(decode(tf.zeros((2, *SHAPE)))) == [WORD] * 2
    assert read(decode(tf.zeros((5, *SHAPE)))) == [WORD] * 5


@pytest.mark.parametrize("channel_autoregressive", [True, False])
def test_naive_decoder_spells(uniforms, channel_autoregressive):
    law, evaluations = Speller(channel_autoregressive), []

    def all_params(levels):
        evaluations.append(levels)
        return spelling_params(levels)

    levels, told = loops.decode_naive(law, all_params, uniforms)
    assert len(evaluations) == (8 if channel_autoregressive else 4)  # a sub-pixel, or a pixel
    assert read(levels) == [WORD] * 3
    np.testing.assert_array_equal(told, uniforms)


def test_pixel_decoder_hands_channels_on_in_order():
    law, asked = Speller(channel_autoregressive=True), []

    def channel_params(channel, levels):
        asked.append((channel, np.asarray(levels).tolist()))
        return tf.fill([1, 1], 70 + channel)

    levels, told = loops.decode_pixels(law, channel_params, tf.constant([[0.25, 0.75]]))
    assert asked == [(0, [[0, 0]]), (1, [[70, 0]])]
    assert np.asarray(levels).tolist() == [[70, 71]]
    assert np.asarray(told).tolist() == [[0.25, 0.75]]
