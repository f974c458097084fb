"""The ConvLSTM is Keras's, with the inputs' share of all frames computed at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf.layers import ConvLSTM
from proofs import randomise

BATCH, TIME, SIZE, INPUTS, FEATURES = 2, 5, (4, 3), 3, 4


@pytest.fixture(scope="module", params=[1, 3, 5], ids=lambda size: f"kernel{size}")
def layer(request):
    layer = ConvLSTM(FEATURES, INPUTS, request.param, dtype="float64")
    layer.build()
    randomise(layer, 1, 0.4)
    return layer


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).normal(size=(BATCH, TIME, *SIZE, INPUTS))


def read_all(layer, frames):
    """`[B, T, h, w, I]` → `[T, B, h, w, 4F]`, in one convolution."""
    read = layer.read(ops.reshape(frames, (-1, *SIZE, INPUTS)))
    return ops.transpose(ops.reshape(read, (-1, TIME, *SIZE, 4 * FEATURES)), (1, 0, 2, 3, 4))


def unrolled(layer, frames):
    """Hidden states `[B, T, h, w, F]`, a step at a time."""
    state, states = layer.initial_state(BATCH, SIZE), []
    for time in range(TIME):
        state = layer(frames[:, time], state)
        states.append(state[0])
    return ops.stack(states, axis=1)


def scanned(layer, frames):
    """The same by `ops.scan`, over gates read for all frames at once."""
    def step(state, read):
        state = layer.step(read, state)
        return state, state  # on TensorFlow, what a scan returns must be like what it carries

    state = layer.initial_state(ops.shape(frames)[0], SIZE)
    _, (hidden, _) = ops.scan(step, state, read_all(layer, frames))
    return ops.transpose(hidden, (1, 0, 2, 3, 4))


def test_is_what_keras_computes(layer, frames):
    theirs = keras.layers.ConvLSTM2D(
        FEATURES, layer.kernel_size, padding="same", recurrent_activation="sigmoid",
        return_sequences=True, dtype="float64",
    )
    theirs.build(frames.shape)
    theirs.set_weights(layer.get_weights())
    np.testing.assert_allclose(unrolled(layer, frames), theirs(frames), rtol=1e-10, atol=1e-12)


def test_frames_read_at_once_are_frames_read_in_turn(layer, frames):
    read = np.asarray(read_all(layer, frames))
    for time in range(TIME):
        np.testing.assert_allclose(read[time], layer.read(frames[:, time]), rtol=1e-12, atol=1e-12)
    assert np.abs(read).std() > 0.1


def test_a_scan_in_a_graph_has_the_same_states_and_gradients(layer, frames):
    frames = tf.constant(frames)

    def value_and_gradients(run):
        with tf.GradientTape() as tape:
            tape.watch(frames)
            hidden = run(layer, frames)
            loss = tf.reduce_sum(hidden[:, -1] ** 2)
        sources = [frames, *(variable.value for variable in layer.trainable_variables)]
        return hidden, tape.gradient(loss, sources)

    hidden, gradients = value_and_gradients(unrolled)
    compiled_hidden, compiled = tf.function(lambda: value_and_gradients(scanned))()
    np.testing.assert_allclose(compiled_hidden, hidden, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(compiled, gradients):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        assert np.abs(theirs).max() > 1e-3
    assert (np.abs(gradients[0]).max(axis=(0, 2, 3, 4)) > 0).all(), "every frame is remembered"


def test_starts_from_nothing_and_remembers():
    layer = ConvLSTM(FEATURES, INPUTS)
    layer.build()
    for part in layer.initial_state(BATCH, SIZE):
        np.testing.assert_array_equal(part, np.zeros((BATCH, *SIZE, FEATURES)))
    expected = np.zeros((4, FEATURES))
    expected[1] = 1  # the forget gate's
    np.testing.assert_array_equal(np.reshape(layer.bias, (4, FEATURES)), expected)


def test_the_configuration_makes_the_same_layer(layer, frames):
    again = ConvLSTM.from_config(layer.get_config())
    again.build()
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(unrolled(again, frames), unrolled(layer, frames))
    assert again.get_config() == layer.get_config()
