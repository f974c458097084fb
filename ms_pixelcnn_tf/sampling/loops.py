"""The loops of decoding: one uniform per sub-pixel in, one level per sub-pixel out.

`decode_pixels`, `decode_raster` and `decode_naive` map `uniforms` in [0, 1), float32 or float64, to
integer levels by inverse CDF. They also return the log-probabilities of these levels (nats per
sub-pixel, in the uniforms' dtype); if `score` is false, `decode_raster` returns None instead.
Different samplers of one model only order the same computation differently: the same uniforms give
the same image.

Reference: Reed et al. (2017), section 3.1; caching as in Ramachandran et al. (2017).
"""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from ms_pixelcnn_tf.sampling.per_core import by_cores
from ms_pixelcnn_tf.types import Tensor

# From this many pixels on, XLA compiles the whole raster as one program. Compiling takes seconds
# for each batch size, which smaller images do not pay back; and many small images at once, such as
# type B's patches, take twice as long with XLA.
FUSED_FROM = 64


def decode_pixels(
    distribution: Any, channel_params: Callable, uniforms: Tensor
) -> tuple[Tensor, Tensor]:
    """Decodes pixels that do not depend on one another, channel by channel.

    Args:
        distribution: the distribution of a pixel.
        channel_params: `(channel, levels [..., C]) → parameters`, called once per channel, in
            order; the levels of `channel` and of later channels are zeros.
        uniforms: `[..., C]`.

    Returns:
        `[..., C]` int32 levels, `[..., C]` log-probabilities.
    """
    unknown = ops.zeros_like(uniforms[..., 0], dtype="int32")
    levels, log_probs, params = [], [], []
    for channel in range(distribution.channels):
        padded = levels + [unknown] * (distribution.channels - channel)
        params.append(channel_params(channel, ops.stack(padded, axis=-1)))
        level, log_prob = distribution.decode_channel(params, levels, uniforms[..., channel])
        levels.append(level)
        log_probs.append(log_prob)
    return ops.stack(levels, axis=-1), ops.stack(log_probs, axis=-1)


