"""The likelihood of an image model, factor by factor, and its inverse, decoding.

log p(x) = log p(x_base) + Σ over scales Σ over groups 2, 3, 4 of log p(x_group | groups before it)

`factors` goes up the scales of known images. `_decode` goes the same way and fills in unknown
pixels: the base first, then group by group (`models.scale`). Each function takes the model, then
tensors: images or uniforms `[B, H, W, C]`, and a dict of conditions. `ImageGraphs` compiles these
functions.

Reference: Reed et al. (2017), section 3, equations 1 to 3.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.models.scale import sum_pixels
from ms_pixelcnn_tf.sampling.samplers import CachedSampler, NaiveSampler
from ms_pixelcnn_tf.types import Tensor

if TYPE_CHECKING:
    from ms_pixelcnn_tf.models.image.model import MultiscalePixelCNN


def factors(
    model: "MultiscalePixelCNN",
    images: Tensor,
    conditions: Mapping[str, Tensor],
    crop_size: int | None = None,
    offsets: Tensor | None = None,
    halo: int = 0,
) -> Iterator[tuple[int, Tensor, float]]:
    """Yields the factors that the model holds, in order.

    Args:
        model: a `MultiscalePixelCNN`.
        images: `[B, H, W, C]` levels.
        conditions: dict of tensors.
        crop_size, offsets, halo: as for `cropped_log_prob_terms`; `crop_size` None: whole images.

    Yields:
        The index in `model.sizes` of the factor's scale, log p of its sub-pixels `[B, h, w, C]` in
        nats, and the ratio of the scale's area to the crop's.
    """
    codes = model.encode(conditions)
    scales = pixels.pyramid(images, len(model.sizes))
    if model.base is not None:
        params = model.base(scales[0], model.conditioning(codes, 0))
        yield 0, model.distribution.log_prob(params, scales[0]), 1
    for index, scale in model.scales.items():
        crop = Crop(model.sizes[index], crop_size, offsets, halo)
        image = crop.cut_image(scales[index])
        conditioning = model.conditioning(codes, index, crop.places)
        for factor in scale.factors(image, conditioning, cut=crop.cut_scored):
            log_prob = model.distribution.log_prob(factor.params, factor.levels)
            yield index, log_prob, crop.area_ratio


def log_prob_terms(
    model: "MultiscalePixelCNN",
    images: Tensor,
    conditions: Mapping[str, Tensor],
    crop_size: int | None = None,
    offsets: Tensor | None = None,
    halo: int = 0,
) -> dict[str, Tensor]:
    """The terms of log p(images): name → `[B]` nats."""
    found = factors(model, images, conditions, crop_size, offsets, halo)
    return {
        name: sum_pixels(log_prob) * area_ratio
        for name, (_, log_prob, area_ratio) in zip(model.term_dims, found, strict=True)
    }


def log_prob_by_pixel(
    model: "MultiscalePixelCNN", images: Tensor, conditions: Mapping[str, Tensor]
) -> Tensor:
    """log p of each sub-pixel given those before it, `[B, H, W, C]` nats."""
    by_size = {}
    for index, log_prob, _ in factors(model, images, conditions):
        by_size.setdefault(index, []).append(log_prob)
    (whole,) = by_size.pop(0)
    for groups in by_size.values():
        whole = pixels.merge_groups([whole, *groups])
    return whole


# -- the inverse -----------------------------------------------------------------------------------


def decode_cached(
    model: "MultiscalePixelCNN", uniforms: Tensor, conditions: Mapping[str, Tensor], score: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """Decodes uint8 levels `[B, H, W, C]`; with `score` also returns their log p, `[B]` nats."""

    levels, log_probs = _decode(model, uniforms, conditions, CachedSampler(score))
    return (levels, sum(map(sum_pixels, log_probs))) if score else levels


def decode_naive(
    model: "MultiscalePixelCNN", uniforms: Tensor, conditions: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Decodes uint8 levels and their log p without a cache (`NaiveSampler`)."""

    levels, log_probs = _decode(model, uniforms, conditions, NaiveSampler())
    return levels, sum(map(sum_pixels, log_probs))


def upscale(
    model: "MultiscalePixelCNN",
    levels: Tensor,
    uniforms: Tensor,
    conditions: Mapping[str, Tensor],
    start: int,
) -> Tensor:
    """Decodes uint8 levels of the uniforms' size, given levels of size `model.sizes[start]`."""
    sampler = CachedSampler(score=False)
    levels, _ = _decode_upward(model, start, levels, uniforms, model.encode(conditions), sampler)
    return ops.cast(levels, "uint8")


def _decode(model, uniforms, conditions, sampler):
    """uint8 levels, and a list of the factors' log-probabilities."""
    codes = model.encode(conditions)
    smallest = pixels.subsample(uniforms, 2 ** (len(model.sizes) - 1))
    levels, base_log_probs = sampler.raster(model.base, smallest, model.conditioning(codes, 0))
    levels, log_probs = _decode_upward(model, 0, levels, uniforms, codes, sampler)
    return ops.cast(levels, "uint8"), [base_log_probs, *log_probs]


def _decode_upward(model, start, levels, uniforms, codes, sampler):
    """Levels of the uniforms' size, and a list of the factors' log-probabilities."""
    num_steps = (uniforms.shape[1] // levels.shape[1]).bit_length() - 1
    log_probs = []
    for index, drawn in enumerate(pixels.pyramid(uniforms, num_steps + 1)[1:], start + 1):
        conditioning = model.conditioning(codes, index)
        levels, own = model.scales[index].decode([levels], drawn, conditioning, sampler)
        log_probs += own
    return levels, log_probs
