"""From images to log p, factor by factor: what `MultiscalePixelCNN` compiles.

log p(x) = log p(x_base) + Σ over scales Σ over groups 2, 3, 4 of log p(x_group | groups before it)

Reference: Reed et al. (2017), section 3, equations 1 to 3.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.models.image import decoding
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
    """The factors that the model holds, in order.

    Args:
        model: a `MultiscalePixelCNN`.
        images: `[B, H, W, C]` levels.
        conditions: dict of tensors.
        crop_size, offsets, halo: as for `cropped_log_prob_terms`; None: whole images.

    Yields:
        The number of its size in `model.sizes`, log p of its sub-pixels `[B, h, w, C]` in nats, and
        the ratio of the scale's area to the crop's.
    """
    codes = model.encode(conditions)
    scales = pixels.pyramid(images, len(model.sizes))
    if model.base is not None:
        params = model.base(scales[0], model.conditioning(codes, 0))
        yield 0, model.distribution.log_prob(params, scales[0]), 1
    for index in model.held_indices():
        crop = Crop(model.sizes[index], crop_size, offsets, halo)
        groups = pixels.split_groups(crop.cut_image(scales[index]))
        conditioning = model.conditioning(codes, index, crop.places)
        for group, upscaler in zip((2, 3, 4), model.upscalers_of(index), strict=True):
            context, target = ops.concatenate(groups[: group - 1], axis=-1), groups[group - 1]
            known = upscaler.trunk(context, conditioning)
            params = upscaler.scored(known, target, crop.cut_scored)
            log_prob = model.distribution.log_prob(params, crop.cut_scored(target))
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
        name: decoding.sum_image(log_prob) * area_ratio
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
