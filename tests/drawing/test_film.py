"""A film strip shows the frames asked for, unchanged, in their places, and marks those given."""

import numpy as np
import pytest

from ms_pixelcnn_tf.drawing import film
from ms_pixelcnn_tf.drawing.film import BORDER, GAP, LINE

NAMES = ("real", "sample 1", "sample 2")


def clips(count=2, rows=3, steps=5, size=(6, 8), channels=3):
    shape = (count, rows, steps, *size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def cells(picture, shape, names, given, scale=1, every=1):
    """What a strip of clips `(n, R, T, H, W)` holds.

    Returns:
        The frames shown, uint8 `[n, R, shown, H, W, 3]`, and the colour of the border of each,
        `[n, R, shown, 3]`.
    """
    count, rows, steps, height, width = shape
    shown = range(0, steps, every)
    frames = np.empty((count, rows, len(shown), height, width, 3), "uint8")
    colours = np.empty((*frames.shape[:3], 3), "uint8")
    high, wide = height * scale + 2 * BORDER, width * scale + 2 * BORDER
    inside = np.zeros((high, wide), bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    for clip, row, index in np.ndindex(frames.shape[:3]):
        top = LINE + clip * (rows * high + GAP) + row * high
        left = film.label_width(names) + index * wide + (GAP if shown[index] >= given else 0)
        cell = picture[top : top + high, left : left + wide]
        assert len(border := np.unique(cell[~inside], axis=0)) == 1
        colours[clip, row, index] = border[0]
        frames[clip, row, index] = cell[BORDER:-BORDER, BORDER:-BORDER][::scale, ::scale]
    return frames, colours


@pytest.mark.parametrize(
    "scale, every, given",
    [(1, 1, 1), (3, 1, 2), (1, 2, 1), (2, 2, 2), (1, 2, 3), (1, 3, 4), (1, 3, 5), (1, 5, 1)],
)
def test_a_row_a_video_with_the_given_frames_set_off(scale, every, given):
    videos = clips()
    shape = videos.shape[:5]
    picture = film.strip(videos, NAMES, given, scale, every)
    assert picture.shape == (*film.strip_size(shape, NAMES, given, scale, every), 3)
    frames, colours = cells(picture, shape, NAMES, given, scale, every)
    np.testing.assert_array_equal(frames, videos[:, :, ::every])
    for index, t in enumerate(range(0, 5, every)):
        assert (colours[:, :, index] == (film.GIVEN if t < given else film.PAPER)).all()


def test_gray_videos_are_shown_as_gray():
    videos = clips(channels=1)
    frames, _ = cells(film.strip(videos, NAMES, 2), videos.shape[:5], NAMES, 2)
    np.testing.assert_array_equal(frames, videos.repeat(3, axis=-1))
