"""bin/upscale: super-resolution of image files, which keeps their pixels and samples the rest."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ms_pixelcnn_tf.cli import flags, prompt_flags
from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.errors import UserError

if TYPE_CHECKING:
    from ms_pixelcnn_tf.generation.upscaling import Input


def main(arguments: Sequence[str]) -> None:
    """Upscales as the arguments say."""
    parser = flags.Parser("upscale", "Draws images that have the given pixels, and others between.")
    flags.add_model_flags(parser)
    parser.add_argument(
        "--input",
        required=True,
        type=os.path.expanduser,
        metavar="FILE|DIR",
        help="an image, or a folder of images",
    )
    parser.add_argument(
        "--from",
        required=True,
        dest="low",
        type=flags.size,
        metavar="SIZE",
        help="size of the given pixels, one of the model's; larger images are sub-sampled to it",
    )
    parser.add_argument(
        "--to",
        dest="high",
        type=flags.size,
        metavar="SIZE",
        help="size wanted, one of the model's (default the largest that its scales reach)",
    )
    parser.add_argument(
        "--num", type=flags.positive, default=4, metavar="INT", help="samples an image (default 4)"
    )
    flags.add_checkpoint_flag(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="INT", help="(default 0)")
    parser.add_argument(
        "--out",
        default="upscaled.png",
        type=os.path.expanduser,
        metavar="FILE",
        help="a row an image: given pixels, the image if it had more, samples "
        "(default upscaled.png)",
    )
    parser.add_argument(
        "--outdir",
        type=os.path.expanduser,
        metavar="DIR",
        help="also write each sample as a PNG of its own",
    )
    parser.add_argument(
        "--scale",
        type=flags.positive,
        default=2,
        metavar="INT",
        help="magnification of --out (default 2)",
    )
    prompt_flags.add_prompt_flags(parser)
    options = parser.parse(arguments)
    flags.model_folder(options)
    if options.seed < 0:
        raise UserError(f"seed is {options.seed}; valid: 0 or more")
    check_paths(options)

    with flags.quiet_start():
        from ms_pixelcnn_tf.generation import prompts, upscaling
        from ms_pixelcnn_tf.runs.run import Run
    run = Run(options.workdir)
    config = run.config.model
    if not isinstance(config, ModelConfig):
        raise UserError(f"{options.workdir} is a run of videos; bin/upscale takes one of images")
    high = options.high or upscaling.largest_size(config, options.low)
    upscaling.check_sizes(config, options.low, high)
    names = prompt_flags.read_names(run)
    prompt = prompt_flags.flags_prompt(options, config, names)
    inputs, skipped = upscaling.read_inputs(options.input, config, options.low, high)
    flags.show_skipped(skipped, len(inputs))
    check_sheet_size(options, inputs, high)
    conditions = prompts.to_conditions([prompt], config) or None
    if options.high is None:
        prompt_flags.tell_missing(config, high)
    model = run.model(checkpoint=options.checkpoint)
    samples = upscaling.sample(model, inputs, high, options.num, options.seed, conditions)
    write(options, inputs, samples, config.num_levels)


def check_paths(options: argparse.Namespace) -> None:
    """Raises UserError for outputs that cannot be written or would land among the inputs."""
    if os.path.isdir(options.out):
        raise UserError(f"--out {options.out} is a folder; give a file")
    folder = options.input if os.path.isdir(options.input) else os.path.dirname(options.input)
    if _same(options.out, options.input):
        raise UserError("--out is the input; give another file")
    if os.path.isdir(options.input) and _same(os.path.dirname(options.out), folder):
        raise UserError("--out is in the folder of the inputs; give another")
    if options.outdir is not None:
        if os.path.exists(options.outdir) and not os.path.isdir(options.outdir):
            raise UserError(f"--outdir {options.outdir} is a file; give a folder")
        if _same(options.outdir, folder):
            raise UserError("--outdir is the folder of the inputs; give another")


def check_sheet_size(
    options: argparse.Namespace, inputs: "Sequence[Input]", high: tuple[int, int]
) -> None:
    """Raises UserError if the sheet would be too large."""
    from ms_pixelcnn_tf.drawing import grids

    columns = options.num + 1 + any(one.real is not None for one in inputs)
    size = grids.grid_size(len(inputs) * columns, high, columns, options.scale)
    what = f"{options.num} samples of {len(inputs)} images"
    flags.check_picture_size(size, what, options, ", or give fewer images")


def write(
    options: argparse.Namespace, inputs: "Sequence[Input]", samples: np.ndarray, num_levels: int
) -> None:
    """Writes the samples and the sheet.

    Args:
        options: the command's options.
        inputs: list of `upscaling.Input`.
        samples: uint8 levels `[inputs, num, H, W, C]`.
        num_levels: the model's number of levels.
    """
    from ms_pixelcnn_tf import pixels
    from ms_pixelcnn_tf.drawing import grids
    from ms_pixelcnn_tf.generation import upscaling

    samples = pixels.dequantise(samples, num_levels)
    if options.outdir is not None:
        names = upscaling.output_names([one.path for one in inputs])
        for name, row in zip(names, samples, strict=True):
            for number, sample in enumerate(row):
                path = os.path.join(options.outdir, f"{name}-{number}.png")
                grids.write_png(path, grids.to_rgb(sample[None])[0])
    low = [pixels.dequantise(one.low, num_levels) for one in inputs]
    real = [None if one.real is None else pixels.dequantise(one.real, num_levels) for one in inputs]
    grids.write_png(options.out, grids.upscaled(low, real, samples, options.scale))
    print(f"wrote {options.out}")
    if options.outdir is not None:
        print(f"wrote {samples.shape[0] * samples.shape[1]} samples to {options.outdir}")


def _same(path, other):
    return os.path.realpath(path or ".") == os.path.realpath(other or ".")


if __name__ == "__main__":
    flags.run(main)
