"""The flags for a prompt, shared by commands, and helpers about a run's scales and names."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from ms_pixelcnn_tf.configs import CONDITIONS, ModelConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.generation.prompts import Names, Prompt, make_prompt

if TYPE_CHECKING:
    from ms_pixelcnn_tf.runs.run import Run


def add_prompt_flags(parser: argparse.ArgumentParser, label_default: str = "") -> None:
    """Adds one flag per condition."""
    group = parser.add_argument_group("what to show, as far as the model is conditioned on it")
    group.add_argument(
        "--label", metavar="CLASS", help=f"class of all images, by number or name{label_default}"
    )
    group.add_argument("--text", metavar="CAPTION", help="caption of all images")
    group.add_argument(
        "--keypoints",
        type=os.path.expanduser,
        metavar="FILE.json",
        help="one [x, y, visible] a part, in pixels of the model's images, or "
        '{"size": [height, width], "points": {"part": [x, y]}}',
    )
    group.add_argument(
        "--segmentation",
        type=os.path.expanduser,
        metavar="FILE.png",
        help="indexed or gray PNG of any size: 0 the ground, 1 + k class k, 255 unknown",
    )


def given_flags(options: argparse.Namespace) -> dict[str, Any]:
    """The prompt from the flags, as a dict; empty if no flag was given."""
    values = {field: getattr(options, field) for field in CONDITIONS}
    return {field: value for field, value in values.items() if value is not None}


def flags_prompt(options: argparse.Namespace, config: ModelConfig, names: Names) -> Prompt:
    """The prompt from the flags, checked.

    Raises:
        UserError: if a flag is missing, malformed or not one of the model's conditions.
    """
    given = given_flags(options)
    conditions = ", ".join(config.conditions)
    for field in given:
        if field not in config.conditions:
            what = f"is conditioned on {conditions}" if conditions else "is unconditional"
            raise UserError(f"this model {what}; leave --{field} out")
    missing = [f"--{field}" for field in config.conditions if field not in given]
    if missing:
        raise UserError(f"this model is conditioned on {conditions}; give {', '.join(missing)}")
    return make_prompt(given, config, names)


def tell_missing(config: ModelConfig, size: tuple[int, int]) -> None:
    """Prints the scales that a run lacks, if its images are smaller for want of them.

    Args:
        config: the run's `ModelConfig`.
        size: (height, width) of the images that it makes, pixels.
    """
    if config.missing_scales and size != config.image_size:
        missing = ", ".join(config.missing_scales)
        print(f"missing: scale {missing}; the images are {size[0]}x{size[1]}")


def read_names(run: "Run") -> Names:
    """The `Names` of a run."""
    from ms_pixelcnn_tf.runs import datasheet

    return Names(*(run.names(kind) for kind in datasheet.NAMES))
