"""What data a run was trained on: kept with its checkpoints, so that a change is noticed.

A class is a number to the model. If a folder gains a sub-folder the numbers shift, and a run that
went on, or was evaluated, would take one class for another.
"""

import json
import pathlib
from typing import Any

from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.runs.scales import SCALES
from ms_pixelcnn_tf.types import AnyPath

DATASHEET = "data.json"
FIELDS = ("description", "class_names", "examples", "fingerprint")
NAMES = ("class_names", "keypoint_names", "segment_names")


def write_datasheet(workdir: AnyPath, source: Source) -> None:
    """Writes what `source` is into a run's folder."""
    write_text(pathlib.Path(workdir) / DATASHEET, json.dumps(_describe(source), indent=2) + "\n")


def read_names(workdir: AnyPath, kind: str) -> tuple[str, ...]:
    """Names of a run's classes, keypoints or segments, in the order of their numbers.

    Args:
        workdir: folder of the run.
        kind: one of `NAMES`.

    Returns:
        A tuple, empty where they are not known.
    """
    sheet = read(workdir)
    return tuple(sheet.get(kind, ())) if sheet else ()


def text(workdir: AnyPath) -> str | None:
    """The sheet as it was written, to be handed on; None if there is none."""
    path = _path(workdir)
    return None if path is None else path.read_text(encoding="utf-8")


def check_same_classes(workdir: AnyPath, source: Source) -> None:
    """Raises UserError unless the classes are those the run was trained with."""
    _check(workdir, source, ("class_names",))


def check_same_data(workdir: AnyPath, source: Source) -> None:
    """Raises UserError unless the classes, the splits' sizes and what was looked at of the content
    are those the run began with."""
    _check(workdir, source, ("class_names", "examples", "fingerprint"))


def has_datasheet(workdir: AnyPath) -> bool:
    """Whether a run's folder says what it was trained on."""
    return read(workdir) is not None


def _describe(source):
    return {
        "description": source.description,
        **{kind: list(getattr(source, kind)) for kind in NAMES},
        "examples": {split: source.size(split) for split in source.splits},
        "fingerprint": source.fingerprint(),
    }


def read(workdir: AnyPath) -> dict[str, Any] | None:
    """What a run's folder says of its data, a dict; None if it says nothing. Raises UserError if it
    is damaged."""
    path = _path(workdir)
    if path is None:
        return None
    try:
        sheet = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(sheet["class_names"], list):
            return {name: sheet[name] for name in FIELDS} | {
                name: sheet.get(name, []) for name in NAMES
            }
        raise ValueError("class_names is no list")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _path(workdir):
    """The file, or None; of scales trained apart, all on the same data, the first one's."""
    path = pathlib.Path(workdir) / DATASHEET
    if path.is_file():
        return path
    return next(iter(sorted(path.parent.glob(f"{SCALES}/*/{DATASHEET}"))), None)


def _check(workdir, source, names):
    sheet = read(workdir)
    if sheet is None:
        raise UserError(f"{workdir} has no {DATASHEET}, which says what it was trained on")
    now = _describe(source)
    for name in names:
        if now[name] != sheet[name]:
            raise UserError(
                f"the data is not what {workdir} was trained on: {name} was "
                f"{_short(sheet[name])}, now {_short(now[name])}; give the data it had, by "
                "--data_dir, or train anew"
            )


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "…"
