"""bin/sample: samples images or videos from a trained model."""

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ms_pixelcnn_tf.cli import flags, prompt_flags, sample_video
from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.generation.prompts import Names, Prompt

PANEL_SIDE = 128  # least width of a prompt's panel, pixels


def main(arguments: Sequence[str]) -> None:
    """Samples as the arguments say."""
    parser = flags.Parser("sample", "Draws images, or videos, and writes them as one picture.")
    flags.add_model_flags(parser)
    parser.add_argument(
        "--num",
        type=flags.positive,
        metavar="INT",
        help="number of images, with --prompts for each (default 16), or of clips "
        f"(default {sample_video.NUM})",
    )
    flags.add_checkpoint_flag(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="INT", help="(default 0)")
    parser.add_argument(
        "--out", metavar="FILE", help=f"(default samples.png; of videos {sample_video.OUT})"
    )
    parser.add_argument(
        "--trajectory",
        action="store_true",
        help="one row an image: the pyramid from base to target",
    )
    parser.add_argument(
        "--scale",
        type=flags.positive,
        metavar="INT",
        help="magnification (default 4; of videos to frames of about "
        f"{sample_video.FRAME_SIDE} pixels)",
    )
    prompt_flags.add_prompt_flags(parser, label_default=" (without other conditions: all in turn)")
    parser.add_argument(
        "--prompts",
        type=os.path.expanduser,
        metavar="FILE.jsonl",
        help="a row a prompt, each line one as JSON: "
        '{"text": "a red star", "label": 3, "keypoints": [[x, y, visible], …] or '
        '"FILE.json", "segmentation": "FILE.png"}; paths are relative to the file',
    )
    sample_video.add_video_flags(parser)
    options = parser.parse(arguments)
    flags.model_folder(options)
    if options.seed < 0:
        raise UserError(f"seed is {options.seed}; valid: 0 or more")
    flags_given = prompt_flags.given_flags(options)
    if options.prompts is not None and flags_given:
        raise UserError(f"give --prompts or --{next(iter(flags_given))}, not both")

    with flags.quiet_start():
        from ms_pixelcnn_tf.generation import prompts
        from ms_pixelcnn_tf.runs.run import Run, sampled_config
    trained = Run(options.workdir)
    run = trained.config
    if isinstance(run.model, VideoConfig):
        sample_video.sample(options, trained)
        return
    sample_video.check_no_video_flags(options, run.model)
    for name, value in {"num": 16, "out": "samples.png", "scale": 4}.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    config = sampled_config(run.model)
    names = prompt_flags.read_names(trained)
    rows = None  # one prompt per row, if the picture shows prompts
    if options.prompts is not None:
        if not config.conditions:
            raise UserError("this model is unconditional; leave --prompts out")
        rows = prompts.read_prompts(options.prompts, run.model, names)
    elif set(config.conditions) - {"label"}:
        rows = [prompt_flags.flags_prompt(options, run.model, names)]
    check_picture_size(options, config, names, rows)
    if rows:
        asked = [prompt for prompt in rows for _ in range(options.num)]
    elif config.conditions and not flags_given:
        asked = [prompts.Prompt(label=i % config.num_classes) for i in range(options.num)]
    else:
        asked = [prompt_flags.flags_prompt(options, run.model, names)] * options.num
    conditions = prompts.to_conditions(asked, run.model) or None
    prompt_flags.tell_missing(run.model, config.image_size)
    model = trained.model(to_sample=True, checkpoint=options.checkpoint)
    levels = model.sample(len(asked), conditions, seed=options.seed)
    write_picture(options, model, levels, names, run.model.image_size, rows)
    print(f"wrote {options.out}")


def check_picture_size(
    options: argparse.Namespace,
    config: ModelConfig,
    names: Names,
    rows: Sequence[Prompt] | None = None,
) -> None:
    """Raises UserError if the picture would be too large.

    Args:
        options: the command's options.
        config: the model's `ModelConfig`.
        names: the run's `Names`.
        rows: the `Prompt`s that are shown, or None.
    """
    from ms_pixelcnn_tf.drawing import contact_sheet, grids

    if options.trajectory:
        columns, count = len(config.sizes), options.num * len(config.sizes)
    else:
        columns, count = options.num if rows else None, options.num
    size = grids.grid_size(count, config.image_size, columns, options.scale)
    what = f"{options.num} images"
    if rows:
        side = panel_side(options, config)
        panels = [contact_sheet.panel_size(row, names, config.image_size, side) for row in rows]
        size = contact_sheet.beside_size(panels, [size] * len(rows))
        what += f" for each of {len(rows)} prompts"
    flags.check_picture_size(size, what, options)


def write_picture(
    options: argparse.Namespace,
    model: Any,
    levels: np.ndarray,
    names: Names,
    prompt_size: tuple[int, int],
    rows: Sequence[Prompt] | None = None,
) -> None:
    """Draws and writes the samples, `options.num` for each of `rows`.

    Args:
        options: the command's options.
        model: an image model.
        levels: its samples, levels `[n, H, W, C]`.
        names: the run's `Names`.
        prompt_size: `(height, width)` of the images that the prompts' coordinates refer to.
        rows: the `Prompt`s that are shown, or None.
    """
    from ms_pixelcnn_tf import pixels
    from ms_pixelcnn_tf.drawing import contact_sheet, grids

    def draw(levels):
        scales = model.trajectory(levels) if options.trajectory else [levels]
        images = [pixels.dequantise(scale, model.config.num_levels) for scale in scales]
        if options.trajectory:
            return grids.trajectory(images, options.scale)
        return grids.grid(images[0], options.num if rows else None, options.scale)

    if rows:
        side = panel_side(options, model.config)
        picture = contact_sheet.beside(
            [contact_sheet.panel(row, names, prompt_size, side) for row in rows],
            [draw(levels[i * options.num :][: options.num]) for i in range(len(rows))],
        )
    else:
        picture = draw(levels)
    grids.write_png(options.out, picture)


def panel_side(options: argparse.Namespace, config: ModelConfig) -> int:
    """Width of a prompt's panel: that of an image as drawn, but at least `PANEL_SIDE`."""
    return max(PANEL_SIDE, config.image_size[1] * options.scale)


if __name__ == "__main__":
    flags.run(main)
