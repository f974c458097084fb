"""A data set of every n-th pixel of another's images or frames, the input that upscalers expect.

Reed et al. (2017), section 3: the small image is the large one subsampled, never averaged. An image
drawn or averaged at 64x64 has other pixels than every fourth pixel of 256x256. If a model's frames
will be enlarged to 256x256, train it on the latter.
"""

import hashlib
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Array


class Subsampled(Source):
    """Keeps every `factor`-th pixel of every `factor`-th row of the images or frames of `source`.

    Keypoints are in pixels of the smaller image. A segmentation `[n, H, W]` is subsampled too. Maps
    `[n, M, M, S]`, all other fields and all other attributes (such as `scene` or `episode`) are the
    source's.

    Args:
        source: a `Source`.
        factor: n, 2 or more, a divisor of both sides of its images.
    """

    def __init__(self, source: Source, factor: int) -> None:
        for name in Source.__annotations__:
            setattr(self, name, getattr(source, name))
        self.source, self.factor = source, factor
        height, width = source.image_size
        self.image_size = (height // factor, width // factor)
        sizes = source.image_size, self.image_size
        large, small = (f"{height}x{width}" for height, width in sizes)
        self.description = (
            f"{source.description}; every {_ordinal(factor)} pixel of {large}: {small}"
        )

    def __getattr__(self, name):
        if name.startswith("_"):  # copy and pickle look names up before `source` is set
            raise AttributeError(name)
        return getattr(self.source, name)

    def size(self, split: str) -> int:
        return self.source.size(split)

    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None, **places: Any
    ) -> dict[str, np.ndarray]:
        """Like `source.examples`; `places` are passed on."""
        found, factor = dict(self.source.examples(split, indices, fields, **places)), self.factor
        if self.example_field in found:
            large = found[self.example_field]
            found[self.example_field] = np.ascontiguousarray(large[..., ::factor, ::factor, :])
        if "keypoints" in found:
            found["keypoints"] = found["keypoints"] / np.array([factor, factor, 1], "float32")
        if np.ndim(found.get("segmentation", 0)) == 3:
            found["segmentation"] = found["segmentation"][:, ::factor, ::factor]
        return found

    def fingerprint(self) -> str:
        told = f"every {self.factor} of {self.source.fingerprint()}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def factor_of(source_size: int | None, image_size: tuple[int, int]) -> int:
    """The factor that subsamples images of `source_size` to `image_size`.

    Args:
        source_size: longer side of the images read, in pixels; 0 or None: that of `image_size`.
        image_size: `(height, width)` of the subsampled images.

    Raises:
        UserError: if `source_size` is not a multiple of the longer side of `image_size`.
    """
    side = max(image_size)
    source_side = source_size or side
    whole = isinstance(source_side, numbers.Integral) and source_side >= side
    if not whole or source_side % side:
        raise UserError(
            f"source_size is {source_size!r}; give 0, to read images at their own size, or a "
            f"multiple of {side}, image_size's longer side, such as {2 * side}"
        )
    return int(source_side) // side


def _ordinal(number):
    """2 → "2nd"."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
