"""bin/sample of a video model: what it makes of clips' first frames, beside what came of them."""

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
from ms_pixelcnn_tf.generation import driving, rollouts
from ms_pixelcnn_tf.sizes import format_size

if TYPE_CHECKING:
    from ms_pixelcnn_tf.runs.run import Run

FLAGS = ("dataset", "data_dir", "split", "first", "futures", "fps", "actions", "states", "upscaler")
IMAGE_FLAGS = ("trajectory", "prompts", *CONDITIONS)
SUFFIXES = (".gif", ".webp", ".png")
UPSCALER = "OT_upscaler"
SPLIT = "test_seen"  # where the data has it
NUM, OUT, FPS = 4, "video.gif", 8
MAX_FPS = 50  # what players take a GIF at
MAX_FUTURES = 1000
FRAME_SIDE = 128  # about what a frame is magnified to


def add_video_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only video models take; all are None unless given."""
    group = parser.add_argument_group(
        "videos: real beside sampled, the given frames with a coloured border; an animation "
        "(--out=FILE.gif or .webp) with a film strip beside it, or the strip alone (.png)"
    )
    group.add_argument("--dataset", metavar="NAME", help="whose clips to go on (default the run's)")
    group.add_argument(
        "--data_dir",
        type=os.path.expanduser,
        metavar="DIR",
        help="where the data is now (default the run's)",
    )
    group.add_argument("--split", help=f"(default {SPLIT}, else the last)")
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
    """Raises UserError if a flag of videos is given for a model of images."""
    _check_absent(options, FLAGS, f"this run is a model of images ({config.variant})")


def sample(options: argparse.Namespace, trained: "Run") -> None:
    """Samples as the arguments say.

    The real clips are read once, as the last of the upscalers makes them. What the first model is
    given is every n-th pixel of their first frames, which each upscaler keeps: so the frames that
    are enlarged are of one kind, given and sampled alike, and no model sees averaged ones. A model
    that was trained with `source_size` knows this kind.

    Args:
        options: of bin/sample; those that are None take their defaults here.
        trained: the `Run`, of a video model.
    """
    run = trained.config
    _check_absent(options, IMAGE_FLAGS, f"this run is a model of videos ({run.model.variant})")
    config = run.model
    assert isinstance(config, VideoConfig)
    given = config.given_frames
    upscalers = read_upscalers(options, run)
    if config.variant == UPSCALER:  # goes on from the true frames at half its size
        upscalers.insert(0, trained)
    size = upscalers[-1].config.model.image_size if upscalers else config.image_size
    set_defaults(options, size)
    source = open_source(options, of_size(run, [upscaler.config for upscaler in upscalers], size))
    split, indices = chosen_clips(options, source)
    check_size(options, config, size)
    clips = read_clips(source, split, indices, config)
    conditions, real = conditions_of(options, config, source, clips), clips["frames"]

    asked = rollouts.Asked(indices, options.futures, options.seed)
    if config.variant == UPSCALER:
        low = every_nth_pixel(real, config.sizes[0])
        videos = np.repeat(low[:, None], options.futures, axis=1)
    else:
        first = every_nth_pixel(real[:, :given], config.image_size)
        videos = rollouts.roll_out(
            trained.model(checkpoint=options.checkpoint), first, conditions, asked
        )
    for stage, upscaler in enumerate(upscalers, 1):
        first = every_nth_pixel(real[:, :given], upscaler.config.model.image_size)
        videos = rollouts.upscale(
            upscaler.model(checkpoint=options.checkpoint), videos, first, asked, stage
        )
    if options.actions is None:
        videos = np.concatenate([real[:, None], videos], axis=1)
    written = write(options, videos, config)
    which = f"clips {indices[0]} to {indices[-1]}" if len(indices) > 1 else f"clip {indices[0]}"
    print(
        f"wrote {' and '.join(written)}: {which} of {source.name}, split {split}; "
        f"{given} frames given, {config.predicted_frames} sampled"
    )
    if options.actions is not None:
        print(f"driven by {options.actions}: no real video stands beside")


def set_defaults(options: argparse.Namespace, size: tuple[int, int]) -> None:
    """Fills in what was not given, and checks --out, --fps and --first."""
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


def read_upscalers(options: argparse.Namespace, run: RunConfig) -> "list[Run]":
    """The runs of --upscaler, which double the size in turn."""
    from ms_pixelcnn_tf.runs.run import Run

    config, found, size = run.model, [], run.model.image_size
    for workdir in options.upscaler or ():
        upscaler = Run(workdir)
        model = upscaler.config.model
        if model.variant != UPSCALER:
            raise UserError(
                f"--upscaler {workdir} is a run of {model.variant}; valid: of {UPSCALER}"
            )
        if model.sizes[0] != size:
            raise UserError(
                f"--upscaler {workdir} makes frames of {format_size(model.image_size)} of "
                f"{format_size(model.sizes[0])}, but is given {format_size(size)}; give runs each "
                "of which doubles the size before it"
            )
        for name in ("channels", "num_levels"):
            own, first = getattr(model, name), getattr(config, name)
            if own != first:
                raise UserError(f"--upscaler {workdir} has {name} {own}; {options.workdir} {first}")
        found.append(upscaler)
        size = model.image_size
    return found


def of_size(run: RunConfig, upscalers: Sequence[RunConfig], size: tuple[int, int]) -> RunConfig:
    """`run` with frames of another size, of its own data and length.

    They are read at the largest `source_size` that it or one of the upscalers was trained with, as
    far as it is above `size`.
    """
    read = max(one.data.source_size for one in (run, *upscalers))
    where = dataclasses.replace(run.data, source_size=read if read > max(size) else 0)
    model = dataclasses.replace(run.model, image_size=size)
    return dataclasses.replace(run, model=model, data=where)


def open_source(options: argparse.Namespace, run: RunConfig) -> Source:
    """The data set asked for, with clips as the run's model has them."""
    from ms_pixelcnn_tf.runs.source import load_source

    if options.dataset not in (None, run.data.dataset):
        where = {"dataset": options.dataset, "data_dir": options.data_dir or "", "data_seed": 0}
        run = dataclasses.replace(run, data=dataclasses.replace(run.data, **where))
    return load_source(run, options.data_dir)


