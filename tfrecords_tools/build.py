"""Builds a data set from its source, one build at a time, and summarises the result.

An incomplete build is never read as complete: TFDS writes into a folder with another name and
renames it at the end. A lock prevents two builds at once. The next build removes the files of a
killed one.
"""

import contextlib
import errno
import importlib
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds

from ms_pixelcnn_tf.configs import unknown
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.lock import alone
from tfrecords_tools.archives import Tree
from tfrecords_tools.builder import Options, PaperBuilder
from tfrecords_tools.tasks import counts_told

BUILDERS = {
    "cub": ("cub", "Cub"),
    "mpii": ("mpii", "Mpii"),
    "coco": ("coco", "Coco"),
    "imagenet": ("imagenet", "Imagenet"),
    "robot_pushing": ("robot_pushing", "RobotPushing"),
}
SIDES = (8, 1024)
# TensorFlow and TFDS pass on the system's message, not its error number.
FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)))


class Summary(NamedTuple):
    """The result of a build.

    Attributes:
        path: folder of the built data.
        description: one line that says what the pixels are.
        examples: dict split → number of examples.
        skips: one line on what was left out and why.
        is_new: whether this call built the data; False if an earlier one did.
    """

    path: str
    description: str
    examples: dict[str, int]
    skips: str
    is_new: bool


def builder_class(dataset: str) -> type[PaperBuilder]:
    """The builder of a data set. Raises UserError with the closest match for an unknown name."""
    if dataset not in BUILDERS:
        raise unknown("dataset", dataset, BUILDERS)
    module, name = BUILDERS[dataset]
    return getattr(importlib.import_module(f"tfrecords_tools.{module}"), name)


def build(
    dataset: str,
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    image_size: int = 0,
    variant: str = "",
    max_examples: int = 0,
    workers: int = 1,
    runner: str = "",
    runner_options: Sequence[str] = (),
) -> Summary:
    """Builds a data set, unless it is built already.

    Args:
        dataset: one of `BUILDERS`.
        source: folder or archive, as its owners publish it.
        out: folder for built data.
        image_size: side of the stored images, in pixels; 0: the data set's default.
        variant: one of the builder's `variants`; "": the first.
        max_examples: largest number of examples per split; 0: all.
        workers: number of processes.
        runner: name of an Apache Beam runner; "": none.
        runner_options: options of the runner, as on its command line.

    Returns:
        A `Summary`.

    Raises:
        UserError: for a wrong option, a source that is not the data set or differs from that of the
            existing build, damaged archives, a full disk, or another build in the same folder.
    """
    cls = builder_class(dataset)
    variant = variant or cls.variants[0]
    if variant not in cls.variants:
        raise unknown("variant", variant, cls.variants)
    _check_image_size(image_size)
    if max_examples < 0 or workers < 1:
        raise UserError("max_examples and workers must not be below 0 and 1")
    out = pathlib.Path(out).expanduser()
    builder = cls(
        source=source,
        options=Options(image_size, variant, max_examples),
        data_dir=out,
        workers=workers,
        beam=bool(runner),
    )
    is_new = not builder.data_path.exists()
    if is_new:
        with _alone_in(out / cls.name), _one_line_errors(out):
            _remove_leftovers(builder.data_path.parent)
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    try_download_gcs=False, **_runner(runner, runner_options, workers)
                ),
                file_format="tfrecord",
            )
    elif Tree(source).fingerprint() != builder.facts.get("source"):
        raise UserError(
            f"{builder.data_path} was built from other files than {source} holds now; remove it, "
            "or give another --out"
        )
    info = builder.info
    return Summary(
        path=str(builder.data_path),
        description=builder.facts["description"],
        examples={split: info.splits[split].num_examples for split in info.splits},
        skips=counts_told(builder.facts["skipped"]),
        is_new=is_new,
    )


def _check_image_size(image_size):
    if image_size and not SIDES[0] <= image_size <= SIDES[1]:
        raise UserError(
            f"image_size is {image_size}; valid: {SIDES[0]} to {SIDES[1]}, or 0 to leave images as "
            "they are"
        )


def _runner(runner, options, workers):
    """Arguments of TFDS's `DownloadConfig` for a Beam runner."""
    if not runner:
        return {}
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import create_runner
    except ImportError as error:
        raise UserError("--runner needs Apache Beam: pip install 'ms_pixelcnn_tf[beam]'") from error
    if runner.lower() in ("direct", "directrunner"):
        runner = "DirectRunner"
        options = [
            f"--direct_num_workers={workers}",
            "--direct_running_mode=multi_processing",
            *options,
        ]
    try:
        create_runner(runner)
    except ImportError as error:
        raise UserError(f"runner {runner!r} needs a package that is not here: {error}") from error
    except ValueError as error:
        raise UserError(f"unknown runner {runner!r}: {error}") from error
    return {"beam_runner": runner, "beam_options": PipelineOptions(options)}


def _alone_in(folder):
    return alone(
        folder / ".lock",
        lambda owner: (
            f"another build is at work in {folder} (process {owner['pid']}); wait for it, or give "
            "another --out"
        ),
    )


def _remove_leftovers(folder):
    """Removes the files of a killed build. The caller holds the lock, so no build is running."""
    for path in folder.glob("*incomplete*"):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _one_line_errors(out):
    """Raises the cause of an error in one line; TFDS wraps it in long messages."""
    try:
        yield
    except Exception as error:
        cause = error
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from error
            if any(text in str(cause) for text in FULL):
                raise UserError(
                    f"no space left to write in {out}; what was written of this build is removed"
                ) from error
            if type(cause).__name__ == "DuplicatedKeysError":
                raise UserError("an example is listed twice in one split") from error
            cause = cause.__cause__ or cause.__context__
        raise
