"""What proofs of causality share: which inputs an output depends on, by gradients, as sets."""

import itertools

import numpy as np
import tensorflow as tf

DRAWS = 3  # random inputs an output: one relu may be closed on one of them


def dependence(function, size, outputs, inputs, channels_out, seed=0):
    """Which inputs each output's parameters depend on, by gradients.

    Args:
        function: `[N, H, W, ·]` tensors of levels 0…255 as floats → parameters `[N, H, W, P]`.
        size: `(H, W)`.
        outputs: channels of the output that have parameters of their own (G).
        inputs: channel counts of the input tensors.
        channels_out: P/G parameters a channel.

    Returns:
        For each input, bool `[H, W, G, H, W, C]`.
    """
    generator = np.random.default_rng(seed)
    height, width = size
    count = height * width * outputs  # one row of the Jacobian an example
    tensors = [
        tf.constant(generator.integers(0, 256, (DRAWS * count, height, width, c)), tf.float32)
        for c in inputs
    ]
    select = np.zeros((count, height * width, outputs, channels_out), "float32")
    select.reshape(count, count, channels_out)[np.arange(count), np.arange(count)] = (
        generator.normal(size=(count, channels_out))
    )
    select = np.tile(select.reshape(count, height, width, -1), (DRAWS, 1, 1, 1))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = tf.reduce_sum(function(*tensors) * select)
    gradients = tape.gradient(total, tensors, unconnected_gradients="zero")
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    return [
        (np.reshape(gradient, (DRAWS, height, width, outputs, height, width, c)) != 0).any(axis=0)
        for gradient, c in zip(gradients, inputs)
    ]


def in_window(size, sees):
    """Bool `[H, W, H, W]`: whether `sees(rows up, columns right)` of an output's position and an
    input's."""
    result = np.zeros((*size, *size), bool)
    for row, column, up, right in itertools.product(*map(range, (*size, *size))):
        result[row, column, up, right] = sees(row - up, right - column)
    return result


def past(height, width, channels, groups):
    """All sub-pixels before each output in raster order: bool `[H, W, groups, H, W, C]`."""
    order = np.arange(height * width)
    before = (order[None, :] < order[:, None])[:, None, :, None]
    same = (order[None, :] == order[:, None])[:, None, :, None]
    earlier = (np.arange(channels)[None, :] < np.arange(groups)[:, None])[None, :, None, :]
    result = before | (same & earlier)
    return result.reshape(height, width, groups, height, width, channels)


def groups_of(law):
    """Outputs with parameters of their own at a pixel, and how many parameters each has."""
    groups = law.channels if law.channel_autoregressive else 1
    return groups, law.num_params // groups


def assert_same(found, reach):
    """`found` is the reach; the message tells a leak from a blind spot."""
    leaks, blind = np.argwhere(found & ~reach), np.argwhere(reach & ~found)
    assert not len(leaks), f"{len(leaks)} leaks, as at {leaks[0]} (output, input)"
    assert not len(blind), f"{len(blind)} blind spots, as at {blind[0]} (output, input)"
