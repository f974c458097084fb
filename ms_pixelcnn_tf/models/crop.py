"""Random crops to train on: pixels of an image, and the places of its groups that they are."""

from collections.abc import Sequence

from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Tensor


class Crop:
    """One crop an image, at even offsets, so that the 2x2 blocks stay whole.

    Args:
        size: `(height, width)` of the images.
        side: of the crops, pixels, even; images no larger stay whole. None: no crops.
        offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).

    Attributes:
        area_ratio: the image's area over the crop's.

    Raises:
        UserError: for a side that is odd or below 2.
    """

    def __init__(self, size: Sequence[int], side: int | None, offsets: Tensor) -> None:
        if side is not None and (side < 2 or side % 2):
            raise UserError(f"crop_size is {side}; valid: even numbers, 2 or more")
        self._starts, self._sides = [], []  # in blocks, a row and a column
        for axis, full in enumerate(size):
            own = full if side is None else min(side, full)
            places = (full - own) // 2 + 1
            whole = own == full
            start = None if whole else ops.cast(ops.floor(offsets[:, axis] * places), "int32")
            self._starts.append(start)
            self._sides.append(own // 2)
        self.area_ratio = size[0] * size[1] / (4 * self._sides[0] * self._sides[1])

    def cut_image(self, image: Tensor) -> Tensor:
        """`[B, H, W, C]` → the crop."""
        for axis, index in enumerate(self._indices(2), 1):
            if index is not None:
                shape = (-1, index.shape[1], 1, 1) if axis == 1 else (-1, 1, index.shape[1], 1)
                image = ops.take_along_axis(image, ops.reshape(index, shape), axis=axis)
        return image

    @property
    def places(self) -> Sequence[Tensor | None]:
        """Rows and columns of the groups' maps, `[H/2, W/2]`, that the crop holds: each `[B, n]`
        int32; None where it holds all."""
        return self._indices(1)

    def _indices(self, block):
        """Rows and columns of maps that have `block` pixels a side for each block."""
        return tuple(
            None if start is None else block * start[:, None] + ops.arange(block * side)
            for start, side in zip(self._starts, self._sides, strict=True)
        )
