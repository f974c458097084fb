"""The ConvLSTM is Keras's with normalised gates; the inputs' share is computed at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf.layers import ConvLSTM
from support.models import randomise

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
    read = layer.input_gates(ops.reshape(frames, (-1, *SIZE, INPUTS)))
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


def plain(layer):
    """The kernels and the bias, less the gains of the normalisations."""
    return [layer.kernel, layer.recurrent_kernel, layer.bias]


def normalised(share, gain):
    """Ba et al. (2016), equations 15 and 16, in numpy."""
    share = np.asarray(share)
    mean, deviation = share.mean(-1, keepdims=True), np.sqrt(share.var(-1, keepdims=True) + 1e-5)
    return np.asarray(gain) * (share - mean) / deviation


def test_without_normalisation_it_is_what_keras_computes(layer, frames):
    bare = ConvLSTM.from_config(layer.get_config() | {"norms": "none"})
    bare.build()
    assert len(bare.variables) == 3
    for ours, value in zip(plain(bare), plain(layer), strict=True):
        ours.assign(value)
    theirs = keras.layers.ConvLSTM2D(
        FEATURES,
        layer.kernel_size,
        padding="same",
        recurrent_activation="sigmoid",
        return_sequences=True,
        dtype="float64",
    )
    theirs.build(frames.shape)
    theirs.set_weights([np.asarray(weight) for weight in plain(layer)])
    np.testing.assert_allclose(unrolled(bare, frames), theirs(frames), rtol=1e-10, atol=1e-12)


def test_a_step_is_the_equation(layer, frames):
    """[i, f, u, o] = N(kernel * inputs) + N(recurrent * hidden) + bias."""
    generator = np.random.default_rng(5)
    hidden, cell = generator.normal(size=(2, BATCH, *SIZE, FEATURES))
    shares = (
        ops.conv(maps, kernel, padding="same")
        for maps, kernel in ((frames[:, 0], layer.kernel), (hidden, layer.recurrent_kernel))
    )
    gains = layer.read_norm.gamma, layer.recurrent_norm.gamma
    gates = sum(map(normalised, shares, gains)) + np.asarray(layer.bias)
    write, keep, update, output = np.split(gates, 4, axis=-1)
    write, keep, output = (1 / (1 + np.exp(-gate)) for gate in (write, keep, output))
    after = keep * cell + write * np.tanh(update)
    found = layer(frames[:, 0], (hidden, cell))
    np.testing.assert_allclose(found[1], after, rtol=1e-10)
    np.testing.assert_allclose(found[0], output * np.tanh(after), rtol=1e-10)


def test_large_kernels_do_not_saturate_it(layer, frames):
    large = ConvLSTM.from_config(layer.get_config())
    large.build()
    large.set_weights(layer.get_weights())
    large.kernel.assign(1000 * layer.kernel)
    large.recurrent_kernel.assign(1000 * layer.recurrent_kernel)
    np.testing.assert_allclose(unrolled(large, frames), unrolled(layer, frames), atol=0.02)


def test_frames_read_at_once_are_frames_read_in_turn(layer, frames):
    read = np.asarray(read_all(layer, frames))
    for time in range(TIME):
        np.testing.assert_allclose(
            read[time], layer.input_gates(frames[:, time]), rtol=1e-12, atol=1e-12
        )
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
    for ours, theirs in zip(compiled, gradients, strict=True):
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
