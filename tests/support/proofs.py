"""Proofs: all images of a size, teacher forcing, and the inputs that an output depends on."""

import contextlib
import itertools

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.models.checks import check_images

DRAWS = 3  # random inputs an output: one relu may be closed on one of them


def taken(conditions, rows):
    """The conditions of some rows (a list of indices, or a slice's range); None of None."""
    if conditions is None:
        return None
    return {name: [values[row] for row in rows] for name, values in conditions.items()}


def row(conditions, index):
    """The conditions of one video, as a batch of one; None of None."""
    if conditions is None:
        return None
    return {name: values[index : index + 1] for name, values in conditions.items()}


def all_images(model):
    """Every image there is, uint8 `[num_levels ** (H·W·C), H, W, C]`."""
    shape = (*model.config.image_size, model.config.channels)
    levels, count = model.config.num_levels, int(np.prod(shape))
    digits = np.arange(levels**count)[:, None] // levels ** np.arange(count) % levels
    return digits.astype("uint8").reshape(-1, *shape)


def probabilities(model, images, conditions=None, chunk=16384):
    """p(image | conditions) of each image, float64.

    Args:
        conditions: of one image, such as `{"label": [2]}`; None without.
    """
    result = []
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        own = conditions and {
            name: np.repeat(np.asarray(values), len(part), axis=0)
            for name, values in conditions.items()
        }
        result.append(np.exp(np.asarray(model.log_prob(part, own), "float64")))
    return np.concatenate(result)


def teacher_forced(model, images, conditions=None):
    """Every factor as the likelihood evaluates it: the parameters given the true pixels.

    Yields:
        The parameters of a factor, the slice of the image that holds its pixels, and its levels.
    """
    _, conditions = check_images(model.config, images, conditions)
    codes = model.encode(conditions)
    scales = [scale.astype("int32") for scale in pixels.pyramid(images, len(model.sizes))]
    factor = 2 ** (len(scales) - 1)
    yield (
        model.base(scales[0], model.conditioning(codes, 0)),
        np.s_[:, ::factor, ::factor],
        scales[0],
    )
    upscalers = iter(model.upscalers)
    for number, scale in enumerate(scales[1:], 1):
        factor //= 2
        conditioning = model.conditioning(codes, number)
        corners = [scale[:, row::2, column::2] for row, column in ((0, 0), (0, 1), (1, 0), (1, 1))]
        for index, (row, column) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
            upscaler = next(upscalers)
            known = upscaler.trunk(np.concatenate(corners[:index], axis=-1), conditioning)
            where = np.s_[:, row * factor :: 2 * factor, column * factor :: 2 * factor]
            yield upscaler(known, corners[index]), where, corners[index]


def teacher_forced_decode(model, images, uniforms, conditions=None):
    """Each sub-pixel decoded by itself, from the parameters that the true pixels give it."""
    law = model.distribution
    result = np.full(images.shape, -1)
    for params, where, levels in teacher_forced(model, images, conditions):
        params = np.asarray(params)
        parts = [params] * law.channels
        if law.channel_autoregressive:
            parts = np.split(params, law.channels, axis=-1)
        previous = [levels[..., channel] for channel in range(law.channels)]
        result[where] = np.stack(
            [
                law.decode_channel(
                    parts[: channel + 1], previous[:channel], uniforms[where][..., channel]
                )[0]
                for channel in range(law.channels)
            ],
            axis=-1,
        )
    return result


@contextlib.contextmanager
def eagerly(wanted=True):
    """Runs what is compiled a step at a time: slower to run, but there is no graph to make."""
    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


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
        for gradient, c in zip(gradients, inputs, strict=True)
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
