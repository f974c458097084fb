"""Scales that are trained apart: several processes train parts of one run in its folder.

    scales/8/              a run folder (see `checkpoint`) of the upscaler to 8x8
    scales/base/           of the base
    scales/16-32/          of scales that one process trains together

The processes share only the file system, and none waits for another. A folder whose run stopped
before its first checkpoint is ignored.
"""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs import datasheet
from ms_pixelcnn_tf.runs.folder import CONFIG, SCALES, latest_checkpoint, read_config
from ms_pixelcnn_tf.runs.lock import is_trained_in
from ms_pixelcnn_tf.types import AnyPath


def folder_of(workdir: AnyPath, run: RunConfig) -> pathlib.Path:
    """The run folder for the scales that `run` trains: `workdir` itself for all scales.

    Raises:
        UserError: if `workdir` holds a run that this one is not a part of; if the scale names
            several parts.
    """
    workdir, scale = pathlib.Path(workdir), run.model.scale
    if ";" in scale:
        first = scale.split(";")[0]
        raise UserError(f"scale is {scale}; train each part by itself, as by --scale={first}")
    there = parts(workdir)
    if scale == "all":
        if there:
            raise UserError(
                f"{workdir} holds scales trained apart; train the others by --scale=…, or all into "
                "another --workdir"
            )
        return workdir
    if (workdir / CONFIG).exists():
        raise UserError(f"{workdir} holds a run of all scales; give another --workdir")
    mine = workdir / SCALES / scale.replace(",", "-")
    for folder, other in there.items():
        if folder != mine:
            _check_belong_together(folder, other, run)
    return mine


def parts(workdir: AnyPath) -> dict[pathlib.Path, RunConfig]:
    """The parts that have a checkpoint or are being trained: folder → `RunConfig`, sorted by
    folder."""
    folders = sorted(path.parent for path in (pathlib.Path(workdir) / SCALES).glob(f"*/{CONFIG}"))
    return {
        folder: read_config(folder / CONFIG)
        for folder in folders
        if latest_checkpoint(folder) or is_trained_in(folder)
    }


def trained_parts(workdir: AnyPath) -> dict[pathlib.Path, RunConfig]:
    """The parts of a run that have a checkpoint: folder → `RunConfig`. A run of all scales is its
    only part, with or without a checkpoint.

    Raises:
        UserError: if there is no run; if the parts were not trained on the same data.
    """
    workdir = pathlib.Path(workdir)
    if (workdir / CONFIG).is_file():
        return {workdir: read_config(workdir / CONFIG)}
    there = parts(workdir).items()
    trained = {folder: run for folder, run in there if latest_checkpoint(folder)}
    if not trained:
        raise UserError(f"{workdir} is not a run's folder: it has no {CONFIG}")
    _check_same_data(trained)
    return trained


def assembled(parts_there: Mapping[Any, RunConfig]) -> RunConfig:
    """One `RunConfig` with every scale that the parts of a run hold.

    Args:
        parts_there: dict folder → `RunConfig`, not empty.

    Raises:
        UserError: if they are not of one model and its data, or two hold the same scale.
    """
    checked = {}
    for folder, run in parts_there.items():
        for other_folder, other in checked.items():
            _check_belong_together(other_folder, other, run)
        checked[folder] = run
    first, *others = checked.values()
    if not others:
        return first
    return _with_parts(first, [",".join(run.model.held_scales) for run in checked.values()])


def _check_same_data(folders):
    """Raises UserError, naming a part unlike most, unless all were trained on the same data."""
    sheets = {folder: datasheet.read(folder) for folder in folders}
    for field in ("class_names", "examples", "fingerprint"):
        values = {folder: json.dumps(sheet[field]) for folder, sheet in sheets.items() if sheet}
        counted = collections.Counter(values.values()).most_common()
        if len(counted) > 1:
            (most, _), *_, (odd, _) = counted
            folder, other = (
                next(f for f, value in values.items() if value == wanted) for wanted in (odd, most)
            )
            raise UserError(
                f"{folder} was trained on other data than {other}: {field} {odd[:80]}, not "
                f"{most[:80]}; train that scale again, or remove its folder"
            )


def _with_parts(run, scales):
    """`run` with a model that holds the scales of all parts. They stay separate parts only if that
    makes a difference: if scales that would share an encoder were trained apart.

    Args:
        run: a `RunConfig`.
        scales: the scales of each part, such as "16,32".
    """
    apart, together = (
        dataclasses.replace(run.model, scale=separator.join(scales)) for separator in ";,"
    )
    same = apart.encoder_groups() == together.encoder_groups()
    return dataclasses.replace(run, model=together if same else apart)


def _check_belong_together(folder, one, other):
    """Raises UserError unless both are different parts of the same model on the same data."""
    twice = set(one.model.held_scales) & set(other.model.held_scales)
    if twice:
        raise UserError(f"{folder} holds scale {', '.join(sorted(twice))} already")
    for part in ("model", "data"):
        for field in dataclasses.fields(getattr(one, part)):
            old, new = (getattr(getattr(run, part), field.name) for run in (one, other))
            if old != new and field.name not in ("scale", "data_dir"):
                raise UserError(
                    f"{folder} is of another model: {field.name} was {old!r}, now {new!r}; give "
                    "the same for all scales of a run, or another --workdir"
                )