def chosen_clips(options: argparse.Namespace, source: Source) -> tuple[str, np.ndarray]:
    """The split, and the clips' numbers, int64 `[num]`."""
    split = options.split
    if split is None:
        split = SPLIT if SPLIT in source.splits else source.splits[-1]
    size, last = source.size(split), options.first + options.num - 1
    if not 0 <= options.first <= last < size:
        raise UserError(
            f"clips {options.first} to {last} asked for; split {split} of {source.name} has 0 to "
            f"{size - 1}; give another --first or --num"
        )
    return split, np.arange(options.first, last + 1)


def read_clips(
    source: Source, split: str, indices: np.ndarray, config: VideoConfig
) -> dict[str, np.ndarray]:
    """Clips as the model knows them.

    Returns:
        dict: "frames" uint8 levels `[n, T, H, W, C]`, and float32 `[n, T, ·]` what conditions it.
    """
    from ms_pixelcnn_tf import pixels

    found = source.examples(split, indices, ("frames", *config.conditions))
    clips = {"frames": pixels.quantise(found["frames"], config.num_levels)}
    for field, width in (("actions", config.action_size), ("states", config.state_size)):
        if field not in config.conditions:
            continue
        clips[field] = np.asarray(found[field], "float32")
        if (held := clips[field].shape[2]) != width:
            raise UserError(
                f"the model takes {field} of {width} numbers; those of {source.name} have {held}"
            )
    return clips


def every_nth_pixel(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames `[n, T, H, W, C]` sub-sampled to `size`, by which theirs is divisible."""
    step = frames.shape[2] // size[0]
    return frames[:, :, ::step, ::step]


def conditions_of(
    options: argparse.Namespace,
    config: VideoConfig,
    source: Source,
    clips: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """What the model is told of the clips: their own actions and states, or those of --actions."""
    own = {field: clips[field] for field in config.conditions}
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
    """What stands beside each row of pictures."""
    sampled = [f"sample {i + 1}" for i in range(options.futures)]
    if options.futures == 1:
        sampled = ["sample"]
    return sampled if options.actions is not None else ["real", *sampled]


def check_size(options: argparse.Namespace, config: VideoConfig, size: tuple[int, int]) -> None:
    """Raises UserError if the film strip would be too large, or the animation for its format."""
    names = row_names(options)
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


def write(options: argparse.Namespace, videos: np.ndarray, config: VideoConfig) -> list[str]:
    """Writes uint8 levels `[n, rows, T, H, W, C]`; returns the names of the files."""
    from ms_pixelcnn_tf import pixels
    from ms_pixelcnn_tf.drawing import grids

    shown = pixels.dequantise(videos, config.num_levels)
    drawn = shown, row_names(options), config.given_frames, options.scale
    stem, suffix = os.path.splitext(options.out)
    written = [options.out]
    if suffix.lower() != ".png":
        animation.write(options.out, animation.animate(*drawn), options.fps)
        written.append(f"{stem}.png")
    grids.write_png(written[-1], film.strip(*drawn))
    return written


def _check_absent(options, names, what):
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:  # an index of 0 was given
            raise UserError(f"{what}; leave --{name} out")
