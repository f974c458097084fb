"""Drawing functions of the procedural data sets, with outlines as signed distances.

A signed distance is negative inside an outline and positive outside. The distance at a pixel's
centre gives the pixel's coverage, which anti-aliases every edge at any resolution. A canvas has its
colour planes first, float32 `[C, ...]` in 0…1, because numpy is fast over long last axes.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ms_pixelcnn_tf.types import Array, Levels

# Saturated colours with everyday names.
COLOURS = {
    "red": (0.87, 0.13, 0.14),
    "orange": (0.96, 0.53, 0.10),
    "yellow": (0.96, 0.86, 0.16),
    "green": (0.12, 0.64, 0.22),
    "turquoise": (0.13, 0.80, 0.80),
    "blue": (0.14, 0.32, 0.90),
    "purple": (0.53, 0.18, 0.72),
    "pink": (0.97, 0.50, 0.74),
}
LUMA = np.array([0.299, 0.587, 0.114], "float32")  # ITU-R BT.601

# Outlines of nominal radius 1, sized so that all kinds look about equally large.
CIRCLE_RADIUS = 0.88
SQUARE_HALF = 0.76
TRIANGLE_RADIUS = 1.15  # of the corners; the sides lie at half of it
STAR_RADIUS, STAR_INNER = 1.15, 0.575  # of the tips and of the notches
CROSS_LENGTH, CROSS_WIDTH = 0.95, 0.34  # half the length and the width of a bar
RING_RADIUS, RING_HALF = 0.68, 0.24
MOON_RADIUS, MOON_BITE, MOON_SHIFT = 1.0, 0.78, 0.52
REACH = 1.15  # no outline extends further from its centre


def pixel_centres(image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """The pixels' centres, x float32 `[1, W]` and y float32 `[H, 1]`, and the side of a pixel.

    The unit is the shorter side of the image. From the upper left corner, x grows to the right and
    y downwards.
    """
    height, width = image_size
    pixel = 1 / min(height, width)
    x = (np.arange(width, dtype="float32") + 0.5) * np.float32(pixel)
    y = (np.arange(height, dtype="float32") + 0.5) * np.float32(pixel)
    return x[None, :], y[:, None], pixel


def turned(
    x: np.ndarray, y: np.ndarray, centre: Iterable[Any], radius: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points in an outline's own coordinates: from its centre, turned back, in units of its radius.

    Args:
        x, y: the points; arrays that broadcast together.
        centre: `(x, y)`; numbers, or arrays that broadcast with the points.
        radius: the outline's nominal radius.
        angle: in radians, clockwise as seen with y downwards.
    """
    cosine, sine = math.cos(angle) / radius, math.sin(angle) / radius
    centre_x, centre_y = centre
    # Constants are combined and subtracted first: if x is a row and y a column, each result then
    # costs one operation over all pixels.
    u = (cosine * x - (cosine * centre_x + sine * centre_y)) + sine * y
    v = (cosine * y - (cosine * centre_y - sine * centre_x)) - sine * x
    return u, v


def circle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v) - CIRCLE_RADIUS


def square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) - SQUARE_HALF


def triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """An equilateral triangle that points upwards."""
    slopes = math.sqrt(0.75) * np.abs(u) - 0.5 * v
    return np.maximum(slopes, v) - TRIANGLE_RADIUS / 2


