"""Random scenes of `shapes`: the content of a picture, independent of its resolution.

The unit is the shorter side of the image. From the upper left corner, x grows to the right and y
downwards. A scene depends on the image's proportions, never on its number of pixels.
"""

import math
from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data.procedural import raster

KINDS = ("circle", "square", "triangle", "star", "cross")
COLOUR_NAMES = tuple(raster.COLOURS)
# Combinations of kind and colour that only the split "novel" shows, in its main shapes.
NOVEL_PAIRS = (
    ("circle", "red"),
    ("square", "blue"),
    ("triangle", "green"),
    ("star", "yellow"),
    ("cross", "purple"),
)
MAX_SHAPES = 3
KEYPOINTS = ("centre", "top", "bottom", "left", "right")  # of each shape

# Nominal radius of the main shape, by the number of other shapes.
MAIN_RADIUS = ((0.22, 0.34), (0.20, 0.29), (0.19, 0.26))
OTHER_RADIUS = (0.48, 0.65)  # relative to the main one's, so that its area is the largest too
MAX_TURN = 0.26  # radians; small enough that every kind keeps its look
GAP = 0.02  # between shapes, and between a shape and the border
TRIES = 40  # places tried for a shape before it is left out
BRIGHT = 0.5  # luma from which a shape gets a dark ground
WAVES = 7


class Shape(NamedTuple):
    """A shape: `kind` and `colour` are indices into KINDS and COLOUR_NAMES."""

    kind: int
    colour: int
    x: float
    y: float
    radius: float
    angle: float  # radians


class Ground(NamedTuple):
    """The ground behind the shapes: a muted colour, and waves that vary it."""

    light: bool
    colour: np.ndarray  # [3], 0…1
    frequencies: np.ndarray  # [WAVES, 2], cycles per unit
    phases: np.ndarray  # [WAVES], radians
    amplitudes: np.ndarray  # [3, WAVES]


class Scene(NamedTuple):
    """The content of a picture; `shapes` holds one to three shapes, the largest first."""

    shapes: tuple[Shape, ...]
    ground: Ground
    extent: tuple[float, float]  # width and height of the image


def extent(image_size: tuple[int, int]) -> tuple[float, float]:
    """`(height, width)` in pixels → `(width, height)` in units of the shorter side."""
    height, width = image_size
    return width / min(height, width), height / min(height, width)


def draw_scene(
    generator: np.random.Generator, image_size: tuple[int, int], novel: bool = False
) -> Scene:
    """Draws a `Scene` at random.

    Args:
        generator: the `np.random.Generator` to draw from.
        image_size: `(height, width)` in pixels.
        novel: whether the main shape is one of NOVEL_PAIRS; no other shape ever is.
    """
    frame = extent(image_size)
    number = 1 + int(generator.choice(MAX_SHAPES, p=(0.4, 0.35, 0.25)))
    kinds = generator.permutation(len(KINDS))[:number].tolist()
    novelties = [novel] + [False] * (number - 1)
    while True:
        colours = generator.permutation(len(COLOUR_NAMES))[:number].tolist()
        if [is_novel(*pair) for pair in zip(kinds, colours, strict=True)] == novelties:
            break
    sizes = generator.random(number).tolist()
    turns = generator.uniform(-MAX_TURN, MAX_TURN, number).tolist()
    shapes = []
    for slot in range(number):
        low, high = OTHER_RADIUS if slot else MAIN_RADIUS[number - 1]
        radius = (low + (high - low) * sizes[slot]) * (shapes[0].radius if slot else 1)
        places = generator.random((TRIES, 2)).tolist()
        place = _free_place(places, radius, shapes, frame)
        if place:
            shapes.append(Shape(kinds[slot], colours[slot], *place, radius, turns[slot]))
    shapes[1:] = sorted(shapes[1:], key=lambda shape: -shape.radius)
    return Scene(tuple(shapes), _draw_ground(generator, shapes), frame)


