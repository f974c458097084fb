"""Reads TensorBoard's event files, and removes the events of steps that a run repeats.

A run that resumes from step s repeats the steps after it. Without the removal, TensorBoard would
show their events twice.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from ms_pixelcnn_tf.data.tfrecords.records import places, read_record
from ms_pixelcnn_tf.errors import DamagedExample, UserError
from ms_pixelcnn_tf.files import replacing
from ms_pixelcnn_tf.types import AnyPath

FILES = "events.out.tfevents.*"


def cut(folder: AnyPath, is_kept: Callable[[int, str], bool]) -> None:
    """Removes events from all files in a folder, and files that have none left. Damaged records
    are removed, too, such as one that a dying process cut short.

    Args:
        folder: the folder of a run's event files.
        is_kept: `(step, tag) → bool`, called for every value.
    """
    for path in sorted(pathlib.Path(folder).glob(FILES)):
        records, whole = _records(path)
        kept = [_kept(record, is_kept) for record in records]
        if whole and kept == records:
            continue
        if not any(
            tf.compat.v1.Event.FromString(record).summary.value for record in kept if record
        ):
            path.unlink()
            continue
        with replacing(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in filter(None, kept):
                writer.write(record)


def values(folder: AnyPath) -> Iterator[tuple[int, str, Any]]:
    """Yields every value in a folder's files: `(step, tag, tf.compat.v1.Summary.Value)`."""
    for path in sorted(pathlib.Path(folder).glob(FILES)):
        for record in _records(path)[0]:
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                yield event.step, value.tag, value


def _records(path):
    """The sound records of a file, and whether they are the whole file. Reading stops at a record
    whose length is damaged."""
    records, whole = [], True
    with path.open("rb") as file, contextlib.suppress(UserError):
        for offset, length in places(path):
            try:
                records.append(read_record(file, path, offset, length))
            except DamagedExample:
                whole = False
        return records, whole
    return records, False


def _kept(record, is_kept):
    """A record without the values that are not kept; None if none is left."""
    event = tf.compat.v1.Event.FromString(record)
    values = [value for value in event.summary.value if is_kept(event.step, value.tag)]
    if len(values) == len(event.summary.value):
        return record
    if not values:
        return None
    del event.summary.value[:]
    event.summary.value.extend(values)
    return event.SerializeToString()
