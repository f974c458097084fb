"""Built data sets of images, with the conditions that their records hold.

An image is cropped to the target's proportions, at the centre or at a place that the caller draws,
and averaged over the area of each target pixel. Keypoints move with it. If a whole split fits into
`CACHE_BYTES`, its centre crops are cached for calls that ask for images only.
"""

import functools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from ms_pixelcnn_tf.data.tfrecords.source import RecordSource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.types import Array

CACHE_BYTES = 2**30  # of decoded images per split
# Feature of the records → field of the examples.
FIELDS = {
    "image": "image",
    "label": "label",
    "captions": "text",
    "keypoints": "keypoints",
    "segmentation": "segmentation",
}


class Built(RecordSource):
    """A built data set of images. Its examples have these fields, if the records do:

    - "image": uint8 `[n, H, W, C]`.
    - "label": int32 `[n]`.
    - "text": object `[n]`, each a tuple of captions.
    - "keypoints": float32 `[n, P, 3]`, (x, y, visible) in pixels of the returned image; (0, 0, 0)
      for keypoints that are not visible or outside the crop.
    - "segmentation": uint8 `[n, M, M, S]`, for square images only.

    Args:
        name, data_dir, image_size, channels: see `RecordSource`.
    """

    mirrored_fields = tuple(FIELDS.values())

    def __init__(
        self, name: str, data_dir: str | os.PathLike, image_size: tuple[int, int], channels: int = 3
    ) -> None:
        super().__init__(name, data_dir, image_size, channels, lambda skip: {"image": skip})
        self.keypoint_names = tuple(self.metadata.get("keypoint_names", ()))
        self.segment_names = tuple(self.metadata.get("segmentation_names", ()))
        self.keypoint_mirror = tuple(self.metadata.get("keypoint_mirror", ()))
        self.num_captions = int(self.metadata.get("num_captions", 0))
        if "keypoints" in self.features:
            self.num_keypoints = self.features["keypoints"].shape[0]
        if "segmentation" in self.features:
            self.num_segments = self.features["segmentation"].shape[-1]
        if "label" in self.features:
            self.num_classes = self.features["label"].num_classes
            self.class_names = tuple(self.metadata.get("class_names", ()))
        colours = "RGB" if channels == 3 else "gray"
        self.description = f"{self.built_line}; cut to {format_size(self.image_size)}, {colours}"
        self.fields = tuple(
            field
            for name, field in FIELDS.items()
            if name in self.features and (field != "text" or self.num_captions)
        )
        self._cache = {}

    def examples(
        self,
        split: str,
        indices: Array,
        fields: Iterable[str] | None = None,
        places: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See `Source.examples`.

        `places`, `[n, 2]` in [0, 1), gives the places of the crops (`decode.crop_box`); None: the
        centres.
        """
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, self.fields)
        each = [None] * len(indices) if places is None else places
        found = self.map(functools.partial(self._example, split, fields), indices.tolist(), each)
        return {field: _stacked([example[field] for example in found]) for field in fields}

    def _example(self, split, fields, index, place):
        """One example: dict field → value."""
        cache = self._cache_of(split) if place is None and fields == ("image",) else None
        if cache and cache[1][index]:
            return {"image": cache[0][index]}
        wanted = (name for name, field in FIELDS.items() if field in fields)
        raw = self.raw(split, index, ("image", *(name for name in wanted if name != "image")))
        pixels, box = self.pixels(split, index, raw["image"], place)
        if cache:
            cache[0][index] = pixels
            cache[1][index] = True
        found: dict[str, Any] = {"image": pixels}
        if "label" in fields:
            found["label"] = np.int32(raw["label"])
        if "text" in fields:
            captions = raw["captions"]
            found["text"] = tuple(caption.decode("utf-8", "replace") for caption in captions)
        if "keypoints" in fields:
            found["keypoints"] = _moved(raw["keypoints"], box, self.image_size)
        if "segmentation" in fields:
            if self.image_size[0] != self.image_size[1]:
                raise UserError(
                    f"the segmentation of {self.name} is of squares; give such image_size"
                )
            found["segmentation"] = np.asarray(raw["segmentation"], "uint8")
        return found

    def _cache_of(self, split):
        """`(decoded images, which of them are there)`; None if the split exceeds `CACHE_BYTES`."""
        if split not in self._cache:
            count, shape = self.size(split), (*self.image_size, self.channels)
            fits = count * np.prod(shape) <= CACHE_BYTES
            self._cache[split] = (
                (np.empty((count, *shape), "uint8"), np.zeros(count, bool)) if fits else None
            )
        return self._cache[split]


def _moved(keypoints, box, image_size):
    """Keypoints in pixels of the stored image → in pixels of its crop, resized to `image_size`."""
    left, top, right, bottom = box
    points, (height, width) = np.array(keypoints, "float32"), image_size
    points[:, 0] = (points[:, 0] - left) * (width / (right - left))
    points[:, 1] = (points[:, 1] - top) * (height / (bottom - top))
    inside = (points[:, :2] >= 0).all(axis=1) & (points[:, 0] < width) & (points[:, 1] < height)
    points[~(inside & (points[:, 2] > 0))] = 0
    return points


def _stacked(values):
    """A list of arrays of one shape as one array; a list of tuples as an object array."""
    if isinstance(values[0], tuple):
        stacked = np.empty(len(values), object)
        stacked[:] = values
        return stacked
    return np.stack(values)
