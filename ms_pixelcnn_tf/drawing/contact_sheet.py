"""Contact sheets: examples with their labels, captions and maps drawn on, to check data by eye.

Prompts are drawn in the same way, next to a model's samples.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 6  # pixels between pictures
LINE = 13  # height of a line of text
INK, PAPER, FAINT = (20, 20, 20), (255, 255, 255), (110, 110, 110)
DOT = 3  # radius of a keypoint
MASK_SHARE = 0.45  # opacity of a mask over the picture
INK_SHARE = 0.65  # darkens a segment's colour for its name, to be readable on white
GROUND = 235  # gray behind a prompt's maps
LETTER = 6  # average width of a letter
MAX_CAPTION = 200  # letters of a prompt's caption that are drawn
ACTION_HEIGHT = 40


def colour_of(number: int | np.integer) -> tuple[int, ...]:
    """The colour of a class or part by its number, far from the colours of its neighbours."""
    hue = number * 0.618034 % 1.0
    channels = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1.0 * 6 - 3) - 1, 0, 1)
    return tuple(int(value) for value in 40 + 200 * channels)


def image_sheet(
    examples: Mapping[str, Any], class_names: Sequence[str], columns: int, side: int
) -> np.ndarray:
    """Draws a sheet of images.

    Args:
        examples: dict field → array whose first axis is n: "image" uint8 `[n, H, W, C]` and
            optionally "label" `[n]`, "text" `[n]` sequences of str, "keypoints" `[n, P, 3]` in
            pixels, "segmentation" `[n, h, w]` numbers or `[n, h, w, S]` maps.
        class_names: names of the labels, or empty.
        columns: pictures per row.
        side: width of a picture, pixels.

    Returns:
        uint8 `[height, width, 3]`.
    """
    cells = [
        _image_cell({field: values[i] for field, values in examples.items()}, class_names, side)
        for i in range(len(examples["image"]))
    ]
    return np.asarray(_grid(cells, columns))


def video_sheet(examples: Mapping[str, Any], side: int, frames: int) -> np.ndarray:
    """Draws one strip of frames per example, with its actions and states as curves below.

    Args:
        examples: "frames" uint8 `[n, T, H, W, C]`, and optionally "actions" and "states"
            `[n, T, ·]`.
        side: width of a frame, pixels.
        frames: largest number of frames to show, evenly spaced.

    Returns:
        uint8 `[height, width, 3]`.
    """
    cells = []
    for number, clip in enumerate(examples["frames"]):
        shown = np.unique(np.linspace(0, len(clip) - 1, frames).astype(int))
        parts = [_grid([_enlarged(clip[t], side) for t in shown], len(shown))]
        for field in ("actions", "states"):
            if field in examples:
                parts.append(_curves(examples[field][number], parts[0].width, field))
        cells.append(_stacked(parts))
    return np.asarray(_grid(cells, 1))


def panel_size(prompt: Any, names: Any, image_size: tuple[int, int], side: int) -> tuple[int, int]:
    """(height, width) of the picture that `panel` draws."""
    height = max(1, round(side * image_size[0] / image_size[1])) if _has_maps(prompt) else 0
    lines = _panel_lines(prompt, names, side)
    return height + (LINE * len(lines) + 4 if lines or not height else 0), side


def panel(prompt: Any, names: Any, image_size: tuple[int, int], side: int) -> np.ndarray:
    """Draws a prompt: its maps on a plain ground, and its words below them.

    Args:
        prompt: a `prompts.Prompt`.
        names: a `prompts.Names`.
        image_size: `(height, width)` of the images that the prompt is for, pixels.
        side: width of the panel, pixels.

    Returns:
        uint8 `[height, side, 3]`, as high as needed.
    """
    parts = []
    if _has_maps(prompt):
        height, width = image_size
        picture = Image.new("RGB", (side, max(1, round(side * height / width))), (GROUND,) * 3)
        if prompt.segmentation is not None:
            picture = _with_masks(picture, prompt.segmentation, share=1)
        if prompt.keypoints is not None:
            scale = side / width, picture.height / height
            _draw_keypoints(picture, prompt.keypoints, scale)
        parts.append(picture)
    lines = _panel_lines(prompt, names, side)
    if lines or not parts:
        parts.append(_text([line for line, _ in lines], [colour for _, colour in lines], side))
    return np.asarray(_stacked(parts))


def beside(panels: Sequence[np.ndarray], pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Draws one row per panel, with its picture to the right.

    Args:
        panels, pictures: lists of uint8 `[height, width, 3]`.

    Returns:
        uint8 `[height, width, 3]`, of `beside_size`.
    """
    cells = [Image.fromarray(cell) for row in zip(panels, pictures, strict=True) for cell in row]
    return np.asarray(_grid(cells, 2))


