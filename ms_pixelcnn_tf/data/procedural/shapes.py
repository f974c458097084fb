"""`shapes`: images of one to three coloured shapes on a textured ground, generated on demand.

The images are fully synthetic: a likelihood on them says nothing about photographs. The scene of
example `index` of a split is a pure function of (seed, split, index) and of the image's
proportions: 32×32 and 64×64 show the same scene. Edges are anti-aliased, shapes are shaded from the
upper left, and every sub-pixel has its own sensor noise of NOISE levels. The noise sets the floor
of any lossless code at about log2(NOISE·√(2πe)) = 2.6 bits per sub-pixel.
"""

from collections.abc import Iterable

import numpy as np

from ms_pixelcnn_tf.data.procedural import raster, shapes_captions
from ms_pixelcnn_tf.data.procedural.shapes_scene import (
    COLOUR_NAMES,
    KEYPOINTS,
    KINDS,
    MAX_SHAPES,
    Scene,
    draw_scene,
    keypoints,
)
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import TRAIN_EXAMPLES
from ms_pixelcnn_tf.types import Array

SIZES = {"train": TRAIN_EXAMPLES, "validation": 2_000, "test": 2_000, "novel": 2_000}
NOISE = 1.5  # standard deviation, in levels
SIDES = (8, 256)
FIELDS = ("image", "label", "text", "keypoints", "segmentation")
SHADING = 0.16  # how much lighter the lit side is, and how much darker the other
BEVEL, BEVEL_WIDTH = 0.22, 0.2  # darkening at the outline; its width in nominal radii
SHADOW, SHADOW_WIDTH = 0.35, 0.22  # darkening of the ground around the outline


