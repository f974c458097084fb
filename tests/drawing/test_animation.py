"""Animations show every frame, unchanged, in its place, and mark those given."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ms_pixelcnn_tf.drawing import animation, film
from ms_pixelcnn_tf.drawing.film import BORDER, GAP, LINE

NAMES = ("real", "sample 1", "sample 2")


def clips(count=2, levels=256):
    shape = (count, 3, 5, 6, 8, 3)
    return np.random.default_rng(0).integers(0, levels, shape, dtype=np.uint8)


def cell_at(picture, top, left):
    """A frame enlarged twice, brought back to its own size, and the pixels of its border."""
    whole = picture[top : top + 12 + 2 * BORDER, left : left + 16 + 2 * BORDER]
    inside = np.zeros(whole.shape[:2], bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    return whole[BORDER:-BORDER:2, BORDER:-BORDER:2], whole[~inside]


@pytest.mark.parametrize("count", [1, 3, animation.BAND + 2])
def test_an_animation_has_a_column_a_clip_and_marks_the_given_frames(count):
    videos = clips(count)
    pictures = animation.animate(videos, NAMES, 2, scale=2)
    assert pictures.shape == (5, *animation.animation_size(videos.shape[:5], NAMES, 2), 3)
    high, wide = 12 + 2 * BORDER, 16 + 2 * BORDER
    for clip, row, t in np.ndindex(videos.shape[:3]):
        top = LINE + row * high + clip // animation.BAND * (3 * high + GAP)
        left = film.label_width(NAMES) + clip % animation.BAND * (wide + GAP)
        frame, border = cell_at(pictures[t], top, left)
        np.testing.assert_array_equal(frame, videos[clip, row, t])
        assert (border == (film.GIVEN if t < 2 else film.PAPER)).all()


def pictures_of(path):
    with Image.open(path) as image:
        found = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
        return image.info["loop"], *zip(*found, strict=True)


def test_webp_keeps_every_colour(tmp_path):
    pictures = animation.animate(clips(), NAMES, 2)
    animation.write(tmp_path / "a.webp", pictures, fps=10)
    loop, found, durations = pictures_of(tmp_path / "a.webp")
    assert loop == 0 and durations == (100,) * 4 + (100 * animation.LAST,)
    np.testing.assert_array_equal(np.stack(found), pictures)
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"]


def test_a_gif_repeats_and_is_close(tmp_path):
    videos = clips(levels=3) * 127  # 27 colours, so that a palette holds them all
    pictures = animation.animate(videos, NAMES, 2)
    animation.write(str(tmp_path / "a.GIF"), pictures, fps=8)
    loop, found, durations = pictures_of(tmp_path / "a.GIF")
    assert loop == 0 and durations[:4] == (120,) * 4 and durations[4] > 600
    assert len(found) == 5
    assert np.abs(np.stack(found).astype(int) - pictures).mean() < 2
    again = tmp_path / "b.gif"
    animation.write(again, pictures, fps=8)
    assert again.read_bytes() == (tmp_path / "a.GIF").read_bytes()


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch, name):
    (tmp_path / name).write_text("old")

    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        animation.write(tmp_path / name, animation.animate(clips(), NAMES, 2), 8)
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]
