"""The interface of every data set: numbered examples, by split, as numpy arrays.

Random access makes a training batch a pure function of (seed, step), so a resumed run sees the same
batches as an uninterrupted one. It also makes an evaluation pass exact: each example once, in
order.
"""

import abc
import hashlib
import types
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Array, Levels

LOOKED_AT = 32  # at most so many examples per split go into a fingerprint


class Source(abc.ABC):
    """A data set with random access.

    Attributes:
        name: the name by which `ms_pixelcnn_tf.data.load` opens it.
        description: one line, printed with results, that says exactly what the pixels are.
        image_size: `(height, width)` in pixels.
        channels: number of colour channels.
        num_classes: number of labels; 0 without labels.
        class_names: one name per label, or empty.
        num_keypoints: P, the number of parts in the field "keypoints"; 0 without it.
        keypoint_names: one name per part, or empty if unknown.
        num_segments: S, the number of classes in the field "segmentation", not counting the ground;
            0 without it.
        segment_names: one name per class of the segmentation, or empty if unknown.
        splits: the names of the splits that hold examples.
        num_captions: number of captions that every example has in the field "text"; 0 without it.
            Evaluation takes the first `num_captions` of each example.
        keypoint_mirror: for each part of "keypoints", the index of the part that it becomes in a
            mirror image; empty if parts have no sides.
        mirrored_fields: the fields that can be mirrored with the image and remain correct.
        takes_places: whether `examples` accepts `places`, which crop an image away from its centre
            or start a clip after the start of its video.
        has_threads: whether `examples` may be called from several threads at once.
        is_video: whether an example is a clip (field "frames") rather than an image.
        num_frames: T, the number of frames per clip; 0 for images.
        action_size: length of an action, field "actions"; 0 without it.
        state_size: length of a state, field "states"; 0 without it.
        lateral: for "actions" and "states", the indices of the components that distinguish left
            from right. These are 0 in the middle of the picture, so a mirror negates them. Fields
            whose lateral components are unknown are not among `mirrored_fields`.
    """

    name: str
    description: str
    image_size: tuple[int, int]
    channels: int
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    num_keypoints: int = 0
    keypoint_names: tuple[str, ...] = ()
    num_segments: int = 0
    segment_names: tuple[str, ...] = ()
    splits: tuple[str, ...]
    num_captions: int = 0
    keypoint_mirror: tuple[int, ...] = ()
    mirrored_fields: tuple[str, ...] = ("image", "label")
    takes_places: bool = False
    has_threads: bool = False
    is_video: bool = False
    num_frames: int = 0
    action_size: int = 0
    state_size: int = 0
    lateral: Mapping[str, tuple[int, ...]] = types.MappingProxyType({})

    @property
    def example_field(self) -> str:
        """The field that a model is trained on: "image" or "frames"."""
        return "frames" if self.is_video else "image"

    @abc.abstractmethod
    def size(self, split: str) -> int:
        """Number of examples in `split`; raises UserError, listing the splits, if it is unknown."""

    @abc.abstractmethod
    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The examples at the given indices.

        Args:
            split: one of `splits`.
            indices: int64 `[n]`, each in 0…`size(split)`-1, in any order; may repeat.
            fields: names of the fields to return; None: all.

        Returns:
            A dict of arrays whose first axis is n. Images have "image", uint8 `[n, H, W, C]` in
            0…255, and, unless `num_classes` is 0, "label", int32 `[n]`. Videos have "frames", uint8
            `[n, T, H, W, C]`, instead. Conditions, if the source has them: "text", `[n]` sequences
            of captions; "keypoints", `[n, P, 3]`, (x, y, visible) in pixels; "segmentation", uint8
            `[n, H, W]`, 0 for the ground and 1 + k for class k, or uint8 `[n, M, M, S]`, one map
            per class; "actions", float32 `[n, T, A]`, and "states", float32 `[n, T, S]`.

        Raises:
            UserError: for an unknown split or field, or an index out of range.
        """

    def fingerprint(self) -> str:
        """A hash (hex) of the content, which shows whether the data has changed.

        It covers up to `LOOKED_AT` evenly spaced examples per split, with their labels, captions,
        actions and states.
        """
        found = hashlib.sha256()
        for split in self.splits:
            indices = np.linspace(0, self.size(split) - 1, LOOKED_AT).astype("int64")
            told = {
                "label": self.num_classes,
                "text": self.num_captions,
                "actions": self.action_size,
                "states": self.state_size,
            }
            fields = (self.example_field, *(field for field, size in told.items() if size))
            for field, values in self.examples(split, np.unique(indices), fields).items():
                found.update(f"{split} {field} {values.shape}".encode())
                if field == "text":
                    found.update(repr([[*map(str, captions)] for captions in values]).encode())
                else:
                    found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()[:16]

    def check_split(self, split: str) -> None:
        """Raises UserError, listing the splits, unless `split` is one of them."""
        if split not in self.splits:
            raise UserError(f"{self.name} has no split {split!r}; it has: {', '.join(self.splits)}")

    def check_indices(self, split: str, indices: Array) -> np.ndarray:
        """`indices` as int64 `[n]`; raises UserError unless all are in 0…`size(split)`-1."""
        indices = np.asarray(indices, "int64").reshape(-1)
        size = self.size(split)
        if indices.size and not 0 <= indices.min() <= indices.max() < size:
            raise UserError(
                f"{self.name}, split {split}: index out of range; give numbers from 0 to {size - 1}"
            )
        return indices

    def check_fields(self, fields: Iterable[str] | None, known: Collection[str]) -> tuple[str, ...]:
        """`fields` as a tuple, or all `known` ones for None; raises UserError if one is unknown."""
        if fields is None:
            return tuple(known)
        unknown = [field for field in fields if field not in known]
        if unknown:
            raise UserError(f"{self.name} has no field {unknown[0]!r}; it has: {', '.join(known)}")
        return tuple(fields)


class ArraySource(Source):
    """A data set held in arrays, in memory or memory-mapped.

    Sub-classes set the attributes of `Source` and call `set_split` once per split.
    """

    def __init__(self) -> None:
        self.splits = ()
        self._arrays = {}

    def set_split(
        self,
        split: str,
        images: Levels,
        labels: np.ndarray | None = None,
        rows: Array | None = None,
    ) -> None:
        """Adds a split.

        Args:
            split: its name.
            images: uint8 `[N, H, W, C]`; never copied as a whole.
            labels: int32 `[N]`; None: no labels.
            rows: int64 `[n]`, the rows of `images` and `labels` that make up the split, in order;
                None: all of them.
        """
        self.splits += (split,)
        rows = np.arange(len(images)) if rows is None else np.asarray(rows, "int64")
        fields = {"image": images} if labels is None else {"image": images, "label": labels}
        self._arrays[split] = (rows, fields)

    def size(self, split: str) -> int:
        self.check_split(split)
        return len(self._arrays[split][0])

    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        indices = self.check_indices(split, indices)
        rows, arrays = self._arrays[split]
        fields = self.check_fields(fields, arrays)
        return {field: np.asarray(arrays[field][rows[indices]]) for field in fields}
