"""bin/sample for a video model: samples futures of real clips and shows them next to the clips."""

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import CONDITIONS, ModelConfig, RunConfig, VideoConfig
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.drawing import animation, film
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.generation import clips, driving, rollouts

if TYPE_CHECKING:
    from ms_pixelcnn_tf.runs.run import Run

FLAGS = ("dataset", "data_dir", "split", "first", "futures", "fps", "actions", "states", "upscaler")
IMAGE_FLAGS = ("trajectory", "prompts", *CONDITIONS)
SUFFIXES = (".gif", ".webp", ".png")
NUM, OUT, FPS = 4, "video.gif", 8
MAX_FPS = 50  # highest rate at which players show a GIF
MAX_FUTURES = 1000
FRAME_SIDE = 128  # pixels, to which frames are magnified approximately


def add_video_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only video models take; all are None unless given."""
    group = parser.add_argument_group(
        "videos: real and sampled, the given frames with a coloured border; an animation "
        "(--out=FILE.gif or .webp) with a film strip, or the strip alone (.png)"
    )
    group.add_argument("--dataset", metavar="NAME", help="whose clips to go on (default the run's)")
    group.add_argument(
        "--data_dir",
        type=os.path.expanduser,
        metavar="DIR",
        help="where the data is now (default the run's)",
    )
    group.add_argument("--split", help=f"(default {clips.SPLIT}, else the last)")
    group.add_argument(
        "--first", type=int, metavar="INDEX", help="the first of the --num clips (default 0)"
    )
    group.add_argument(
        "--futures", type=flags.positive, metavar="INT", help="samples of each clip (default 1)"
    )
    group.add_argument(
        "--fps", type=flags.positive, metavar="INT", help=f"frames a second (default {FPS})"
    )
    group.add_argument(
        "--actions",
        type=os.path.expanduser,
        metavar="FILE.npy",
        help="drive the arm yourself: [T, A] floats, or [clips, T, A]; used from "
        "the last given frame on, those before led to the given frames",
    )
    group.add_argument(
        "--states",
        type=os.path.expanduser,
        metavar="FILE.npy",
        help="the states that --actions lead to, [T, S] or [clips, T, S]; used "
        "after the given frames (default, for shapes_push: the arm follows and "
        "meets nothing)",
    )
    group.add_argument(
        "--upscaler",
        action="append",
        type=os.path.expanduser,
        metavar="DIR",
        help="run of an OT_upscaler that doubles the size; may be repeated",
    )


def check_no_video_flags(options: argparse.Namespace, config: ModelConfig) -> None:
    """Raises UserError if a video flag is given for an image model."""
    _check_absent(options, FLAGS, f"this run is a model of images ({config.variant})")


def sample(options: argparse.Namespace, trained: "Run") -> None:
    """Samples as the arguments say.

    Args:
        options: the options of bin/sample; those that are None are set to their defaults.
        trained: the `Run` of a video model.
    """
    from ms_pixelcnn_tf import pixels
    from ms_pixelcnn_tf.runs.run import Run

    config = trained.config.model
    _check_absent(options, IMAGE_FLAGS, f"this run is a model of videos ({config.variant})")
    assert isinstance(config, VideoConfig)
    upscalers = [Run(workdir) for workdir in options.upscaler or ()]
    clips.check_chain(trained, upscalers)
    size = (upscalers[-1] if upscalers else trained).config.model.image_size
    set_defaults(options, size)
    run = clips.of_size(trained.config, [upscaler.config for upscaler in upscalers], size)
    source = open_source(options, run)
    split, indices = clips.chosen_clips(source, options.split, options.first, options.num)
    names = row_names(options)
    check_size(options, config, names, size)
    given = clips.read_clips(source, split, indices, config)
    conditions, real = conditions_of(options, config, source, given), given["frames"]
    asked = rollouts.Asked(indices, options.futures, options.seed)
    videos = rollouts.sample(trained, upscalers, real, conditions, asked, options.checkpoint)
    if options.actions is None:
        videos = np.concatenate([real[:, None], videos], axis=1)
    shown = pixels.dequantise(videos, config.num_levels)
    drawn = shown, names, config.given_frames, options.scale
    written = animation.write_videos(options.out, *drawn, options.fps)
    which = f"clips {indices[0]} to {indices[-1]}" if len(indices) > 1 else f"clip {indices[0]}"
    print(
        f"wrote {' and '.join(written)}: {which} of {source.name}, split {split}; "
        f"{config.given_frames} frames given, {config.predicted_frames} sampled"
    )
    if options.actions is not None:
        print(f"driven by {options.actions}, so no real video is shown")


def set_defaults(options: argparse.Namespace, size: tuple[int, int]) -> None:
    """Sets options that were not given, and checks --out, --fps, --futures and --states."""
    defaults = {
        "num": NUM,
        "out": OUT,
        "fps": FPS,
        "first": 0,
        "futures": 1,
        "scale": max(1, FRAME_SIDE // max(size)),
    }
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.out = os.path.expanduser(options.out)
    if os.path.splitext(options.out)[1].lower() not in SUFFIXES:
        raise UserError(f"--out is {options.out}; valid for videos: names in {', '.join(SUFFIXES)}")
    if os.path.isdir(options.out):
        raise UserError(f"--out {options.out} is a folder; give a file")
    if options.fps > MAX_FPS:
        raise UserError(f"--fps is {options.fps}; valid: 1 to {MAX_FPS}")
    if options.futures > MAX_FUTURES:
        raise UserError(f"--futures is {options.futures}; valid: 1 to {MAX_FUTURES}")
    if options.states is not None and options.actions is None:
        raise UserError("--states is for --actions, which lead to them; give both, or none")


def open_source(options: argparse.Namespace, run: RunConfig) -> Source:
    """The data set that the options name, with clips as the run's model takes them."""
    from ms_pixelcnn_tf.runs.source import load_source

    if options.dataset not in (None, run.data.dataset):
        where = {"dataset": options.dataset, "data_dir": options.data_dir or "", "data_seed": 0}
        run = dataclasses.replace(run, data=dataclasses.replace(run.data, **where))
    return load_source(run, options.data_dir)


