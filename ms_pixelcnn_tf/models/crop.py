"""Random crops to train on: of an image, and of what conditions it, exactly aligned."""

from keras import ops


class Crop:
    """One crop an image, at even offsets, so that the 2x2 blocks stay whole.

    Args:
        size: `(height, width)` of the images.
        side: of the crops, pixels, even; images no larger stay whole. None: no crops.
        offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).

    Attributes:
        area_ratio: the image's area over the crop's.
    """

    def __init__(self, size, side, offsets):
        self._starts, self._sides = [], []  # in blocks, a row and a column
        for axis, full in enumerate(size):
            own = min(side or full, full)
            places = (full - own) // 2 + 1
            whole = own == full
            start = None if whole else ops.cast(ops.floor(offsets[:, axis] * places), "int32")
            self._starts.append(start)
            self._sides.append(own // 2)
        self.area_ratio = size[0] * size[1] / (4 * self._sides[0] * self._sides[1])

    def cut_image(self, image):
        """`[B, H, W, C]` → the crop."""
        return self._cut(image, 2)

    def cut_groups(self, conditioning):
        """Conditioning of the groups, `[B, H/2, W/2, E]`, → of the crop's; a vector stays."""
        if conditioning is None or tuple(conditioning.shape[1:3]) == (1, 1):
            return conditioning
        return self._cut(conditioning, 1)

    def _cut(self, maps, block):
        for axis, (start, side) in enumerate(zip(self._starts, self._sides)):
            if start is not None:
                index = block * start[:, None] + ops.arange(block * side)
                shape = (-1, block * side, 1, 1) if axis == 0 else (-1, 1, block * side, 1)
                maps = ops.take_along_axis(maps, ops.reshape(index, shape), axis=axis + 1)
        return maps
