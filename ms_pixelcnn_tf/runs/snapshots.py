"""Checkpoint files: written whole or not at all, and read from the newest sound one.

    step-N.data-00000-of-00001     the tensors, each with its checksum
    step-N.index                   where each tensor is; without it, data is not a checkpoint

Both are written under a temporary name, flushed to the disk, and renamed, the index last. So if
the process dies or the disk fills up, earlier checkpoints stay as they were.
"""

import os
import pathlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ms_pixelcnn_tf.errors import UserError, first_line
from ms_pixelcnn_tf.types import AnyPath

TEMPORARY = ".saving"
_INDEX = re.compile(r"step-(\d+)\.index")


def steps(folder: AnyPath) -> list[int]:
    """The steps of a folder's checkpoints, ascending."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    found = (_INDEX.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def path_of(folder: AnyPath, step: int) -> str:
    """The path of a checkpoint for `tf.train.Checkpoint`: the common prefix of its files."""
    return str(pathlib.Path(folder) / f"step-{step}")


def write(checkpoint: tf.train.Checkpoint, folder: AnyPath, step: int, kept: int) -> None:
    """Writes a `tf.train.Checkpoint`, then removes all but it and the `kept` - 1 before it.

    Checkpoints of later steps are removed, too: they are damaged, or their steps are being
    repeated.

    Raises:
        UserError: if it cannot be written, for example because the disk is full; earlier
            checkpoints stay.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_torn(folder)
        checkpoint.write(str(folder / TEMPORARY))
        _publish(folder, step)
    except (tf.errors.OpError, OSError) as error:
        _remove_torn(folder)
        there = steps(folder)
        left = f"that of step {there[-1]} is as it was" if there else "there was none before"
        raise UserError(
            f"the checkpoint of step {step} cannot be saved in {folder}: {first_line(error)}; "
            f"{left}; make room and run the same command again"
        ) from error
    there = steps(folder)
    before = [old for old in there if old <= step]
    for old in set(there) - set(before[-kept:]):
        _remove(folder, f"step-{old}")


def read_newest(checkpoint: tf.train.Checkpoint, folder: AnyPath) -> int | None:
    """Reads the newest sound checkpoint, and warns of newer ones that are damaged.

    Returns:
        The step, or None if the folder has no checkpoint.

    Raises:
        UserError: if all are damaged; if the sound one is of a model with other variables.
    """
    there = steps(folder)
    for step in reversed(there):
        path = path_of(folder, step)
        damage = _damage(path)
        if damage is None:
            read(checkpoint, path)
            return step
        before = [other for other in there if other < step]
        if not before:
            raise UserError(f"the checkpoint {path} is damaged: {damage}; there is none before it")
        warnings.warn(
            f"the checkpoint {path} is damaged: {damage}; that of step {before[-1]} is used",
            stacklevel=2,
        )
    return None


def _damage(path):
    """The damage of a checkpoint, one line; None if it is sound. Reads all of it, so that
    TensorFlow verifies the checksums."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # the type depends on where the damage is
        return first_line(error)
    return None


def read(checkpoint: tf.train.Checkpoint, path: str) -> None:
    """Reads one checkpoint. Raises UserError if it is of a model with other variables."""
    try:
        status = checkpoint.read(path)
        status.assert_existing_objects_matched()
        status.expect_partial()  # a model alone leaves the optimizer's variables unread
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"the checkpoint {path} is of another model: {first_line(error)}"
        ) from error


def _publish(folder, step):
    """Renames the files of a checkpoint from their temporary name to its own."""
    written = sorted(folder.glob(f"{TEMPORARY}.*"))  # the data, then the index
    for path in written:
        _flush(path)
    for path in written:
        os.replace(path, folder / path.name.replace(TEMPORARY, f"step-{step}", 1))
    _flush(folder)


def _flush(path):
    """Returns once the content of a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_torn(folder):
    """Removes the remains of an interrupted save: temporary files, and data without an index."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():  # TensorFlow's own temporary folder
            for inner in path.iterdir():
                inner.unlink()
            path.rmdir()
        else:
            path.unlink()
    whole = {f"step-{step}" for step in steps(folder)}
    for path in folder.glob("step-*.data-*"):
        if path.name.split(".")[0] not in whole:
            path.unlink()


def _remove(folder, name):
    """Removes a checkpoint, the index first."""
    (folder / f"{name}.index").unlink()
    for path in folder.glob(f"{name}.data-*"):
        path.unlink()


def by_name(variables: Sequence[Any], skip: int = 0) -> tf.train.Checkpoint:
    """A checkpoint of variables by path, without the path's first `skip` parts (the first part of
    an optimizer's carries a running number).

    `tf.train.Checkpoint` follows attributes, and silently omits Keras 3 layers that it cannot reach
    that way. Flat dicts omit nothing.
    """
    named = {"/".join(v.path.split("/")[skip:]): v.value for v in variables}
    assert len(named) == len(variables), "two variables share a path"
    return tf.train.Checkpoint(**named)