def star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five tips, one upwards. The plane is folded at the mirror lines until one edge is left."""
    sine, cosine = math.sin(math.pi / 5), math.cos(math.pi / 5)
    u, v = np.abs(u), -v
    for normal_u in (cosine, -cosine):
        excess = 2 * np.maximum(normal_u * u - sine * v, 0)
        u, v = u - excess * normal_u, v + excess * sine
    u = np.abs(u)
    # The edge from the tip, straight up, to the notch a tenth of a turn away.
    edge_u, edge_v = STAR_INNER * sine, STAR_INNER * cosine - STAR_RADIUS
    length = math.hypot(edge_u, edge_v)
    return (-edge_v * u + edge_u * (v - STAR_RADIUS)) / length


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    u, v = np.abs(u), np.abs(v)
    return np.maximum(np.maximum(u, v) - CROSS_LENGTH, np.minimum(u, v) - CROSS_WIDTH)


def ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.abs(np.sqrt(u * u + v * v) - RING_RADIUS) - RING_HALF


def moon(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    bite = MOON_BITE - np.sqrt((u - MOON_SHIFT) ** 2 + v * v)
    return np.maximum(np.sqrt(u * u + v * v) - MOON_RADIUS, bite)


def box(
    u: np.ndarray, v: np.ndarray, half_u: float | np.ndarray, half_v: float | np.ndarray
) -> np.ndarray:
    return np.maximum(np.abs(u) - half_u, np.abs(v) - half_v)


def capsule(
    x: np.ndarray, y: np.ndarray, start: Sequence[Any], end: Sequence[Any], half_width: float
) -> np.ndarray:
    """A thick line with round ends between two points, each `(x, y)` of numbers or arrays."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    u, v = x - start[0], y - start[1]
    place = np.clip((u * along_x + v * along_y) / (along_x**2 + along_y**2), 0, 1)
    return np.sqrt((u - place * along_x) ** 2 + (v - place * along_y) ** 2) - half_width


OUTLINES = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "ring": ring,
    "moon": moon,
}


def coverage(distance: np.ndarray, pixel: float) -> np.ndarray:
    """The fraction of each pixel inside the outline, 0…1; both arguments in the same unit."""
    return np.clip(0.5 - distance / np.float32(pixel), 0, 1)


def paint(canvas: np.ndarray, alpha: np.ndarray, colour: Array) -> None:
    """Lays a colour over the canvas, in place.

    Args:
        canvas: float32 `[C, ...]`.
        alpha: float32 `[...]`, the paint's coverage.
        colour: float32 `[C]`, or `[C, ...]` if it varies from pixel to pixel.
    """
    if np.ndim(colour) == 1:
        colour = np.asarray(colour, "float32").reshape((-1,) + (1,) * alpha.ndim)
    canvas += alpha * (np.asarray(colour) - canvas)


def plane_waves(
    x: np.ndarray,
    y: np.ndarray,
    pixel: float,
    frequencies: np.ndarray,
    phases: np.ndarray,
    amplitudes: np.ndarray,
) -> np.ndarray:
    """A sum of plane waves, each averaged over the area of every pixel so that none can alias.

    Args:
        x, y, pixel: from `pixel_centres`.
        frequencies: `[K, 2]`, in cycles per unit of x and of y.
        phases: `[K]`, in radians.
        amplitudes: `[C, K]`.

    Returns:
        float32 `[C, H, W]`.
    """
    inside = np.sinc(frequencies[:, 0] * pixel) * np.sinc(frequencies[:, 1] * pixel)
    across = (2 * np.pi * frequencies[:, 0, None] * x + phases[:, None]).astype("float32")
    down = (2 * np.pi * y * frequencies[:, 1]).astype("float32")
    # cos(a + b) = cos a cos b - sin a sin b: only rows and columns need sines, then one product.
    columns = np.concatenate([np.cos(across), -np.sin(across)])
    rows = np.concatenate([np.cos(down), np.sin(down)], axis=1)
    weights = np.tile(amplitudes * inside, 2).astype("float32")
    return (rows * weights[:, None, :]) @ columns


def to_uint8(canvas: np.ndarray, generator: np.random.Generator, noise: float) -> Levels:
    """Adds sensor noise to a canvas and rounds it to 0…255.

    Args:
        canvas: float32 `[C, ...]`, overwritten.
        generator: the `np.random.Generator` that draws the noise.
        noise: its standard deviation, in levels.

    Returns:
        uint8 `[..., C]`.
    """
    canvas *= 255
    canvas += np.float32(noise) * generator.standard_normal(canvas.shape, "float32")
    np.clip(np.rint(canvas, out=canvas), 0, 255, out=canvas)
    return np.ascontiguousarray(np.moveaxis(canvas.astype("uint8"), 0, -1))
