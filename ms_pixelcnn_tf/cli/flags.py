"""What the commands share: flags from the configuration's fields, errors as one line, a quiet
start."""

import argparse
import contextlib
import dataclasses
import difflib
import math
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NoReturn

from ms_pixelcnn_tf import pretrained
from ms_pixelcnn_tf.configs import (
    PRESETS,
    VARIANT_FIELDS,
    VIDEO_PRESETS,
    ModelConfig,
    VideoConfig,
    field_table,
    parse_size,
)
from ms_pixelcnn_tf.errors import UserError

OUT_OF_MEMORY = (
    "out of memory; training: give --micro_batch_size, a part of the batch at a time, which leaves "
    "the result as it is, or lower --batch_size or --crop_size; sampling and scoring: lower --num, "
    "--batch_size or --image_size"
)
MAX_PIXELS = 2**27  # of a picture, 400 MB in memory
MAX_SKIPPED_SHOWN = 5


class Parser(argparse.ArgumentParser):
    """Raises UserError instead of printing the usage; suggests the nearest of misspelt flags."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"bin/{command}",
            usage=f"bin/{command} [--flag=value …]",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} ({self.prog} --help lists the flags)")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parses all of `arguments`. Raises UserError for what it does not know."""
        known, unknown = self.parse_known_args(arguments)
        if unknown:
            name = unknown[0].split("=")[0]
            flags = [flag for action in self._actions for flag in action.option_strings]
            near = difflib.get_close_matches(name, flags, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unknown argument {unknown[0]}{hint}")
        return known


def add_config_flags(parser: argparse.ArgumentParser, exclude: Collection[str] = ()) -> None:
    """Adds one flag a field of the configuration, except those in `exclude`.

    A flag that is not given leaves no attribute, so that the preset decides.
    """
    titles = {
        "model": "the model",
        "image": "a model of images",
        "video": "a model of videos",
        "data": "the data",
        "train": "training",
    }
    groups = {part: parser.add_argument_group(title) for part, title in titles.items()}
    for name, (part, field) in field_table().items():
        if name in exclude:
            continue
        kind = _kind(name) if part == "model" else part
        options = {"type": _parser_of(field.default), "metavar": _metavar(field.default)}
        if isinstance(field.default, bool):
            options |= {"nargs": "?", "const": True}
        groups[kind].add_argument(
            f"--{name}",
            default=argparse.SUPPRESS,
            help=f"{field.metadata['doc']} ({_defaults(field, kind)})".replace("%", "%%"),
            **options,
        )


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --workdir and --model, of which one says where the model is: see `model_folder`."""
    parser.add_argument(
        "--workdir", type=os.path.expanduser, metavar="DIR", help="folder of the run"
    )
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help=f"in its place a model that ships, {', '.join(pretrained.names())}, or an export's "
        "folder",
    )


def model_folder(options: argparse.Namespace) -> str:
    """The folder of the model that the flags name; as `options.workdir` too.

    Raises:
        UserError: if none is named, or two are, or there is none.
    """
    if (options.workdir is None) == (options.model is None):
        given = "both" if options.model else "neither"
        raise UserError(
            f"{given} of --workdir and --model given; give --workdir=DIR, the folder of a run, or "
            f"--model: {', '.join(pretrained.names())} or an export's folder"
        )
    if options.model is not None:
        options.workdir = str(pretrained.find(options.model))
    return options.workdir


def add_checkpoint_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --checkpoint, the weights to load."""
    parser.add_argument(
        "--checkpoint",
        default="last",
        metavar="NAME",
        help="last, or best: of the best validation (default last)",
    )


def positive(text: str) -> int:
    """An integer above 0, for `type=` of a flag."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def positives(text: str) -> list[int]:
    """Different integers above 0 with commas between, for `type=` of a flag: "30,1" → [30, 1]."""
    values = [positive(part) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(f"{text!r} has a number twice")
    return values


def check_picture_size(
    size: tuple[int, int], what: str, options: argparse.Namespace, advice: str = ""
) -> None:
    """Raises UserError if a picture would be larger than `MAX_PIXELS`.

    Args:
        size: (height, width) of the picture, pixels.
        what: is drawn, for the message.
        options: of the command; has `scale`.
        advice: what would help, beside lower --num or --scale.
    """
    count = size[0] * size[1]
    if count > MAX_PIXELS:
        raise UserError(
            f"{what} magnified {options.scale} times make a picture of {count:,} pixels; valid: up "
            f"to {MAX_PIXELS:,}; lower --num or --scale{advice}"
        )


def show_skipped(skipped: Sequence[tuple[str, str]], num_read: int) -> None:
    """Tells on the standard error which files gave no image."""
    if skipped:
        shown = "; ".join(f"{path}: {reason}" for path, reason in skipped[:MAX_SKIPPED_SHOWN])
        more = len(skipped) - MAX_SKIPPED_SHOWN
        shown += f"; and {more} more" if more > 0 else ""
        total = len(skipped) + num_read
        print(f"skipped {len(skipped)} of {total} files: {shown}", file=sys.stderr)


def run(main: Callable[[list[str]], object]) -> None:
    """Runs a command's `main(arguments)` and exits: 0, 2 after `error: …`, 130 after Ctrl-C, 143
    after SIGTERM. A warning is one line too."""
    warnings.showwarning = _show_warning
    try:
        main(sys.argv[1:])
    except (UserError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "stopped", file=sys.stderr)
        sys.exit(getattr(interrupt, "exit_code", 128 + signal.SIGINT))
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        print(f"error: {OUT_OF_MEMORY}", file=sys.stderr)
        sys.exit(2)


def _is_out_of_memory(error):
    """Python's error, or TensorFlow's, which is not imported here."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    del category, filename, lineno, file, line
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hides what TensorFlow prints while it is imported, before its own log level takes effect.

    Whoever sets TF_CPP_MIN_LOG_LEVEL below 3 sees it all, and so does an import that fails.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(visible, hidden.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)


def _parser_of(default):
    if isinstance(default, bool):
        return _parse_bool
    if isinstance(default, float):
        return _parse_float
    return size if isinstance(default, tuple) else type(default)


def _parse_float(text):
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def _parse_bool(text):
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def size(text: str) -> tuple[int, int]:
    """`(height, width)`, for `type=` of a flag."""
    try:
        return parse_size(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _metavar(default):
    if isinstance(default, bool):
        return "true|false"
    return "SIZE" if isinstance(default, tuple) else type(default).__name__.upper()


def _kind(name):
    """Of which models a field is: "image", "video" or, of both, "model"."""
    of_images, of_videos = (
        name in {field.name for field in dataclasses.fields(kind)}
        for kind in (ModelConfig, VideoConfig)
    )
    return "image" if not of_videos else "model" if of_images else "video"


def _defaults(field, kind):
    """The default, and the presets that have another; those of videos apart, where they differ.

    Args:
        field: dataclass field of a configuration.
        kind: what it is of: "image" and "video" are of such models only.
    """
    images, videos = (
        [
            f"{preset} {_shown(fields[field.name])}"
            for preset, fields in presets.items()
            if fields.get(field.name, field.default) != field.default
        ]
        for presets in (PRESETS, VIDEO_PRESETS)
    )
    videos += [
        f"{variant} {_shown(fields[field.name])}"
        for variant, fields in VARIANT_FIELDS.items()
        if fields.get(field.name, field.default) != field.default
    ]
    shown = [f"default {_shown(field.default)}", *(videos if kind == "video" else images)]
    if kind not in ("image", "video") and images != videos:
        shown.append(f"videos: {', '.join(videos) or _shown(field.default)}")
    return "; ".join(shown)


def _shown(value):
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
