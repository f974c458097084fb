"""bin/score: scores image files and ranks them, to find the odd ones in a folder."""

import argparse
import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ms_pixelcnn_tf.cli import flags, prompt_flags
from ms_pixelcnn_tf.configs import ModelConfig, unknown
from ms_pixelcnn_tf.errors import UserError

if TYPE_CHECKING:
    from ms_pixelcnn_tf.evaluation.scoring import Score

DESCRIPTION = """Scores every image of a folder, and of the folders in it, and ranks them, the
oddest first.

Bits are per sub-pixel: of the model; of a PNG of the same pixels; the one less the other, since a
likelihood alone takes simple images for usual ones (Serrà et al., 2020); and the peak, the mean of
the most surprising hundredth of the sub-pixels, which finds what is odd in an image that is usual
otherwise."""
SHOWN = 10
MAX_NAME = 150  # characters of a heat map's file name, without its rank and suffix
BRIGHTEST = 2  # colour of a heat map, as a multiple of the surprise of a uniform guess


def main(arguments: Sequence[str]) -> None:
    """Scores as the arguments say."""
    parser = flags.Parser("score", DESCRIPTION)
    parser.add_argument(
        "images",
        metavar="DIR|FILE",
        type=os.path.expanduser,
        help="images; they are cropped and averaged down to the model's size",
    )
    flags.add_model_flags(parser)
    flags.add_checkpoint_flag(parser)
    parser.add_argument(
        "--out",
        default="scores.csv",
        type=os.path.expanduser,
        metavar="FILE",
        help="(default scores.csv)",
    )
    parser.add_argument(
        "--heatmaps",
        type=os.path.expanduser,
        metavar="DIR",
        help="write each image next to its surprise, −log p of its sub-pixels, as a PNG; "
        f"brightest from {BRIGHTEST} times the bits of a uniform guess on",
    )
    parser.add_argument(
        "--subpixels",
        type=os.path.expanduser,
        metavar="FILE.npz",
        help="write −log p of each sub-pixel, bits [n, H, W, C], with the file names",
    )
    parser.add_argument(
        "--rank_by", default="peak", metavar="NAME", help="peak, less_png or bits (default peak)"
    )
    parser.add_argument(
        "--batch_size",
        type=flags.positive,
        default=32,
        metavar="INT",
        help="images at once (default 32)",
    )
    parser.add_argument(
        "--scale",
        type=flags.positive,
        default=4,
        metavar="INT",
        help="magnification of heat maps (default 4)",
    )
    prompt_flags.add_prompt_flags(parser)
    options = parser.parse(arguments)
    workdir = flags.model_folder(options)
    check_paths(options)

    with flags.quiet_start():
        import numpy as np
        from tqdm import tqdm

        from ms_pixelcnn_tf import pixels
        from ms_pixelcnn_tf.drawing import grids
        from ms_pixelcnn_tf.evaluation import scoring
        from ms_pixelcnn_tf.files import replacing
        from ms_pixelcnn_tf.generation import prompts
        from ms_pixelcnn_tf.runs.run import Run
    if options.rank_by not in scoring.RANKS:
        raise unknown("rank_by", options.rank_by, scoring.RANKS)
    run = Run(workdir)
    config = run.config.model
    if not isinstance(config, ModelConfig):
        raise UserError(f"{workdir} is a run of videos; bin/score takes one of images")
    if config.channels not in (1, 3):
        raise UserError(
            f"the model is of {config.channels} channels; valid, to read image files: 1 or 3"
        )
    prompt = prompt_flags.flags_prompt(options, config, prompt_flags.read_names(run))
    conditions = prompts.to_conditions([prompt], config) or None
    if options.heatmaps is not None:
        size = grids.grid_size(2, config.image_size, 2, options.scale)
        flags.check_picture_size(size, "an image next to its surprise", options)
    names, images, skipped = scoring.read_folder(options.images, config)
    flags.show_skipped(skipped, len(names))
    model = run.model(checkpoint=options.checkpoint)
    model.check_held()

    def progress(batches):
        return tqdm(
            batches, desc="scoring", unit="batch", disable=not sys.stderr.isatty(), leave=False
        )

    surprises = scoring.surprise(model, images, conditions, options.batch_size, progress)
    found = scoring.scores(names, images, surprises, config.num_levels, options.rank_by)
    scoring.write_csv(options.out, found)
    if options.subpixels is not None:
        with replacing(options.subpixels) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, bits=surprises, files=np.array(names))
    if options.heatmaps is not None:
        highest = BRIGHTEST * math.log2(config.num_levels)
        shown = pixels.dequantise(images, config.num_levels)
        of_name = dict(zip(names, zip(shown, surprises, strict=True), strict=True))
        digits = len(str(len(found)))
        for rank, score in enumerate(found, 1):
            picture = grids.heat_map(*of_name[score.file], highest, options.scale)
            flat = os.path.splitext(score.file)[0].replace(os.sep, "_")[-MAX_NAME:]
            grids.write_png(os.path.join(options.heatmaps, f"{rank:0{digits}}-{flat}.png"), picture)
    show(found, options)


def check_paths(options: argparse.Namespace) -> None:
    """Raises UserError for inputs that do not exist and outputs that cannot be written."""
    if not os.path.exists(options.images):
        raise UserError(f"{options.images} is not there; give a folder of images, or one image")
    for flag, path in (("out", options.out), ("subpixels", options.subpixels)):
        if path is not None and os.path.isdir(path):
            raise UserError(f"--{flag} {path} is a folder; give a file")
    if options.heatmaps is not None:
        if os.path.exists(options.heatmaps) and not os.path.isdir(options.heatmaps):
            raise UserError(f"--heatmaps {options.heatmaps} is a file; give a folder")
        if os.path.isdir(options.heatmaps) and os.listdir(options.heatmaps):
            raise UserError(f"--heatmaps {options.heatmaps} is not empty; give a new folder")
        inside = os.path.realpath(options.heatmaps) + os.sep
        if inside.startswith(os.path.realpath(options.images) + os.sep):
            raise UserError(
                "--heatmaps is in the folder of the images, and would be scored next time; give "
                "another"
            )


def show(found: "Sequence[Score]", options: argparse.Namespace) -> None:
    """Prints the oddest images."""
    shown = [
        dataclasses.replace(score, file=score.file.encode("utf-8", "backslashreplace").decode())
        for score in found[:SHOWN]
    ]
    width = max(4, *(len(score.file) for score in shown))
    print(f"{'file':{width}}  {'bits':>7}  {'of PNG':>7}  {'less PNG':>8}  {'peak':>7}")
    for score in shown:
        print(
            f"{score.file:{width}}  {score.bits_per_dim:7.3f}  {score.png_bits_per_dim:7.3f}  "
            f"{score.corrected_bits_per_dim:8.3f}  {score.peak_bits:7.3f}"
        )
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more, less odd")
    print(f"wrote {options.out}")
    for path in filter(None, (options.subpixels, options.heatmaps)):
        print(f"wrote {path}")


if __name__ == "__main__":
    flags.run(main)
