"""Built data sets of videos with actions and states: Google's robot pushing, and BAIR's."""

import functools

import numpy as np
from PIL import Image

from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.record_source import RecordSource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

FRAMES = 20  # of a clip, as in the paper
# Features of the records: frames, actions, states.
LAYOUTS = {
    "robot_pushing": ("frames", "actions", "states"),
    "bair_robot_pushing_small": ("image_main", "action", "endeffector_pos"),
}


class BuiltVideo(RecordSource):
    """The data set. Its examples, clips of `FRAMES` steps, have the fields

    - "frames": uint8 `[n, T, H, W, 3]`.
    - "actions": float32 `[n, T, A]`, A = 5 (BAIR: 4).
    - "states": float32 `[n, T, S]`, S = 5 (BAIR: 3).

    Args:
        name, data_dir, image_size: as for `RecordSource`.

    Raises:
        UserError: as `RecordSource`; for a sequence shorter than a clip.
    """

    is_video = True
    fields = ("frames", "actions", "states")

    def __init__(self, name, data_dir, image_size):
        self._layout = LAYOUTS[name]
        super().__init__(name, data_dir, image_size, 3, lambda skip: None)
        self.description = (
            f"{self.built_line}; clips of {FRAMES} frames, {format_size(self.image_size)}, RGB"
        )

    def examples(self, split, indices, fields=None, places=None):
        """As `Source.examples`; `places`, `[n, 2]` in [0, 1), start the clips elsewhere than at the
        sequence's first step (the first of the two numbers)."""
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, self.fields)
        places = [None] * len(indices) if places is None else places
        found = self.map(functools.partial(self._clip, split, fields), indices.tolist(), places)
        return {field: np.stack([example[field] for example in found]) for field in fields}

    def _clip(self, split, fields, index, place):
        raw = self.raw(split, index)
        frames, actions, states = (raw[name] for name in self._layout)
        spare = len(actions) - FRAMES
        if spare < 0 or len(frames) < FRAMES:
            raise UserError(
                f"{self.name}, split {split}, example {index}: {len(actions)} steps; a clip takes "
                f"{FRAMES}"
            )
        start = 0 if place is None else int(place[0] * (spare + 1))
        clip, found = slice(start, start + FRAMES), {}
        if "frames" in fields:
            found["frames"] = np.stack([self._resized(frame) for frame in frames[clip]])
        for field, values in (("actions", actions), ("states", states)):
            if field in fields:
                found[field] = np.asarray(values[clip], "float32")
        return found

    def _resized(self, frame):
        return np.asarray(decode.crop_and_resize(Image.fromarray(frame), self.image_size))
