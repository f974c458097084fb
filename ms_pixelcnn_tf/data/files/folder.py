"""`folder`: any directory tree of images, decoded once and kept as pixels in the cache folder.

It reads every file below `data_dir`, except hidden files and directories (names that start with a
dot). It follows links and reads each directory once. `decode` describes how a file becomes pixels.
A file that cannot be decoded is skipped and counted, and the log gives its path and the reason. The
run ends only if no file is usable.

A picture's content decides its split: the SHA-256 of its full-size RGB pixels. So the split is the
same at every target size, and copies go to the same split under any name, in any lossless format,
with any metadata. Different files that become equal at the target size go to the same split too,
which may move a file at that size. Near-duplicates, such as the same photograph saved twice as
JPEG, are not recognised.
"""

import contextlib
import hashlib
import logging
import os
import pathlib

import numpy as np

from ms_pixelcnn_tf.data.files import pixel_store
from ms_pixelcnn_tf.data.source import ArraySource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

logger = logging.getLogger(__name__)


class Folder(ArraySource):
    """A directory tree of images as a data set.

    Args:
        data_dir: the directory.
        image_size: `(height, width)` that every image is cropped and resized to, in pixels.
        channels: 1 (gray) or 3 (RGB).
        labels: "folders": the directories directly below `data_dir` that hold an image are the
            classes, sorted by name, and images outside them are skipped; "none": no labels.
        validation_fraction: expected fraction of the images that go to validation.

    Raises:
        UserError: for an invalid option, or if `data_dir` is not a readable directory, holds no
            files, or holds no usable image.
    """

    name = "folder"

    def __init__(
        self,
        data_dir: str | os.PathLike,
        image_size: tuple[int, int],
        channels: int = 3,
        labels: str = "none",
        validation_fraction: float = 0.1,
    ) -> None:
        super().__init__()
        if labels not in ("none", "folders"):
            raise UserError(f"labels is {labels!r}; give none or folders")
        if not isinstance(validation_fraction, float) or not 0 < validation_fraction < 1:
            raise UserError(
                f"validation_fraction is {validation_fraction!r}; give a number between 0 and 1"
            )
        height, width = image_size
        self.image_size = (height, width)
        self.channels = channels
        root = os.path.expanduser(data_dir)
        self._data_dir = printable(root)
        self._fraction = validation_fraction
        paths, failures = _list_files(root)
        images, kept, digests, reasons = pixel_store.decoded(root, paths, self.image_size, channels)
        failures += [(paths[place], reason) for place, reason in reasons]
        rows = np.arange(len(kept))
        label_of_row = None
        if labels == "folders":
            tops = [os.path.split(paths[row])[0].split(os.sep)[0] for row in kept]
            outside = [row for row in rows if not tops[row]]
            failures += [(paths[kept[row]], "in no class folder") for row in outside]
            rows = np.array([row for row in rows if tops[row]], "int64")
            classes = sorted(set(tops) - {""}, key=os.fsencode)
            label_of = {top: label for label, top in enumerate(classes)}
            label_of_row = np.array([label_of.get(top, -1) for top in tops], "int32")
            self.class_names = tuple(printable(top) for top in classes)
            self.num_classes = len(classes)
        _log_failures(self._data_dir, failures)
        if not len(rows):
            raise UserError(_nothing(self._data_dir, failures))
        validation = np.array([in_validation(digests[row], validation_fraction) for row in rows])
        self._count = len(rows)
        self._digest = hashlib.sha256(b"".join(sorted(digests[row] for row in rows)))
        self._digest.update(
            repr([paths[kept[row]] for row in rows] if self.num_classes else None).encode()
        )
        # By digest, so that the first examples are a fair sample of all classes.
        in_order = np.array(sorted(rows[validation], key=lambda row: digests[row]), "int64")
        for split, chosen in (("train", rows[~validation]), ("validation", in_order)):
            if len(chosen):
                self.set_split(split, images, label_of_row, chosen)
        self.description = (
            f"folder {pathlib.PurePath(self._data_dir).name} ({self._count} images, central crop, "
            f"resized to {format_size(self.image_size)}, {'RGB' if channels == 3 else 'gray'}); "
            "comparable only with itself"
        )

    def fingerprint(self) -> str:
        """A hash of every image's content and, with labels, of every image's path."""
        return self._digest.hexdigest()[:16]

    def check_split(self, split: str) -> None:
        if split in ("train", "validation") and split not in self.splits:
            raise UserError(
                f"split {split} of folder {self._data_dir} is empty: of its {self._count} images "
                f"content assigns none to it (validation_fraction {self._fraction}); add images or "
                "change validation_fraction"
            )
        super().check_split(split)


def in_validation(digest: bytes, fraction: float) -> bool:
    """Whether content with this digest (bytes) belongs to validation."""
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def printable(path: str | os.PathLike) -> str:
    """A path as one line of plain text, whatever bytes it contains."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _list_files(root):
    """Files below the directory `root`.

    Returns:
        Relative paths sorted by their bytes, and a list of (path, reason) for directories that
        cannot be read.
    """
    if not os.path.isdir(root):
        raise UserError(f"data_dir {printable(root)} is not a directory; give a folder of images")
    paths, failures, seen = [], [], set()

    def failed(error):
        failures.append((os.path.relpath(error.filename, root), error.strerror))

    for parent, directories, files in os.walk(root, followlinks=True, onerror=failed):
        with contextlib.suppress(OSError):
            status = os.stat(parent)
            if (status.st_dev, status.st_ino) in seen:  # a cycle, or a second path to it
                directories.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
        directories[:] = sorted(filter(_shown, directories), key=os.fsencode)
        files = [os.path.join(parent, name) for name in filter(_shown, files)]
        paths += [os.path.relpath(path, root) for path in files]
    return sorted(paths, key=os.fsencode), failures


def _shown(name):
    return not name.startswith(".")


def _log_failures(data_dir, failures):
    for path, reason in failures:
        logger.warning("skipped %s: %s", printable(path), reason)
    if failures:
        logger.warning("skipped %d files of folder %s", len(failures), data_dir)


def _nothing(data_dir, failures):
    """The error message if no image is usable."""
    if not failures:
        return f"folder {data_dir} holds no files; give a folder of images"
    path, reason = failures[0]
    return (
        f"no image in folder {data_dir} can be used: all {len(failures)} files were skipped "
        f"(the first: {printable(path)}: {reason})"
    )
