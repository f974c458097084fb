"""data.json: describes the data that a run was trained on, so that a change is noticed.

The model sees a class as a number. If a folder gains a sub-folder, the numbers shift, and a run
that resumes or is evaluated would mistake one class for another.
"""

import json
import pathlib
from typing import Any

from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.runs.folder import SCALES
from ms_pixelcnn_tf.types import AnyPath

DATASHEET = "data.json"
FIELDS = ("description", "class_names", "examples", "fingerprint")
NAMES = ("class_names", "keypoint_names", "segment_names")


def write_datasheet(workdir: AnyPath, source: Source) -> None:
    """Writes the description of `source` into a run folder."""
    write_text(pathlib.Path(workdir) / DATASHEET, json.dumps(_describe(source), indent=2) + "\n")


def read_names(workdir: AnyPath, kind: str) -> tuple[str, ...]:
    """Names of a run's classes, keypoints or segments, in the order of their numbers.

    Args:
        workdir: the run folder.
        kind: one of `NAMES`.

    Returns:
        A tuple, empty if the names are not known.
    """
    sheet = read(workdir)
    return tuple(sheet.get(kind, ())) if sheet else ()


def text(workdir: AnyPath) -> str | None:
    """The text of data.json, for an unchanged copy; None if there is none."""
    path = _path(workdir)
    return None if path is None else path.read_text(encoding="utf-8")


def check_same_classes(workdir: AnyPath, source: Source) -> None:
    """Raises UserError unless the classes are those that the run was trained with."""
    _check(workdir, source, ("class_names",))


def check_same_data(workdir: AnyPath, source: Source) -> None:
    """Raises UserError unless the classes, the sizes of the splits and the fingerprint are those
    that the run began with."""
    _check(workdir, source, ("class_names", "examples", "fingerprint"))


def has_datasheet(workdir: AnyPath) -> bool:
    """Whether a run folder describes its data."""
    return read(workdir) is not None


def _describe(source):
    return {
        "description": source.description,
        **{kind: list(getattr(source, kind)) for kind in NAMES},
        "examples": {split: source.size(split) for split in source.splits},
        "fingerprint": source.fingerprint(),
    }


def read(workdir: AnyPath) -> dict[str, Any] | None:
    """The description of a run's data, a dict; None if there is none. Raises UserError if it is
    damaged."""
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
    """Path of data.json or None; of scales trained apart, all on the same data, the first one's."""
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
                "--data_dir, or train again"
            )


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "…"