def is_novel(kind: int, colour: int) -> bool:
    """Whether a kind and a colour, given as indices, are one of NOVEL_PAIRS."""
    return (KINDS[kind], COLOUR_NAMES[colour]) in NOVEL_PAIRS


def _free_place(places, radius, shapes, frame):
    """The first of the places (fractions) where the shape fits, as `(x, y)`; None if none does."""
    border = raster.REACH * radius + GAP
    for across, down in places:
        x = border + across * (frame[0] - 2 * border)
        y = border + down * (frame[1] - 2 * border)
        if all(
            math.hypot(x - other.x, y - other.y) > raster.REACH * (radius + other.radius) + GAP
            for other in shapes
        ):
            return x, y
    return None


def _draw_ground(generator, shapes):
    """A `Ground`: two broad gradients, three finer waves, and stripes in half of the pictures."""
    colours = [raster.COLOURS[COLOUR_NAMES[shape.colour]] for shape in shapes]
    lumas = [float(raster.LUMA @ colour) for colour in colours]
    light = bool(generator.random() < 0.6) and max(lumas) < BRIGHT
    luma = generator.uniform(0.76, 0.88) if light else generator.uniform(0.11, 0.22)
    hue = generator.uniform(0, 2 * np.pi)
    tint = np.cos(hue + 2 * np.pi / 3 * np.arange(3))
    colour = luma + 0.05 * tint

    lengths = np.concatenate(
        [generator.uniform(0.3, 0.9, 2), generator.uniform(2, 5, 3), generator.uniform(4, 8, 2)]
    )
    directions = generator.uniform(0, np.pi, WAVES)
    directions[6], lengths[6] = directions[5], 2 * lengths[5]  # an overtone gives stripes an edge
    frequencies = lengths[:, None] * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    striped = generator.random() < 0.5
    strength = np.array([0.04, 0.02, 0.008, 0.008, 0.008, 0.022 * striped, 0.006 * striped])
    amplitudes = np.tile(strength, (3, 1))
    amplitudes[:, 1] *= tint  # the second gradient varies the colour
    return Ground(light, colour, frequencies, generator.uniform(0, 2 * np.pi, WAVES), amplitudes)


def keypoints(shape: Shape) -> list[tuple[float, float]]:
    """The KEYPOINTS as `[(x, y)]`: the centre, then the outline's extreme points in the image."""
    if KINDS[shape.kind] == "circle":
        reach = raster.CIRCLE_RADIUS * shape.radius
        extremes = [(0, -reach), (0, reach), (-reach, 0), (reach, 0)]
    else:
        cosine, sine = shape.radius * math.cos(shape.angle), shape.radius * math.sin(shape.angle)
        corners = [
            (cosine * u - sine * v, sine * u + cosine * v) for u, v in CORNERS[KINDS[shape.kind]]
        ]
        extremes = [
            min(corners, key=lambda corner: corner[1]),
            max(corners, key=lambda corner: corner[1]),
            min(corners),
            max(corners),
        ]
    return [(shape.x + x, shape.y + y) for x, y in [(0, 0), *extremes]]


def _around(radius, turns):
    """Points on a circle, at fractions of a full turn from straight up."""
    angles = [2 * math.pi * turn for turn in turns]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


# The outermost corners of the outlines of nominal radius 1.
CORNERS = {
    "square": _around(raster.SQUARE_HALF * math.sqrt(2), (1 / 8, 3 / 8, 5 / 8, 7 / 8)),
    "triangle": _around(raster.TRIANGLE_RADIUS, (0, 1 / 3, 2 / 3)),
    "star": _around(raster.STAR_RADIUS, (0, 0.2, 0.4, 0.6, 0.8)),
    "cross": [
        (a * x, b * y)
        for x, y in (
            (raster.CROSS_LENGTH, raster.CROSS_WIDTH),
            (raster.CROSS_WIDTH, raster.CROSS_LENGTH),
        )
        for a in (-1, 1)
        for b in (-1, 1)
    ],
}