def beside_size(
    panel_sizes: Sequence[tuple[int, int]], picture_sizes: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """(height, width) of the picture that `beside` draws for panels and pictures of these sizes."""
    rows = list(zip(panel_sizes, picture_sizes, strict=True))
    height = sum(max(left[0], right[0]) + GAP for left, right in rows) - GAP
    return height, max(left[1] + right[1] for left, right in rows) + GAP


def _has_maps(prompt):
    return prompt.keypoints is not None or prompt.segmentation is not None


def _panel_lines(prompt, names, side):
    """List of (text, colour): the class, the caption, the segments that the maps show."""
    letters, lines = max(8, side // LETTER), []
    if prompt.label is not None:
        lines += _wrapped(_name(names.classes, prompt.label, "class"), letters, INK)
    if prompt.text is not None:
        cut = len(prompt.text) > MAX_CAPTION
        caption = prompt.text[:MAX_CAPTION] + ("…" if cut else "")
        lines += _wrapped(caption, letters, INK)
    if prompt.segmentation is not None:
        for number in np.flatnonzero(prompt.segmentation.any(axis=(0, 1))):
            ink = tuple(int(INK_SHARE * value) for value in colour_of(number))
            lines += _wrapped(_name(names.segments, number, "segment"), letters, ink)
    return lines


def _name(names, number, kind):
    return names[number] if number < len(names) else f"{kind} {number}"


def _wrapped(text, letters, colour):
    """List of (line, colour); characters that UTF-8 cannot encode become question marks."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return [(line, colour) for line in textwrap.wrap(text, letters)]


def _image_cell(example, class_names, side):
    height, width = example["image"].shape[:2]
    picture = _enlarged(example["image"], side)
    if "segmentation" in example:
        picture = _with_masks(picture, example["segmentation"])
    if "keypoints" in example:
        _draw_keypoints(
            picture, example["keypoints"], (picture.width / width, picture.height / height)
        )
    lines = []
    if "label" in example:
        label = int(example["label"])
        lines.append(class_names[label] if label < len(class_names) else f"class {label}")
    for caption in example.get("text", ())[:2]:
        lines += textwrap.wrap(str(caption), max(8, side // 6))[:3]
    return _stacked([picture, _text(lines, [INK] * len(lines), side)]) if lines else picture


def _enlarged(pixels, side):
    """uint8 `[H, W, C]` → an RGB picture of width `side`, with sharp pixel edges."""
    pixels = np.asarray(pixels)
    pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
    image = Image.fromarray(pixels)
    return image.resize(
        (side, max(1, round(side * image.height / image.width))), Image.Resampling.NEAREST
    )


def _with_masks(picture, masks, share=MASK_SHARE):
    """The picture with each mask's colour laid over it, at opacity `share`."""
    masks = np.asarray(masks)
    if masks.ndim == 2:  # numbers; 0 is the ground
        masks = np.eye(int(masks.max()) + 1, dtype=bool)[masks][..., 1:]
    canvas = np.asarray(picture, "float32")
    for number in np.flatnonzero(masks.any(axis=(0, 1))):
        mask = Image.fromarray(masks[..., number].astype("uint8") * 255)
        cover = (
            np.asarray(mask.resize(picture.size, Image.Resampling.NEAREST), "float32")[..., None]
            / 255
        )
        cover *= share
        canvas = canvas * (1 - cover) + np.array(colour_of(number), "float32") * cover
    return Image.fromarray(canvas.round().astype("uint8"))


def _draw_keypoints(picture, keypoints, scale):
    draw = ImageDraw.Draw(picture)
    for number, (x, y, visible) in enumerate(keypoints):
        if visible:
            x, y = x * scale[0], y * scale[1]
            draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), colour_of(number), outline=PAPER)


def _curves(values, width, name):
    """Draws `[T, N]` as N curves, each scaled to its own range."""
    picture = Image.new("RGB", (width, ACTION_HEIGHT), PAPER)
    draw = ImageDraw.Draw(picture)
    steps = np.linspace(4, width - 5, len(values))
    for number, curve in enumerate(np.transpose(values)):
        span = max(float(np.ptp(curve)), 1e-9)
        heights = ACTION_HEIGHT - 5 - (curve - curve.min()) / span * (ACTION_HEIGHT - 10)
        draw.line(list(zip(steps, heights, strict=True)), colour_of(number), 1)
    draw.text((4, 0), name, FAINT, ImageFont.load_default())
    return picture


def _text(lines, colours, width):
    picture = Image.new("RGB", (width, LINE * len(lines) + 4), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        draw.text((1, 2 + LINE * number), line, colour, ImageFont.load_default())
    return picture


def _stacked(pictures):
    """Pictures of one width, one above the other."""
    whole = Image.new("RGB", (pictures[0].width, sum(p.height for p in pictures)), PAPER)
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


def _grid(pictures, columns):
    """Pictures in rows, each row as high as its highest picture."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width = max(sum(p.width + GAP for p in row) for row in rows) - GAP
    height = sum(max(p.height for p in row) + GAP for row in rows) - GAP
    whole = Image.new("RGB", (width, height), PAPER)
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            whole.paste(picture, (left, top))
            left += picture.width + GAP
        top += max(p.height for p in row) + GAP
    return whole
