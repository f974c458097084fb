"""`shapes_push`: videos of an arm that pushes objects on a table, generated on demand.

The videos are synthetic: a stand-in for the robot pushing data of the paper's Table 2, with the
same fields and splits, but not comparable with it. `push_physics` moves the objects, `push_episode`
commands the arm, and `push_picture` draws the frames. Video `index` of a split is a pure function
of (seed, split, index) and the number of frames; the frame's size changes only its pixels.

The splits train, validation and test_seen share the kinds and colours of their objects, and the
camera. In test_novel, all kinds and colours differ, and the camera is moved, turned and zoomed.

Table, arm and physics are symmetric. In all splits but test_novel, the camera is centred between
the left and right walls. So mirrored videos of these splits are possible videos, except for the
light, which comes from the left.
"""

import math
from collections.abc import Iterable

import numpy as np

from ms_pixelcnn_tf.data.procedural import push_physics, raster
from ms_pixelcnn_tf.data.procedural.push_episode import Episode, draw_episode
from ms_pixelcnn_tf.data.procedural.push_picture import Camera, Picture
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import TRAIN_EXAMPLES, format_size
from ms_pixelcnn_tf.types import Array

SIZES = {"train": TRAIN_EXAMPLES, "validation": 1_000, "test_seen": 1_000, "test_novel": 1_000}
FIRST_STREAM = 16  # keeps the splits' random streams apart from those of `shapes`
SEEN_KINDS, SEEN_COLOURS = (
    ("circle", "square", "triangle", "cross"),
    ("red", "yellow", "green", "blue", "orange"),
)
NOVEL_KINDS, NOVEL_COLOURS = ("star", "ring", "moon"), ("turquoise", "purple", "pink")
SEEN_CAMERA = Camera(view=2.3, angle=0.0, centre=(0.0, -0.05))
NOVEL_CAMERA = Camera(view=2.55, angle=math.radians(20), centre=(0.1, -0.08))
NOISE = 1.5  # standard deviation, in levels
SIDES = (8, 256)
FIELDS = ("frames", "actions", "states")
LATERAL = (push_physics.X, push_physics.YAW)


class ShapesPush(Source):
    """The data set. Its examples have these fields:

    - "frames": uint8 `[n, T, H, W, 3]`.
    - "states": float32 `[n, T, 5]`, the gripper's pose in each frame, each component in -1…1:
      0 x, lateral: -1 at the left wall, 1 at the right one (a mirror negates it, and yaw);
      1 y, depth: -1 at the far wall, 1 at the near one;
      2 height: -1 on the table, 1 highest; at -0.5 and below, the gripper touches objects;
      3 yaw: -1 and 1 are a quarter turn from 0, where the fingers push to the left and right;
      4 opening: -1 closed, 1 wide open.
    - "actions": float32 `[n, T, 5]`, the pose commanded at each frame for the next one, in the same
      units. The gripper covers 85 % of the way, or less when it jams an object. No frame shows the
      effect of the last command.

    Args:
        image_size: `(height, width)` of a frame, each from 8 to 256 pixels.
        num_frames: T, 1 or more.
        seed: another seed gives other videos.
        train_examples: number of videos in the split train; it does not change the first ones.

    Raises:
        UserError: for a size or a number of frames out of range.
    """

    name = "shapes_push"
    is_video = True
    channels = 3
    splits = tuple(SIZES)
    state_names = push_physics.POSE
    action_size = state_size = len(push_physics.POSE)
    lateral = {"actions": LATERAL, "states": LATERAL}
    mirrored_fields = FIELDS

    def __init__(
        self,
        image_size: tuple[int, int] = (64, 64),
        num_frames: int = 20,
        seed: int = 0,
        train_examples: int = TRAIN_EXAMPLES,
    ) -> None:
        if not all(SIDES[0] <= side <= SIDES[1] for side in image_size):
            raise UserError(
                f"{self.name} draws no frames of {format_size(image_size)}; give sides from "
                f"{SIDES[0]} to {SIDES[1]} pixels"
            )
        if num_frames < 1:
            raise UserError(f"num_frames is {num_frames!r}; give 1 or more")
        height, width = image_size
        self.image_size = (height, width)
        self.num_frames = num_frames
        self.seed = seed
        self._sizes = SIZES | {"train": train_examples}
        self.description = (
            f"shapes_push (synthetic: generated videos of a simulated arm, {num_frames} frames of "
            f"{height}x{width}, RGB, sensor noise {NOISE} of 255, seed {seed}); comparable only "
            "with itself"
        )
        self._seen = Picture(self.image_size, SEEN_CAMERA)
        self._novel = Picture(self.image_size, NOVEL_CAMERA)

    def size(self, split: str) -> int:
        self.check_split(split)
        return self._sizes[split]

    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, FIELDS)
        poses = (len(indices), self.num_frames, len(push_physics.POSE))
        found: dict[str, np.ndarray] = {field: np.empty(poses, "float32") for field in fields}
        if "frames" in fields:
            found["frames"] = np.empty((*poses[:2], *self.image_size, self.channels), "uint8")
        picture = self._novel if split == "test_novel" else self._seen
        for row, index in enumerate(indices):
            episode, generator = self._episode(split, index)
            for field in fields:
                if field == "frames":
                    canvas = picture.draw(episode, generator)
                    found[field][row] = raster.to_uint8(canvas, generator, NOISE)
                else:
                    found[field][row] = getattr(episode, field)
        return found

    def episode(self, split: str, index: int) -> Episode:
        """The `Episode` that video `index` shows, with the true positions in every frame."""
        (index,) = self.check_indices(split, [index])
        return self._episode(split, index)[0]

    def _episode(self, split, index):
        """The episode, and the generator in the state that draws the picture."""
        stream = FIRST_STREAM + self.splits.index(split)
        seeds = np.random.SeedSequence([self.seed, stream, int(index)])
        generator = np.random.Generator(np.random.PCG64(seeds))
        novel = split == "test_novel"
        kinds = NOVEL_KINDS if novel else SEEN_KINDS
        colours = NOVEL_COLOURS if novel else SEEN_COLOURS
        return draw_episode(generator, self.num_frames, kinds, colours), generator
