"""Prompts: the conditions of images to sample, from flags or from a file of JSON lines.

A prompt is a dict with the fields

    label         number or name of a class
    text          a caption
    keypoints     a list of [x, y, visible], one per part, in pixels of the model's images from the
                  upper left corner; or {"size": [height, width], "points": …}, where the points
                  are in pixels of an image of that size (default: the model's) and are such a list
                  or {"part's name": [x, y], …}; or the path of a JSON file that holds one of these
    segmentation  path of a PNG of any size, indexed or 8-bit gray, that covers the whole image:
                  0 is the ground, 1 + k is class k, 255 is unknown and counts as ground

It must have exactly the fields that the model is conditioned on.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ms_pixelcnn_tf.captions import encode
from ms_pixelcnn_tf.configs import CONDITIONS, ModelConfig, unknown
from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.generation.prompt_files import (
    clipped,
    parse_json,
    read_keypoints,
    read_mask,
    shown,
)

MAX_NAMES_SHOWN = 20


class Names(NamedTuple):
    """A run's names of its classes, parts and segments; empty if unknown."""

    classes: tuple = ()
    keypoints: tuple = ()
    segments: tuple = ()


NO_NAMES = Names()


class Prompt(NamedTuple):
    """A checked prompt; fields that the model is not conditioned on are None.

    Attributes:
        label: number of the class.
        text: the caption.
        keypoints: float64 `[P, 3]`, (x, y, visible), in pixels of the model's images.
        segmentation: uint8 `[32, 32, S]` maps.
    """

    label: int | None = None
    text: str | None = None
    keypoints: np.ndarray | None = None
    segmentation: np.ndarray | None = None


def read_prompts(path: str, config: ModelConfig, names: Names = NO_NAMES) -> list[Prompt]:
    """Reads a file with one prompt per line, as JSON objects; blank lines are ignored.

    Args:
        path: path of the file. The paths inside it are relative to its folder.
        config: the model's `ModelConfig`.
        names: the run's `Names`.

    Returns:
        A list of `Prompt`.

    Raises:
        UserError: for a bad prompt, with file and line, and for a file without prompts.
        OSError: if the file cannot be read.
    """
    prompts, folder = [], os.path.dirname(path)
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line = line.decode("utf-8-sig").strip()
                if line:
                    prompts.append(make_prompt(parse_json(line), config, names, folder))
            except UnicodeDecodeError as error:
                raise UserError(f"{path}, line {number}: not UTF-8; save it as such") from error
            except UserError as error:
                raise UserError(f"{path}, line {number}: {error}") from error
    if not prompts:
        raise UserError(f'{path} holds no prompt; give one a line, such as {{"text": "a star"}}')
    return prompts


def make_prompt(
    given: Any, config: ModelConfig, names: Names = NO_NAMES, folder: str = ""
) -> Prompt:
    """Checks one prompt.

    Args:
        given: the dict.
        config: the model's `ModelConfig`.
        names: the run's `Names`.
        folder: folder that paths are relative to.

    Returns:
        A `Prompt`.

    Raises:
        UserError: for missing or extra fields, and for values that the model does not take.
    """
    if not isinstance(given, dict):
        raise UserError(f'a prompt is {shown(given)}; valid: an object as {{"text": "a star"}}')
    for field in given:
        if field not in CONDITIONS:
            raise unknown("field", clipped(field), CONDITIONS)
        if field not in config.conditions:
            taken = ", ".join(config.conditions)
            rest = f"its conditions: {taken}" if taken else "it is unconditional"
            raise UserError(f"the model takes no {field}; {rest}")
    for field in config.conditions:
        if field not in given:
            raise UserError(
                f"{field} is missing; the model is conditioned on {', '.join(config.conditions)}"
            )
    found = {}
    if "label" in given:
        found["label"] = class_number(given["label"], config.num_classes, names.classes)
    if "text" in given:
        if not isinstance(given["text"], str):
            raise UserError(f"text is {shown(given['text'])}; valid: a caption")
        found["text"] = given["text"]
    if "keypoints" in given:
        found["keypoints"] = read_keypoints(given["keypoints"], config, names.keypoints, folder)
    if "segmentation" in given:
        path = given["segmentation"]
        if not isinstance(path, str):
            raise UserError(f"segmentation is {shown(path)}; valid: the path of a PNG")
        values = read_mask(os.path.join(folder, path), config.num_segments)
        found["segmentation"] = conditions.segmentation_maps(values[None], config.num_segments)[0]
    return Prompt(**found)


def to_conditions(prompts: Sequence[Prompt], config: ModelConfig) -> dict[str, np.ndarray]:
    """The conditions of a batch of images, one image per prompt.

    Args:
        prompts: list of `Prompt`.
        config: the model's `ModelConfig`.

    Returns:
        dict with the fields that the model is conditioned on: "label" int32 `[B]`, "text" int32
        `[B, 201]`, "keypoints" uint8 `[B, 32, 32, P]`, "segmentation" uint8 `[B, 32, 32, S]`.
    """
    arrays = {}
    for field in config.conditions:
        values = [getattr(prompt, field) for prompt in prompts]
        if field == "label":
            arrays[field] = np.array(values, "int32")
        elif field == "text":
            arrays[field] = encode(values)
        elif field == "keypoints":
            arrays[field] = conditions.keypoint_maps(np.stack(values), config.image_size)
        else:
            arrays[field] = np.stack(values)
    return arrays


def class_number(label: int | str, num_classes: int, names: Sequence[str] = ()) -> int:
    """The number of a class.

    Args:
        label: the class's number, as int or text, or its name.
        num_classes: the model's number of classes.
        names: names of the classes, if known.

    Raises:
        UserError: for a label that the model does not have, or that could mean two classes.
    """
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        raise UserError(f"label is {shown(label)}; valid: a class's number or name")
    try:
        number = int(label)
    except ValueError:
        number = None
    named = names.index(label) if label in names else number
    if named is None:
        known = names or tuple(map(str, range(num_classes)))
        raise unknown("label", clipped(str(label)), known[:MAX_NAMES_SHOWN])
    if number is not None and number != named and 0 <= number < num_classes:
        raise UserError(
            f"label {label} may be class number {number} or the class of that name, number "
            f"{named}; rename the class's folder"
        )
    if not 0 <= named < num_classes:
        raise UserError(f"label is {shown(label)}; valid: 0 to {num_classes - 1}")
    return named
