"""`folder`: any directory tree of images, decoded once and kept as pixels in the cache folder.

It reads every file below `data_dir`, except hidden files and directories (names that start with a
dot). It follows links and reads each directory once. `decode` describes how a file becomes pixels.
A file that cannot be decoded is skipped and counted, and the log gives its path and the reason. The
run ends only if no file is usable.

A picture's content decides its split: the SHA-256 of its full-size RGB pixels, over white. So the
split is the same at every target size and on every background, and copies go to the same split
under any name, in any lossless format, with any metadata. Different files that become equal at the
target size go to the same split too, which may move a file at that size. Near-duplicates, such as
the same photograph saved twice as JPEG, are not recognised; `split_by` keeps them together.

`folder_metadata` describes the file that gives captions, labels and groups.
"""

import contextlib
import hashlib
import logging
import os
import pathlib
import re
from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.files import folder_metadata, pixel_store
from ms_pixelcnn_tf.data.files.folder_metadata import Entry, printable
from ms_pixelcnn_tf.data.files.folder_split import group_keys, in_validation
from ms_pixelcnn_tf.data.source import ArraySource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

LABELS = ("none", "folders", "metadata")
SHOWN = 5  # at most so many faults of the metadata, and images without it, are logged one by one

NO_ENTRY = Entry()

logger = logging.getLogger(__name__)


class _Image(NamedTuple):
    """A usable image: its row among the pixels, path, digest and metadata."""

    row: int
    path: str
    digest: bytes
    entry: Entry

    @property
    def top(self):
        """The directory directly below the root that holds it; "" for none."""
        return os.path.split(self.path)[0].split(os.sep)[0]


class Folder(ArraySource):
    """A directory tree of images as a data set.

    Examples have the field "image", uint8 `[n, H, W, C]`; with labels, "label", int32 `[n]`; with
    captions, "text", object `[n]`, each a tuple of captions. A mirrored image may not fit its
    captions, so they are not among `mirrored_fields`.

    Args:
        data_dir: the directory.
        image_size: `(height, width)` that every image is cropped and resized to, in pixels.
        channels: 1 (gray) or 3 (RGB).
        labels: "folders": the directories directly below `data_dir` that hold an image are the
            classes, sorted by name, and images outside them are skipped; "metadata": the classes
            are the values of the metadata's field "label", integers sorted by value, before names
            sorted as text; "none": no labels.
        validation_fraction: expected fraction of the images, or of their groups, that go to
            validation.
        captions: whether to read captions from the metadata's field "text".
        background: colour that transparent pixels are laid over: a CSS name, or "r,g,b", each
            0…255.
        split_by: a field of the metadata; images with the same value go to the same split. So does
            an image with the one that its value names, by a path from `data_dir` or from its own
            directory. "": no such field.

    If captions, or labels from metadata, are asked for, images without them are left out, counted
    and logged.

    Raises:
        UserError: for an invalid option; if `data_dir` is not a readable directory, holds no
            files, or holds no usable image; if metadata is needed but missing.
    """

    name = "folder"

    def __init__(
        self,
        data_dir: str | os.PathLike,
        image_size: tuple[int, int],
        channels: int = 3,
        labels: str = "none",
        validation_fraction: float = 0.1,
        captions: bool = False,
        background: str = "white",
        split_by: str = "",
    ) -> None:
        super().__init__()
        if labels not in LABELS:
            raise UserError(f"labels is {labels!r}; valid: {', '.join(LABELS)}")
        if not isinstance(validation_fraction, float) or not 0 < validation_fraction < 1:
            raise UserError(
                f"validation_fraction is {validation_fraction!r}; give a number between 0 and 1"
            )
        height, width = image_size
        self.image_size = (height, width)
        self.channels = channels
        ground = pixel_store.parse_colour(background)
        root = os.path.expanduser(data_dir)
        self._data_dir = printable(root)
        self._fraction = validation_fraction
        paths, failures = _list_files(root)
        paths = [path for path in paths if path not in folder_metadata.FILES]
        metadata = folder_metadata.EMPTY
        required = captions or labels == "metadata"
        if required or split_by:
            metadata = folder_metadata.read(root, paths, captions, labels == "metadata", split_by)
        pixels, kept, digests, reasons = pixel_store.decoded(
            root, paths, self.image_size, channels, ground
        )
        failures += [(paths[place], reason) for place, reason in reasons]
        images = [
            _Image(row, paths[place], digest, metadata.entries.get(paths[place], NO_ENTRY))
            for row, (place, digest) in enumerate(zip(kept, digests, strict=True))
        ]
        unlisted = []
        if required:
            named = metadata.entries.keys() | metadata.refused
            unlisted = [image.path for image in images if image.path not in named]
            images = [image for image in images if image.path in metadata.entries]
        if labels == "folders":
            failures += [(image.path, "in no class folder") for image in images if not image.top]
            images = [image for image in images if image.top]
        _log_left_out(self._data_dir, failures, metadata, unlisted)
        if not images:
            raise UserError(_nothing(self._data_dir, failures, metadata, unlisted))

        labelled, text = None, np.empty(len(pixels), object)
        if labels != "none":
            labelled, self.class_names = _labels(images, labels, len(pixels))
            self.num_classes = len(self.class_names)
        if captions:
            for image in images:
                text[image.row] = image.entry.captions
            self.num_captions = min(len(image.entry.captions) for image in images)
        keys = [image.digest for image in images]
        if split_by:
            keys = group_keys(
                keys, [image.path for image in images], [image.entry.group for image in images]
            )
        kept_back = [in_validation(key, validation_fraction) for key in keys]
        train = [image for image, held in zip(images, kept_back, strict=True) if not held]
        validation = [image for image, held in zip(images, kept_back, strict=True) if held]
        # By digest, so that the first examples are a fair sample of all classes.
        validation.sort(key=lambda image: image.digest)
        for split, chosen in (("train", train), ("validation", validation)):
            if chosen:
                self.set_split(split, pixels, labelled, [image.row for image in chosen])
                if captions:
                    self._arrays[split][1]["text"] = text
        self._count = len(images)
        self._digest = hashlib.sha256(b"".join(sorted(image.digest for image in images)))
        self._digest.update(
            repr([image.path for image in images] if self.num_classes else None).encode()
        )
        if required or split_by or ground != decode.WHITE:
            told = [
                (image.digest, image.entry.captions, image.entry.label, key)
                for image, key in zip(images, keys, strict=True)
            ]
            self._digest.update(repr((ground, sorted(told))).encode())
        on = "" if ground == decode.WHITE else f", on {background}"
        by = f", split by {printable(split_by)}" if split_by else ""
        self.description = (
            f"folder {pathlib.PurePath(self._data_dir).name} ({self._count} images, central crop, "
            f"resized to {format_size(self.image_size)}, {'RGB' if channels == 3 else 'gray'}{on}"
            f"{by}); comparable only with itself"
        )

    def fingerprint(self) -> str:
        """A hash of every image's content; with labels, of every image's path; of the captions,
        groups and labels from metadata; and of any background but white."""
        return self._digest.hexdigest()[:16]

    def check_split(self, split: str) -> None:
        if split in ("train", "validation") and split not in self.splits:
            raise UserError(
                f"split {split} of folder {self._data_dir} is empty: of its {self._count} images "
                f"content assigns none to it (validation_fraction {self._fraction}); add images or "
                "change validation_fraction"
            )
        super().check_split(split)


