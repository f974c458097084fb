"""From uniforms to images, scale by scale: what `MultiscalePixelCNN` compiles.

Each function takes the model, then tensors: uniforms `[B, H, W, C]` and a dict of conditions.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.cached_pixelcnn import CachedPixelCNN
from ms_pixelcnn_tf.types import Tensor

if TYPE_CHECKING:
    from ms_pixelcnn_tf.models.image.model import MultiscalePixelCNN


def decode_cached(
    model: "MultiscalePixelCNN", uniforms: Tensor, conditions: Mapping[str, Tensor], score: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """uint8 levels `[B, H, W, C]`; with `score` also their log p, `[B]`, nats."""

    def base(uniforms, conditioning):
        return loops.decode_raster(
            model.base, CachedPixelCNN, uniforms, score, conditioning=conditioning
        )

    group = functools.partial(loops.decode_group, score=score)
    levels, log_probs = _decode(model, uniforms, conditions, base, group)
    return (levels, sum(map(sum_image, log_probs))) if score else levels


def decode_naive(
    model: "MultiscalePixelCNN", uniforms: Tensor, conditions: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """uint8 levels and their log p, with one full evaluation of a network a sub-pixel."""

    def base(uniforms, conditioning):
        return loops.decode_naive(
            model.distribution, lambda x: model.base(x, conditioning), uniforms
        )

    def group(upscaler, known, uniforms):
        return loops.decode_group_naive(upscaler, lambda x: upscaler(known, x), uniforms)

    levels, log_probs = _decode(model, uniforms, conditions, base, group)
    return levels, sum(map(sum_image, log_probs))


def upscale(
    model: "MultiscalePixelCNN",
    levels: Tensor,
    uniforms: Tensor,
    conditions: Mapping[str, Tensor],
    start: int,
) -> Tensor:
    """uint8 levels of the uniforms' size, from levels of the model's size of number `start`."""
    group = functools.partial(loops.decode_group, score=False)
    levels, _ = _decode_upward(model, start, levels, uniforms, model.encode(conditions), group)
    return ops.cast(levels, "uint8")


def sum_image(log_probs: Tensor) -> Tensor:
    """Σ over an image's sub-pixels: `[B, H, W, C]` → `[B]`."""
    return ops.sum(log_probs, axis=(1, 2, 3))


def _decode(model, uniforms, conditions, decode_base, decode_group):
    """uint8 levels, and the list of what the decoders return beside them."""
    codes = model.encode(conditions)
    smallest = pixels.subsample(uniforms, 2 ** (len(model.sizes) - 1))
    levels, base_log_probs = decode_base(smallest, model.conditioning(codes, 0))
    levels, log_probs = _decode_upward(model, 0, levels, uniforms, codes, decode_group)
    return ops.cast(levels, "uint8"), [base_log_probs, *log_probs]


def _decode_upward(model, start, levels, uniforms, codes, decode_group):
    """Levels of the uniforms' size, and the list of what the decoder returns beside them."""
    num_steps = (uniforms.shape[1] // levels.shape[1]).bit_length() - 1
    larger, log_probs = pixels.pyramid(uniforms, num_steps + 1)[1:], []
    for index, scale in enumerate(larger, start + 1):
        groups, conditioning = [levels], model.conditioning(codes, index)
        for upscaler, own in zip(
            model.upscalers_of(index), pixels.split_groups(scale)[1:], strict=True
        ):
            known = upscaler.trunk(ops.concatenate(groups, axis=-1), conditioning)
            decoded, group_log_probs = decode_group(upscaler, known, own)
            groups.append(decoded)
            log_probs.append(group_log_probs)
        levels = pixels.merge_groups(groups)
    return levels, log_probs
