"""Detects the colours of `shapes` in an image, to check what a sample shows.

A pixel shows a colour if it is near one of that colour's shades: the named colour, darker or
lighter by as much as the data set shades its shapes, clipped to 0…255 as in the data set. Grounds
and shadows, which are muted, and most mixtures at an outline are near no colour. Nothing is
learned. Each pixel is judged by itself; the majority then decides the colour of a place.
"""

import numpy as np

from ms_pixelcnn_tf.data.procedural import raster

SHADES = np.linspace(0.55, 1.25, 15)  # brightness of a shape, from its lower edge to its lit side
NEAR = 45.0  # largest distance from a shade, in levels of 0…255
CHROMA = 45.0  # smallest difference in a colour between the largest and the smallest of R, G, B
CORE = 0.45  # share of a shape's radius: a disc inside the outline of every kind
# [colours, shades, 3] in 0…255.
PALETTE = (255 * SHADES[:, None] * np.array(list(raster.COLOURS.values()))[:, None]).clip(0, 255)


def pixel_colours(pixels):
    """The colour of each pixel: `[..., 3]` in 0…255 → int64 `[...]`, an index into
    `COLOUR_NAMES`, or -1 for none of the colours."""
    pixels = np.asarray(pixels, "float32")
    flat = pixels.reshape(-1, 3)
    distances = np.linalg.norm(flat[:, None, None] - PALETTE.astype("float32"), axis=-1).min(-1)
    colours = distances.argmin(-1)
    chroma = flat.max(-1) - flat.min(-1)
    colours[(distances.min(-1) > NEAR) | (chroma < CHROMA)] = -1
    return colours.reshape(pixels.shape[:-1])


def colour_at(images, places):
    """The colour of the shape at a place of each image, by the majority of the pixels there.

    Args:
        images: `[n, H, W, 3]`, RGB in 0…255, uint8 or float.
        places: `[n, 3]`: x, y and radius of a shape, in pixels from the image's upper left corner,
            so that the first pixel's centre is at (0.5, 0.5).

    Returns:
        int64 `[n]`: the index into `COLOUR_NAMES` of the colour that at least half of the pixels
        within CORE radii show, or -1 if no colour has so many.
    """
    images, places = np.asarray(images), np.asarray(places, "float64").reshape(-1, 3)
    rows, columns = (np.arange(side) + 0.5 for side in images.shape[1:3])
    found = np.full(len(places), -1)
    for number, (image, (x, y, radius)) in enumerate(zip(images, places, strict=True)):
        distances = np.hypot(columns - x, rows[:, None] - y)
        # At least the nearest pixel, for the smallest shapes.
        seen = pixel_colours(image[distances <= max(CORE * radius, distances.min())])
        votes = np.bincount(seen[seen >= 0], minlength=1)
        if 2 * votes.max() >= len(seen):
            found[number] = votes.argmax()
    return found
