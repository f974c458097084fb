"""Random crops for training: their pixels, and their places in the maps of the groups."""

from collections.abc import Sequence

from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Tensor


class Crop:
    """One crop per image, at even offsets so that the 2x2 blocks stay whole.

    Without a halo a crop may lie anywhere, and only the crop is read. With a halo the crops are the
    tiles of the image, all equally likely, and `halo` more pixels are read on each side. At the
    image's border the window that is read keeps its size and extends further inside. If the halo
    covers the receptive field, each pixel is scored as in the whole image, and all pixels equally
    often, so the terms times `area_ratio` are an unbiased estimate.

    Args:
        size: `(height, width)` of the images, pixels.
        side: side of the crops, pixels, even; images that are no larger stay whole. None: no
            crops.
        offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).
        halo: pixels around a crop that are read but not scored, even.

    Attributes:
        area_ratio: the image's area divided by the crop's.

    Raises:
        UserError: for a side that is odd or below 2, a halo that is odd or below 0, or, with a
            halo, a side that does not divide the image's.
    """

    def __init__(
        self, size: Sequence[int], side: int | None, offsets: Tensor, halo: int = 0
    ) -> None:
        if side is not None and (side < 2 or side % 2):
            raise UserError(f"crop_size is {side}; valid: even numbers, 2 or more")
        if halo < 0 or halo % 2:
            raise UserError(f"crop_halo is {halo}; valid: even numbers, 0 or more")
        self._read, self._scored = [], []  # (start, number) of blocks for each axis
        for axis, full in enumerate(length // 2 for length in size):
            own = full if side is None else min(side // 2, full)
            window = min(own + halo, full)  # halo // 2 blocks on each side
            if halo and full % own:
                raise UserError(
                    f"crop_size is {side}, which does not divide {2 * full} pixels; with crop_halo "
                    "valid: divisors of the sides of the scales above it"
                )
            start = read = None
            if own < full:
                places, step = (full // own, own) if halo else (full - own + 1, 1)
                start = step * ops.cast(ops.floor(offsets[:, axis] * places), "int32")
                if window < full:
                    read = ops.clip(start - halo // 2, 0, full - window)
                    start = start - read
            self._read.append((read, window))
            self._scored.append((start if halo else None, own))
        (_, height), (_, width) = self._scored
        self.area_ratio = size[0] * size[1] / (4 * height * width)

    def cut_image(self, image: Tensor) -> Tensor:
        """`[B, H, W, C]` → the part of it that is read."""
        return _cut(image, _indices(self._read, 2))

    def cut_scored(self, maps: Tensor | None) -> Tensor | None:
        """Maps `[B, h, w, F]` of the groups that are read → those of the crop; None stays None."""
        return None if maps is None else _cut(maps, _indices(self._scored, 1))

    @property
    def places(self) -> Sequence[Tensor | None]:
        """Rows and columns of the groups' maps, `[H/2, W/2]`, that are read: each `[B, n]` int32,
        or None for all."""
        return _indices(self._read, 1)


def _indices(parts, block):
    """Rows and columns of maps in which a block is `block` pixels wide and high."""
    return tuple(
        None if start is None else block * start[:, None] + ops.arange(block * side)
        for start, side in parts
    )


def _cut(maps, indices):
    """Takes rows and columns, each `[B, n]` or None for all, of `[B, h, w, F]`."""
    for axis, index in enumerate(indices, 1):
        if index is not None:
            shape = (-1, index.shape[1], 1, 1) if axis == 1 else (-1, 1, index.shape[1], 1)
            maps = ops.take_along_axis(maps, ops.reshape(index, shape), axis=axis)
    return maps
