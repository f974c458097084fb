"""The ConvLSTM in bfloat16: convolutions are narrow, what is summed over time is not."""

import numpy as np
import pytest
from keras import ops

from ms_pixelcnn_tf.layers import ConvLSTM

FRAMES, SIZE, FEATURES = 200, (2, 2), 4


def steady(dtype):
    """A layer that forgets a 400th of its cell a frame, and writes as little."""
    layer = ConvLSTM(FEATURES, 2, dtype=dtype)
    layer.build()
    generator = np.random.default_rng(0)
    for kernel in (layer.kernel, layer.recurrent_kernel):
        kernel.assign(0.1 * generator.normal(size=kernel.shape))
    for norm in (layer.read_norm, layer.recurrent_norm):
        norm.gamma.assign(np.full(norm.gamma.shape, 0.05))
    layer.bias.assign(np.repeat([-4.5, 6, 2, 0], FEATURES))  # write, keep, update, output
    return layer


def cells(layer):
    """`[T, h, w, F]`: the cell after each frame."""
    frames = np.random.default_rng(1).normal(size=(FRAMES, 1, *SIZE, 2)).astype("float32")
    state, found = layer.initial_state(1, SIZE), []
    for frame in frames:
        state = layer(frame, state)
        found.append(np.asarray(ops.cast(state[1], "float32"))[0])
    return np.stack(found)


def test_a_cell_in_bfloat16_grows_as_in_float32():
    expected, found = cells(steady("float32")), cells(steady("mixed_bfloat16"))
    assert (expected[-1] > 1.3 * expected[120]).all() and expected[120].min() > 1  # it still grows
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_bfloat16_throughout_would_stall():
    """The same recurrence of one number, in both types: the fault that the layer avoids."""
    found = []
    for dtype in ("float32", "bfloat16"):
        keep, add = (ops.cast(value, dtype) for value in (1 / (1 + np.exp(-6)), 0.0106))
        cell = ops.zeros((), dtype)
        for _ in range(FRAMES):
            cell = keep * cell + add
        found.append(float(cell))
    assert abs(found[1] / found[0] - 1) > 0.1


@pytest.mark.parametrize("dtype, wide", [("mixed_bfloat16", "float32"), ("float64", "float64")])
def test_dtypes(dtype, wide):
    layer = steady(dtype)
    narrow = layer.compute_dtype
    frame, state = np.zeros((1, *SIZE, 2)), layer.initial_state(1, SIZE)
    for hidden, cell in (state, layer(frame, state), layer.step(layer.input_gates(frame), state)):
        assert (hidden.dtype, cell.dtype) == (narrow, wide)
    assert layer.input_gates(frame).dtype == wide