def _labels(images, labels, count):
    """The label of each row, int32 `[count]`, -1 where there is no image; and the class names."""
    names = [image.top if labels == "folders" else image.entry.label for image in images]
    classes = sorted({*names}, key=os.fsencode if labels == "folders" else _by_value)
    label_of = {name: label for label, name in enumerate(classes)}
    label_of_row = np.full(count, -1, "int32")
    for image, name in zip(images, names, strict=True):
        label_of_row[image.row] = label_of[name]
    return label_of_row, tuple(map(printable, classes))


def _by_value(name):
    """Sorts integers by value, before names."""
    is_integer = re.fullmatch(r"-?[0-9]{1,18}", name)
    return (0, int(name), name) if is_integer else (1, 0, name)


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


def _log_left_out(data_dir, failures, metadata, unlisted):
    """Logs skipped files, unusable lines of the metadata, and images that no line names."""
    for path, reason in failures:
        logger.warning("skipped %s: %s", printable(path), reason)
    if failures:
        logger.warning("skipped %d files of folder %s", len(failures), data_dir)
    for fault in metadata.faults[:SHOWN]:
        logger.warning("%s", fault)
    if metadata.faults:
        count = len(metadata.faults)
        logger.warning("left out %d lines of %s of folder %s", count, metadata.file, data_dir)
    for path in unlisted[:SHOWN]:
        logger.warning("left out %s: no line in %s", printable(path), metadata.file)
    if unlisted:
        count = len(unlisted)
        logger.warning(
            "left out %d images of folder %s without a line in %s", count, data_dir, metadata.file
        )


def _nothing(data_dir, failures, metadata, unlisted):
    """The error message if no image is usable."""
    reasons = []
    if failures:
        path, reason = failures[0]
        first = f"{printable(path)}: {reason}"
        reasons.append(f"{len(failures)} files were skipped (the first: {first})")
    if metadata.faults:
        count, first = len(metadata.faults), metadata.faults[0]
        reasons.append(f"{count} lines of {metadata.file} were left out (the first: {first})")
    if unlisted:
        first = printable(unlisted[0])
        reasons.append(f"{len(unlisted)} have no line in {metadata.file} (the first: {first})")
    if not reasons:
        return f"folder {data_dir} holds no files; give a folder of images"
    return f"no image in folder {data_dir} can be used: {'; '.join(reasons)}"