def decode_raster(
    network: Any, cache: Callable, uniforms: Tensor, score: bool = True, **given: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Decodes images in raster order, in one graph, by a network with a cache.

    The loops consist of many small operations, so each core runs them on its own part of the batch
    (`by_cores`): from `FUSED_FROM` pixels on the whole raster, below that the loop over the pixels
    of a row.

    Args:
        network: the network that parametrises the pixels.
        cache: `(network, batch, (height, width), **given)` → the cache of the network, such as the
            class `sampling.cached_pixelcnn.CachedPixelCNN`; any object with its methods will do.
        uniforms: `[B, H, W, C]`.
        score: whether to return log-probabilities.
        **given: the other inputs of the network, tensors `[B, …]`; Nones are left out.

    Returns:
        `[B, H, W, C]` int32 levels, `[B, H, W, C]` log-probabilities or None.
    """
    _, height, width, _ = uniforms.shape
    fused = height * width >= FUSED_FROM

    def decode(uniforms, given):
        steps = cache(network, ops.shape(uniforms)[0], (height, width), **given)
        uniforms = ops.transpose(uniforms, (1, 2, 0, 3))  # rows and pixels are read by index

        def decode_pixel(column, carry, starts, row_uniforms):
            state, *row = carry
            channel_params, end_pixel = steps.begin_pixel(state, starts, column)
            pixel = decode_pixels(steps.distribution, channel_params, row_uniforms[column])
            # Without `score`, `row` has no log-probabilities, and `zip` drops those of `pixel`.
            return end_pixel(pixel[0]), *(
                push(kept, new) for kept, new in zip(row, pixel, strict=False)
            )

        def decode_pixels_of_row(starts, row_uniforms):
            empty = steps.first_pixel(ops.shape(row_uniforms)[1]), *_blank(row_uniforms, score)
            _, *decoded = ops.fori_loop(
                0, width, lambda i, c: decode_pixel(i, c, starts, row_uniforms), empty
            )
            return decoded

        if not fused:
            decode_pixels_of_row = by_cores(decode_pixels_of_row, fused=False, batch_axis=-2)

        def decode_row(row, carry):
            state, *image = carry
            starts, current = steps.begin_row(state, row)
            decoded = decode_pixels_of_row(starts, uniforms[row])  # of [W, B, C]
            levels = ops.transpose(decoded[0], (1, 0, 2))
            state = steps.end_row(state, current, levels)
            return state, *(push(kept, new) for kept, new in zip(image, decoded, strict=True))

        empty = steps.first_row(), *_blank(uniforms, score)
        _, *image = ops.fori_loop(0, height, decode_row, empty)
        return [ops.transpose(result, (2, 0, 1, 3)) for result in image]

    if fused:
        decode = by_cores(decode, fused=True, batch_axis=0)
    given = {name: tensor for name, tensor in given.items() if tensor is not None}
    levels, *log_probs = decode(uniforms, given)
    return levels, log_probs[0] if score else None


def decode_naive(
    distribution: Any, all_params: Callable, uniforms: Tensor, by_channel: bool = False
) -> tuple[Tensor, Tensor]:
    """Decodes in raster order with one full evaluation of the network per sub-pixel, or per pixel
    if the distribution does not order the channels.

    This is the baseline: the cost of ancestral sampling without a cache.

    Args:
        distribution: the distribution of a pixel.
        all_params: `levels [B, H, W, C] → [B, H, W, distribution.num_params]`, causal.
        uniforms: `[B, H, W, C]`.
        by_channel: whether to decode one channel of all pixels before the next; only for
            distributions that order the channels.

    Returns:
        `[B, H, W, C]` int32 levels, `[B, H, W, C]` log-probabilities.
    """
    _, height, width, channels = uniforms.shape
    image = naive_start(uniforms)
    for own in [[channel] for channel in range(channels)] if by_channel else [range(channels)]:

        def decode(position, image, own=own):
            return decode_naive_pixel(distribution, all_params, uniforms, position, image, own)

        image = ops.fori_loop(0, height * width, decode, image)
    return image


def naive_start(uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """The start of `decode_naive`: levels and log-probabilities, all zeros."""
    return ops.zeros_like(uniforms, dtype="int32"), ops.zeros_like(uniforms)


def decode_naive_pixel(
    distribution: Any,
    all_params: Callable,
    uniforms: Tensor,
    position: Tensor,
    image: Any,
    own_channels: Sequence[int] | None = None,
) -> Any:
    """Decodes one pixel of `decode_naive`.

    Args:
        distribution, all_params, uniforms: as for `decode_naive`.
        position: the pixel's number in raster order.
        image: levels and log-probabilities so far.
        own_channels: the channels to decode, in order; None: all.

    Returns:
        `image` with the levels and log-probabilities of this pixel filled in.
    """
    _, height, width, channels = uniforms.shape
    row, column = position // width, position % width
    here = (ops.arange(height)[:, None, None] == row) & (ops.arange(width)[:, None] == column)
    for channel in range(channels) if own_channels is None else own_channels:
        levels, _ = image
        if channel == 0 or distribution.channel_autoregressive:
            params = all_params(levels)[:, row, column]
            if distribution.channel_autoregressive:
                params = ops.split(params, channels, axis=-1)[: channel + 1]
            else:
                params = [params]
        known = ops.unstack(levels[:, row, column], num=channels, axis=-1)[:channel]
        decoded = distribution.decode_channel(params, known, uniforms[:, row, column, channel])
        own = here & (ops.arange(channels) == channel)
        image = tuple(
            ops.where(own, new[:, None, None, None], old)
            for new, old in zip(decoded, image, strict=True)
        )
    return image


def push(kept: Tensor, new: Tensor) -> Tensor:
    """Drops the first entry and appends `new`; as many pushes as entries fill `kept` in order. It
    copies everything, but needs no scatter."""
    return ops.concatenate([kept[1:], new[None]], axis=0)


def _blank(uniforms, score):
    """Zeros for `push` to replace: levels and, with `score`, log-probabilities."""
    levels = ops.zeros_like(uniforms, dtype="int32")
    return (levels, ops.zeros_like(uniforms)) if score else (levels,)
