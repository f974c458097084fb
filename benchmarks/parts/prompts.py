"""Prompts for models of `shapes`, with the shapes, colours and places that they ask for.

Held-out prompts come from the split novel of `shapes`, whose main shapes have pairs of kind and
colour that no training image shows.
"""

from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.procedural.shapes_captions import RELATIONS, captions
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES, KINDS
from ms_pixelcnn_tf.errors import UserError

SPLIT = "novel"
MAPS = ("keypoints", "segmentation")


class Prompts(NamedTuple):
    """Prompts and what they ask for.

    Attributes:
        conditions: dict: "text", a list of n captions; and, if maps were requested, uint8
            `[n, 32, 32, P]` "keypoints" or `[n, 32, 32, S]` "segmentation".
        asked: for each prompt, the shapes whose colour its caption names: a list of
            `(colour, x, y, radius)`, an index into `COLOUR_NAMES` and pixels of the image. The
            main shape comes first.
        indices: the examples that the prompts describe, int64 `[n]`.
    """

    conditions: dict
    asked: list
    indices: np.ndarray


def prompts(source, num, kind="text", split=SPLIT, form="list"):
    """The first `num` prompts, a pure function of the source.

    Args:
        source: a `Shapes` in colour.
        num: how many; at most the size of the split or, for relations, its scenes with several
            shapes.
        kind: "text" for captions only; "keypoints" or "segmentation" to add these maps.
        split: the split to take the examples from.
        form: "list": captions that name all shapes of a scene with their colours, one after the
            other; "relation": captions that name two shapes and their relative position.

    Returns:
        `Prompts`. If an example has several captions of the form, they are taken in turn.

    Raises:
        UserError: if the split has fewer than `num`.
    """
    texts, asked, indices = [], [], []
    for index in range(source.size(split)):
        if len(indices) == num:
            break
        candidates = _candidates(source, split, index, form)
        if candidates:
            caption, named = candidates[index % len(candidates)]
            texts.append(caption)
            asked.append(named)
            indices.append(index)
    if len(indices) < num:
        raise UserError(
            f"split {split} has {len(indices)} prompts of form {form}; {num} were asked for"
        )
    indices = np.array(indices)
    examples = source.examples(split, indices, (kind,) if kind in MAPS else ())
    found = {"text": texts}
    if "keypoints" in examples:
        found["keypoints"] = conditions.keypoint_maps(examples["keypoints"], source.image_size)
    if "segmentation" in examples:
        found["segmentation"] = conditions.segmentation_maps(
            examples["segmentation"], source.num_segments
        )
    return Prompts(found, asked, indices)


def _candidates(source, split, index, form):
    """An example's captions of a form, each with the shapes it asks for, as in `Prompts.asked`."""
    pixels, scene = min(source.image_size), source.scene(split, index)
    shapes, found = scene.shapes, []
    for caption in captions(scene, source.channels == 3):
        named = [s for s in shapes if f"{COLOUR_NAMES[s.colour]} {KINDS[s.kind]}" in caption]
        is_relation = any(f" {words} " in caption for words in RELATIONS)
        enough = 2 if form == "relation" else len(shapes)
        if shapes[0] in named and is_relation == (form == "relation") and len(named) >= enough:
            asked = [(s.colour, s.x * pixels, s.y * pixels, s.radius * pixels) for s in named]
            found.append((caption, asked))
    return found
