"""Shared by the commands: flags from configuration fields, one-line errors, a quiet start."""

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
    """Raises UserError instead of printing the usage; suggests a flag for a misspelled one."""

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
        """Parses `arguments`. Raises UserError for unknown ones."""
        known, unknown = self.parse_known_args(arguments)
        if unknown:
            name = unknown[0].split("=")[0]
            flags = [flag for action in self._actions for flag in action.option_strings]
            near = difflib.get_close_matches(name, flags, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unknown argument {unknown[0]}{hint}")
        return known


def add_config_flags(parser: argparse.ArgumentParser, exclude: Collection[str] = ()) -> None:
    """Adds one flag per field of the configuration, except those in `exclude`.

    A flag that is not given sets no attribute, so that the preset decides.
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
    """Adds --workdir and --model; exactly one of them must be given (see `model_folder`)."""
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
    """The folder of the model that the flags name; also sets `options.workdir` to it.

    Raises:
        UserError: if both flags or neither are given, or --model names no model.
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
    """Adds --checkpoint, which chooses the weights to load."""
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
    """Distinct integers above 0, separated by commas, for `type=` of a flag: "30,1" → [30, 1]."""
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
        what: description of the picture, for the message.
        options: the command's options, with `scale`.
        advice: text to add to "lower --num or --scale".
    """
    count = size[0] * size[1]
    if count > MAX_PIXELS:
        raise UserError(
            f"{what} magnified {options.scale} times make a picture of {count:,} pixels; valid: up "
            f"to {MAX_PIXELS:,}; lower --num or --scale{advice}"
        )


def show_skipped(skipped: Sequence[tuple[str, str]], num_read: int) -> None:
    """Prints the files that gave no image, if any, to standard error."""
    if skipped:
        shown = "; ".join(f"{path}: {reason}" for path, reason in skipped[:MAX_SKIPPED_SHOWN])
        more = len(skipped) - MAX_SKIPPED_SHOWN
        shown += f"; and {more} more" if more > 0 else ""
        total = len(skipped) + num_read
        print(f"skipped {len(skipped)} of {total} files: {shown}", file=sys.stderr)


def run(main: Callable[[list[str]], object]) -> None:
    """Runs a command's `main(arguments)`. Exit status: 0, 2 after `error: …`, 130 after Ctrl-C, 143
    after SIGTERM. Warnings are printed as one line."""
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
    """Whether it is Python's error or TensorFlow's, known by name since TensorFlow may not be
    imported."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    del category, filename, lineno, file, line
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hides TensorFlow's output during its import, before its own log level takes effect.

    Set TF_CPP_MIN_LOG_LEVEL below 3 to see it all. If the import fails, the output is shown.
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
    """The kind of model that has a field: "image", "video", or "model" for both."""
    of_images, of_videos = (
        name in {field.name for field in dataclasses.fields(kind)}
        for kind in (ModelConfig, VideoConfig)
    )
    return "image" if not of_videos else "model" if of_images else "video"


def _defaults(field, kind):
    """A field's default, and the presets that differ from it; for videos separately if needed.

    Args:
        field: dataclass field of a configuration.
        kind: the group of its flag; only such models have the fields of "image" and "video".
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
