"""Pure functions on image tensors: the sub-sampled pyramid, its 2x2 groups, quantisation, units.

Every function takes `[batch, height, width, channels]` tensors and keeps their dtype, unless it
says otherwise. Groups are made by reshaping (space-to-depth), never by a scatter.

Reference: Reed et al. (2017), section 3 and Figure 2.
"""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Array, Tensor

# Corners of a 2x2 block as (row, column), in the order in which the groups are generated.
GROUP_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
FREQUENCIES = (1.0, 4.0, 16.0)  # of the sines and cosines in `pixel_features`, quarter turns


def subsample(images: Tensor, factor: int = 2) -> Tensor:
    """Every `factor`-th pixel of every `factor`-th row: x_K = x_2K[::2, ::2]. Never an average."""
    return images[:, ::factor, ::factor]


def pyramid(images: Tensor, num_scales: int) -> list[Tensor]:
    """The images at every scale, smallest first: `num_scales` tensors that end with `images`."""
    levels = [images]
    for _ in range(num_scales - 1):
        levels.insert(0, subsample(levels[0]))
    return levels


def split_groups(images: Tensor) -> list[Tensor]:
    """`[B, 2H, 2W, C]` → the four groups `[B, H, W, C]`, in the order of `GROUP_CORNERS`."""
    _, height, width, channels = images.shape
    blocks = ops.reshape(images, (-1, height // 2, 2, width // 2, 2, channels))
    return [blocks[:, :, row, :, column] for row, column in GROUP_CORNERS]


def merge_groups(groups: Sequence[Tensor]) -> Tensor:
    """The inverse of `split_groups`: four `[B, H, W, C]` → `[B, 2H, 2W, C]`."""
    _, height, width, channels = groups[0].shape
    upper = ops.stack([groups[0], groups[1]], axis=3)  # [B, H, W, 2, C]
    lower = ops.stack([groups[2], groups[3]], axis=3)
    blocks = ops.stack([upper, lower], axis=2)  # [B, H, 2, W, 2, C]
    return ops.reshape(blocks, (-1, 2 * height, 2 * width, channels))


def to_patches(maps: Tensor, patch_size: tuple[int, int]) -> Tensor:
    """`[B, H, W, F]` → `[B·(H/h)·(W/w), h, w, F]`: contiguous h×w patches folded into the batch."""
    _, height, width, features = maps.shape
    rows, columns = patch_size
    maps = ops.reshape(maps, (-1, height // rows, rows, width // columns, columns, features))
    maps = ops.transpose(maps, (0, 1, 3, 2, 4, 5))
    return ops.reshape(maps, (-1, rows, columns, features))


def from_patches(patches: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `to_patches`, for maps of `size` = `(height, width)`."""
    height, width = size
    _, rows, columns, features = patches.shape
    maps = ops.reshape(patches, (-1, height // rows, width // columns, rows, columns, features))
    maps = ops.transpose(maps, (0, 1, 3, 2, 4, 5))
    return ops.reshape(maps, (-1, height, width, features))


def quantise(images: Tensor, num_levels: int) -> Tensor:
    """uint8 images 0…255 → uint8 levels 0…`num_levels`-1, in bins of equal width."""
    if num_levels == 256:
        return images
    if isinstance(images, np.ndarray):
        return (images.astype("int32") * num_levels // 256).astype("uint8")
    return ops.cast(ops.cast(images, "int32") * num_levels // 256, "uint8")


def dequantise(levels: Array, num_levels: int) -> np.ndarray:
    """Levels 0…`num_levels`-1 → uint8 numpy array 0…255 for display; the ends map to 0 and 255."""
    return (np.asarray(levels).astype("float32") * 255.0 / (num_levels - 1) + 0.5).astype("uint8")


def to_unit(levels: Tensor, num_levels: int, dtype: str) -> Tensor:
    """Levels 0…`num_levels`-1 → floats in [-1, 1]."""
    return ops.cast(levels, dtype) * (2.0 / (num_levels - 1)) - 1.0


def pixel_features(
    levels: Tensor, num_levels: int, dtype: str, pixel_inputs: str = "features"
) -> Tensor:
    """The network's inputs for given pixels: their values in [-1, 1], then further features.

    From the values alone, a network is slow to learn to distinguish neighbouring levels. So with
    "features", each sub-pixel also enters as its square and as sines and cosines of rising
    frequency (a departure from the paper, which does not specify its inputs). The last feature is 1
    everywhere: convolutions pad with zeros, so its absence marks the border.

    Args:
        levels: `[..., C]` integers (or floats holding them) in 0…`num_levels`-1.
        num_levels: number of levels, 2…256.
        dtype: dtype of the result; computed at least in float32, which keeps levels well apart.
        pixel_inputs: "features", or "values" for the values alone.

    Returns:
        `[..., 8·C + 1]`, or `[..., C]` for "values"; feature f of channel c is at f·C + c.
    """
    value = to_unit(levels, num_levels, "float64" if dtype == "float64" else "float32")
    if pixel_inputs == "values":
        return ops.cast(value, dtype)
    features = [value, value * value - 0.5]
    for frequency in FREQUENCIES:
        angle = value * (0.5 * math.pi * frequency)
        features += [ops.sin(angle), ops.cos(angle)]
    return ops.cast(ops.concatenate(features + [ops.ones_like(value[..., :1])], axis=-1), dtype)


def feature_channels(channels: int, pixel_inputs: str = "features") -> list[int]:
    """The image channel of each feature in `pixel_features`' result; -1 for the constant."""
    if pixel_inputs == "values":
        return list(range(channels))
    return list(range(channels)) * (2 + 2 * len(FREQUENCIES)) + [-1]


def bits_per_dim(nats: Tensor, num_subpixels: int) -> Tensor:
    """Negative log-likelihood in nats per image → bits per sub-pixel."""
    return nats / (num_subpixels * math.log(2.0))


def nats_per_image(bits: float, num_subpixels: int) -> float:
    """Bits per sub-pixel → negative log-likelihood in nats per image."""
    return bits * (num_subpixels * math.log(2.0))
