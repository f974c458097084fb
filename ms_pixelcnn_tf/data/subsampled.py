"""A data set seen through every n-th pixel of its images or frames, as an upscaler is given them.

Reed et al. (2017), section 3: the small image is the large one sub-sampled, never averaged. What is
drawn, or averaged, at 64x64 has other pixels than every fourth one of 256x256. So a model whose
frames are to be enlarged to 256x256 is trained on the latter.
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
    """`source`, of whose images or frames every `factor`-th pixel of every `factor`-th row is kept.

    Keypoints are in pixels of the smaller image, and a segmentation `[n, H, W]` is sub-sampled
    alike; maps `[n, M, M, S]` and all other fields are the source's. So is whatever else it has,
    such as its scenes or episodes.

    Args:
        source: a `Source`.
        factor: n, a divisor of both sides of its images, 2 or more.
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
        if name.startswith("_"):  # copy and pickle ask before there is a source
            raise AttributeError(name)
        return getattr(self.source, name)

    def size(self, split: str) -> int:
        return self.source.size(split)

    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None, **places: Any
    ) -> dict[str, np.ndarray]:
        """As the source's, which takes `places` or does not."""
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
    """Of how many pixels, along each side, one is kept.

    Args:
        source_size: the longer side of the images read, pixels; 0 or None: as `image_size`.
        image_size: `(height, width)` of the images wanted.

    Raises:
        UserError: if it is no multiple of the longer side wanted.
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