def conditions_of(
    options: argparse.Namespace,
    config: VideoConfig,
    source: Source,
    given: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The conditions of the clips: their own actions and states, or those that the flags give."""
    own = {field: given[field] for field in config.conditions}
    if options.actions is None:
        return own
    read = {}
    for field, width in (("actions", config.action_size), ("states", config.state_size)):
        path = getattr(options, field)
        if path is not None and field not in own:
            raise UserError(f"this model takes no {field}; leave --{field} out")
        if path is not None:
            read[field] = driving.read_values(path, field, options.num, config.num_frames, width)
    return driving.drive(source.name, own, config.given_frames, **read)


def row_names(options: argparse.Namespace) -> list[str]:
    """The name of each row of pictures."""
    sampled = [f"sample {i + 1}" for i in range(options.futures)]
    if options.futures == 1:
        sampled = ["sample"]
    return sampled if options.actions is not None else ["real", *sampled]


def check_size(
    options: argparse.Namespace, config: VideoConfig, names: Sequence[str], size: tuple[int, int]
) -> None:
    """Raises UserError if the film strip would be too large, or the animation for its format."""
    shape = (options.num, len(names), config.num_frames, *size)
    what = f"{options.num} clips of {config.num_frames} frames in {len(names)} rows each"
    wanted = film.strip_size(shape, names, config.given_frames, options.scale)
    flags.check_picture_size(wanted, what, options, " or --futures")
    limit = animation.MAX_SIDES.get(os.path.splitext(options.out)[1].lower())
    if limit and max(sides := animation.animation_size(shape, names, options.scale)) > limit:
        raise UserError(
            f"{what} make an animation of {sides[0]}x{sides[1]} pixels; valid in that format: "
            f"sides up to {limit}; lower --num, --scale or --futures, or give --out=FILE.png"
        )


def _check_absent(options, names, what):
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:  # --first=0 counts as given
            raise UserError(f"{what}; leave --{name} out")
