"""Built data sets of videos with actions and states: Google's and BAIR's robot pushing."""

import functools
import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.tfrecords.source import RecordSource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.types import Array

HELD_OUT = 20  # if a build has no validation split, one training sequence in so many is for it


class Layout(NamedTuple):
    """The records' names of the features, and the sizes of an action and of a state."""

    frames: str
    actions: str
    states: str
    action_size: int
    state_size: int


LAYOUTS = {
    "robot_pushing": Layout("frames", "actions", "states", 5, 5),
    "bair_robot_pushing_small": Layout("image_main", "action", "endeffector_pos", 4, 3),
}


class BuiltVideo(RecordSource):
    """A built data set of videos. Its examples are clips of T = `num_frames` steps with the fields

    - "frames": uint8 `[n, T, H, W, 3]`.
    - "actions": float32 `[n, T, A]`, A = 5 (BAIR: 4).
    - "states": float32 `[n, T, S]`, S = 5 (BAIR: 3).

    Only frames can be mirrored. Poses are in each robot's own coordinates (a position, pitch and
    yaw; BAIR: a position, and an action's displacements). Neither data set says where its cameras
    are in these coordinates. So it is unknown which component is lateral and where the middle of
    the image lies on it, and actions and states cannot be mirrored to match the image.

    BAIR has no validation split: every `HELD_OUT`th training sequence is used for one.

    Args:
        name, data_dir, image_size: see `RecordSource`.
        num_frames: T, 1 or more.

    Raises:
        UserError: see `RecordSource`; also if `num_frames` is below 1, or if the stored frames are
            smaller than `image_size`.
    """

    is_video = True
    fields = ("frames", "actions", "states")
    mirrored_fields = ("frames",)

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike,
        image_size: tuple[int, int],
        num_frames: int = 20,
    ) -> None:
        if num_frames < 1:
            raise UserError(f"num_frames is {num_frames!r}; give 1 or more")
        self._layout = LAYOUTS[name]
        self.num_frames = num_frames
        self.action_size, self.state_size = self._layout.action_size, self._layout.state_size
        super().__init__(name, data_dir, image_size, 3, lambda skip: None)
        self._check_stored_size()
        self.description = (
            f"{self.built_line}; clips of {num_frames} frames, {format_size(self.image_size)}, RGB"
        )
        self._rows = {}  # split → (stored split, its rows), if they differ
        if name == "bair_robot_pushing_small" and "validation" not in self.splits:
            self._hold_out()

    def _check_stored_size(self):
        """Raises UserError if frames would have to be enlarged."""
        stored = self.features[self._layout.frames].shape[-3:-1]
        if None in stored or all(
            side >= own for side, own in zip(stored, self.image_size, strict=True)
        ):
            return
        sizes = "{}x{}, smaller than {}x{}".format(*stored, *self.image_size)
        if self.name == "robot_pushing":
            raise UserError(
                f"{self.name} is built at {sizes}; build it again with "
                f"--image_size={max(self.image_size)}"
            )
        raise UserError(
            f"{self.name} has frames of {sizes}; give an image_size, and source_size, of at most "
            f"{min(stored)}"
        )

    def _hold_out(self):
        """Moves every `HELD_OUT`th training sequence to a validation split."""
        rows = np.arange(super().size("train")) if "train" in self.splits else np.arange(0)
        held_out = rows % HELD_OUT == HELD_OUT - 1
        if held_out.any():
            self._rows = {
                "train": ("train", rows[~held_out]),
                "validation": ("train", rows[held_out]),
            }
            self.splits = (*self.splits, "validation")
            self.description += f"; validation: every {HELD_OUT}th training sequence"

    def size(self, split: str) -> int:
        return len(self._rows[split][1]) if split in self._rows else super().size(split)

    def examples(
        self,
        split: str,
        indices: Array,
        fields: Iterable[str] | None = None,
        places: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See `Source.examples`.

        `places`, `[n, 2]` in [0, 1), gives the first steps of the clips by its first column; None:
        the first steps of the sequences.

        Raises:
            UserError: also if a sequence is shorter than a clip, or if a clip's actions or states
                are not finite.
        """
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, self.fields)
        each = [None] * len(indices) if places is None else places
        found = self.map(functools.partial(self._clip, split, fields), indices.tolist(), each)
        return {field: np.stack([example[field] for example in found]) for field in fields}

    def _clip(self, split, fields, index, place):
        stored, row = split, index
        if split in self._rows:
            stored, rows = self._rows[split]
            row = int(rows[index])
        features = {field: getattr(self._layout, field) for field in fields}
        raw = self.raw(stored, row, tuple(features.values()))
        steps = min(map(len, raw.values()))
        spare = steps - self.num_frames
        if spare < 0:
            raise UserError(
                f"{self.name}, split {split}, example {index}: {steps} steps; a clip takes "
                f"{self.num_frames}: give a smaller num_frames"
            )
        start = 0 if place is None else int(place[0] * (spare + 1))
        found = {}
        for field, name in features.items():
            clip = raw[name][start : start + self.num_frames]
            if field == "frames":
                found[field] = np.stack([self._resized(frame) for frame in clip])
                continue
            found[field] = np.asarray(clip, "float32")
            wrong = np.flatnonzero(~np.isfinite(found[field]).all(axis=-1))
            if wrong.size:
                raise UserError(
                    f"{self.name}, split {split}, example {index}: {field} of step "
                    f"{start + wrong[0]} are {found[field][wrong[0]].tolist()}, not finite; take "
                    "that sequence out and build the data again"
                )
        return found

    def _resized(self, frame):
        return np.asarray(decode.crop_and_resize(Image.fromarray(frame), self.image_size))
