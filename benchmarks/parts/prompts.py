"""Prompts with their truth: what a model is asked to show, and where.

Held out are those from the split novel of `shapes`, whose main shapes pair a kind with a colour that
no training image does.
"""

from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES, KINDS

SPLIT = "novel"
MAPS = ("keypoints", "segmentation")


class Prompts(NamedTuple):
    """What is asked of a model.

    Attributes:
        conditions: dict: "text", a list of n captions; and where asked for the maps, uint8
            `[n, 32, 32, P]` "keypoints" or `[n, 32, 32, S]` "segmentation".
        asked: for each prompt the shapes whose colour its caption names, a list of
            `(colour, x, y, radius)`: an index into `COLOUR_NAMES`, and pixels of the image. The
            main shape comes first.
    """

    conditions: dict
    asked: list


def prompts(source, num, kind="text", split=SPLIT):
    """The first `num` prompts: a pure function of the source.

    Args:
        source: a `Shapes` in colour.
        num: how many, up to the size of the split.
        kind: "text" for captions alone, "keypoints" or "segmentation" for these maps beside them.
        split: which to take them from.

    Returns:
        `Prompts`. The captions name the colour of the main shape, and that of another one where
        there is any; such captions of an example are taken in turn.
    """
    indices = np.arange(num)
    fields = ("text", kind) if kind in MAPS else ("text",)
    examples = source.examples(split, indices, fields)
    pixels = min(source.image_size)
    captions, asked = [], []
    for index, texts in zip(indices.tolist(), examples["text"]):
        shapes = source.scene(split, index).shapes
        candidates = [
            (caption, named) for caption in texts
            for named in [_named(caption, shapes)]
            if shapes[0] in named and len(named) >= min(2, len(shapes))
        ]
        caption, named = candidates[index % len(candidates)]
        captions.append(caption)
        asked.append([(s.colour, s.x * pixels, s.y * pixels, s.radius * pixels) for s in named])
    found = {"text": captions}
    if "keypoints" in fields:
        found["keypoints"] = conditions.keypoint_maps(examples["keypoints"], source.image_size)
    if "segmentation" in fields:
        found["segmentation"] = conditions.segmentation_maps(
            examples["segmentation"], source.num_segments
        )
    return Prompts(found, asked)


def _named(caption, shapes):
    """The shapes that a caption names with their colour."""
    return [
        shape for shape in shapes if f"{COLOUR_NAMES[shape.colour]} {KINDS[shape.kind]}" in caption
    ]