class Shapes(Source):
    """The data set. Its examples have these fields:

    - "image": uint8 `[n, H, W, C]`.
    - "label": int32 `[n]`, the kind of the main shape, which is the largest: an index into
      `class_names`.
    - "text": object `[n, 5]`, five different English captions, each true of the image. They
      name no colours where `channels` is 1.
    - "keypoints": float32 `[n, 15, 3]`, (x, y, visible). Five points per shape, in the order of
      `keypoint_names`: the centre and the outline's topmost, lowest, leftmost and rightmost point;
      the main shape first, then the others by size. x and y are in pixels from the upper left
      corner of the image, so the first pixel's centre is at (0.5, 0.5). Absent points are
      (0, 0, 0).
    - "segmentation": uint8 `[n, H, W]`, 0 for the ground and 1 + kind for a pixel whose centre is
      inside a shape; the kind is an index into `segment_names`. No two shapes of an image share a
      kind.

    Five combinations of kind and colour, `shapes_scene.NOVEL_PAIRS`, are held out: no shape in the
    splits train, validation and test is one of them. In the split novel, the main shape always is
    one, and the others never are.

    Args:
        image_size: `(height, width)`, each from 8 to 256 pixels.
        channels: 3 (RGB) or 1 (gray: the luma of the coloured picture).
        seed: another seed gives other images.
        train_examples: number of images in the split train; it does not change the first ones.

    Raises:
        UserError: for a size out of range or another number of channels.
    """

    name = "shapes"
    splits = tuple(SIZES)
    class_names = KINDS
    num_classes = len(KINDS)
    num_keypoints = MAX_SHAPES * len(KEYPOINTS)
    num_segments = len(KINDS)
    segment_names = KINDS
    num_captions = shapes_captions.NUM_CAPTIONS
    colour_names = COLOUR_NAMES
    keypoint_names = tuple(
        f"{shape} {point}" for shape in ("main", "second", "third") for point in KEYPOINTS
    )

    def __init__(
        self,
        image_size: tuple[int, int] = (32, 32),
        channels: int = 3,
        seed: int = 0,
        train_examples: int = TRAIN_EXAMPLES,
    ) -> None:
        if not all(SIDES[0] <= side <= SIDES[1] for side in image_size):
            raise UserError(
                f"image_size of {self.name} is {tuple(image_size)}; give sides from {SIDES[0]} to "
                f"{SIDES[1]} pixels"
            )
        if channels not in (1, 3):
            raise UserError(f"channels is {channels!r}; give 1 (gray) or 3 (RGB)")
        height, width = image_size
        self.image_size = (height, width)
        self.channels = channels
        self.seed = seed
        self._sizes = SIZES | {"train": train_examples}
        colours = "RGB" if channels == 3 else "gray"
        self.description = (
            f"shapes (synthetic: generated pictures, {height}x{width}, {colours}, sensor noise "
            f"{NOISE} of 255, seed {seed}); comparable only with itself"
        )
        self._x, self._y, self._pixel = raster.pixel_centres(self.image_size)

    def size(self, split: str) -> int:
        self.check_split(split)
        return self._sizes[split]

    def examples(
        self, split: str, indices: Array, fields: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, FIELDS)
        height, width = self.image_size
        shapes_and_types = {
            "image": ((height, width, self.channels), "uint8"),
            "label": ((), "int32"),
            "text": ((shapes_captions.NUM_CAPTIONS,), object),
            "keypoints": ((self.num_keypoints, 3), "float32"),
            "segmentation": ((height, width), "uint8"),
        }
        found = {
            field: np.empty((len(indices), *shapes_and_types[field][0]), shapes_and_types[field][1])
            for field in fields
        }
        draw = {
            "image": self._image,
            "label": lambda scene, generator: scene.shapes[0].kind,
            "text": lambda scene, generator: shapes_captions.captions(scene, self.channels == 3),
            "keypoints": self._keypoints,
            "segmentation": self._segmentation,
        }
        for row, index in enumerate(indices):
            scene, generator = self._scene(split, index)
            for field in fields:
                found[field][row] = draw[field](scene, generator)
        return found

    def scene(self, split: str, index: int) -> Scene:
        """The `Scene` that example `index` shows."""
        (index,) = self.check_indices(split, [index])
        return self._scene(split, index)[0]

    def _scene(self, split, index):
        """The scene, and the generator in the state that draws the noise."""
        entropy = [self.seed, self.splits.index(split), int(index)]
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        return draw_scene(generator, self.image_size, novel=split == "novel"), generator

    def _image(self, scene, generator):
        ground = scene.ground
        waves = (ground.frequencies, ground.phases, ground.amplitudes)
        canvas = raster.plane_waves(self._x, self._y, self._pixel, *waves)
        canvas += ground.colour.astype("float32")[:, None, None]
        for shape in scene.shapes:
            u, v = self._turned(shape)
            distance = self._outline(shape)(u, v)
            canvas *= 1 - SHADOW * np.clip(1 - distance / np.float32(SHADOW_WIDTH), 0, 1)
            # Lit from the upper left of the image, however the shape is turned.
            lit = SHADING / shape.radius * ((shape.x - self._x) + (shape.y - self._y))
            lit += 1 - BEVEL + BEVEL * np.clip(distance / np.float32(-BEVEL_WIDTH), 0, 1)
            colour = np.array(raster.COLOURS[COLOUR_NAMES[shape.colour]], "float32")
            alpha = raster.coverage(distance, self._pixel / shape.radius)
            raster.paint(canvas, alpha, colour[:, None, None] * lit)
        if self.channels == 1:
            canvas = np.tensordot(raster.LUMA, canvas, 1)[None]
        return raster.to_uint8(canvas, generator, NOISE)

    def _keypoints(self, scene, generator):
        found = np.zeros((self.num_keypoints, 3), "float32")
        points = np.array([point for shape in scene.shapes for point in keypoints(shape)])
        found[: len(points), :2] = points / self._pixel
        found[: len(points), 2] = 1
        return found

    def _segmentation(self, scene, generator):
        found = np.zeros(self.image_size, "uint8")
        for shape in scene.shapes:
            found[self._outline(shape)(*self._turned(shape)) < 0] = 1 + shape.kind
        return found

    def _outline(self, shape):
        """The function `(u, v) → distance` of a shape."""
        return raster.OUTLINES[KINDS[shape.kind]]

    def _turned(self, shape):
        return raster.turned(self._x, self._y, (shape.x, shape.y), shape.radius, shape.angle)
