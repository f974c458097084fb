"""`tiny-imagenet-32`: real photographs at 32×32, from Stanford's tiny-imagenet-200.

Each 64×64 JPEG is averaged over 2×2 boxes and rounded to uint8, halves up. Gray images become RGB
with three equal channels. The splits train and validation are the archive's own; its unlabelled
test images are not used. Each split is sorted by file name as a plain string: val_10 comes before
val_2. Compare results only with one another, never with published ImageNet results.

A label is the position of an identifier in the sorted `wnids.txt`; `words.txt` gives its name.
"""

import concurrent.futures
import contextlib
import io
import os
import pathlib
import posixpath
import threading
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import files
from ms_pixelcnn_tf.data import cache
from ms_pixelcnn_tf.data.source import ArraySource
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.types import Levels

ARCHIVE = "tiny-imagenet-200"
CACHE_VERSION = 1  # raise it with any change to the decoded pixels
THREADS = 8
CHUNK = 1024  # images decoded between two checks for an interrupt


class TinyImageNet32(ArraySource):
    """The data set, decoded at first use and then read from the cache folder.

    Args:
        data_dir: `tiny-imagenet-200.zip`, the folder it was unpacked to, or a folder that holds
            either.
        image_size: `(32, 32)`, the only size.

    Raises:
        UserError: for another size, or if the archive is missing, is not tiny-imagenet-200, or
            holds a damaged image.
    """

    name = "tiny-imagenet-32"
    description = "tiny-imagenet-32 (64x64 JPEG, 2x2 box average, RGB); comparable only with itself"
    channels = 3

    def __init__(self, data_dir: str | os.PathLike, image_size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        if tuple(image_size) != (32, 32):
            raise UserError(
                f"dataset {self.name} is read at image_size 32 only, not {format_size(image_size)}"
            )
        self.image_size = (32, 32)
        archive = _find(data_dir)
        arrays = _cached(archive)
        self.class_names = tuple(str(name) for name in arrays["class_names"])
        self.num_classes = len(self.class_names)
        for split in ("train", "validation"):
            self.set_split(split, arrays[f"{split}_images"], arrays[f"{split}_labels"])


def box_average(image: Levels) -> Levels:
    """uint8 `[64, 64, C]` → uint8 `[32, 32, C]`: means of 2×2 boxes, halves rounded up."""
    image = image.astype("uint16")
    total = image[0::2, 0::2] + image[0::2, 1::2] + image[1::2, 0::2] + image[1::2, 1::2]
    return ((total + 2) // 4).astype("uint8")


def _find(data_dir):
    """The archive's zip file or folder."""
    path = pathlib.Path(data_dir).expanduser()
    for candidate in (path, path / ARCHIVE, path / f"{ARCHIVE}.zip"):
        if candidate.is_file() or (candidate / "wnids.txt").is_file():
            return candidate
    raise UserError(
        f"no {ARCHIVE} at {path}: give the zip, the folder it was unpacked to, or one holding it"
    )


class _Archive:
    """Reads members by their path below the archive's top folder, from a zip file or a folder."""

    def __init__(self, path):
        self._path = path
        self._zip = None
        self._lock = threading.Lock()
        if path.is_file():
            self._zip = zipfile.ZipFile(path)
            places = [posixpath.split(name) for name in self._zip.namelist()]
            tops = [folder for folder, name in places if name == "wnids.txt"]
            if not tops:
                raise UserError(f"{path} holds no wnids.txt: it is not {ARCHIVE}.zip")
            top = min(tops, key=len)
            self._top = top + "/" if top else ""

    def close(self):
        if self._zip:
            self._zip.close()

    def names(self):
        """Paths of all files, sorted as strings."""
        if self._zip:
            found = [name for name in self._zip.namelist() if name.startswith(self._top)]
            return sorted(name[len(self._top) :] for name in found if not name.endswith("/"))
        files = (path for path in self._path.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._path).as_posix() for path in files)

    def read(self, name):
        """The file's bytes."""
        if self._zip:
            with self._lock:  # all threads share one file position
                return self._zip.read(self._top + name)
        return (self._path / name).read_bytes()

    def lines(self, name):
        return self.read(name).decode("utf-8").splitlines()


def _cached(path):
    """The decoded arrays, from the cache if it has all of them."""
    members = [path] if path.is_file() else sorted(filter(pathlib.Path.is_file, path.rglob("*")))
    stats = [(member, member.stat()) for member in members]
    state = [(str(member), status.st_size, status.st_mtime_ns) for member, status in stats]
    key = cache.key_of(CACHE_VERSION, str(path.resolve()), state)
    cache_path = cache.cache_folder() / f"tiny-imagenet-32-{key}.npz"
    with contextlib.suppress(*cache.DAMAGED):
        with np.load(cache_path, allow_pickle=False) as stored:
            return {name: stored[name] for name in _FIELDS}
    arrays = _decode(path)
    try:
        with files.replacing(cache_path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        cache.log_unwritable(error)
    return arrays


_FIELDS = ("train_images", "train_labels", "validation_images", "validation_labels", "class_names")


def _decode(path):
    """Reads and decodes the whole archive."""
    try:
        archive = _Archive(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path} as a zip file: {error}") from error
    with contextlib.closing(archive):
        try:
            wnids = sorted(line.strip() for line in archive.lines("wnids.txt") if line.strip())
            words = dict(line.split("\t", 1) for line in archive.lines("words.txt") if line)
            annotations = archive.lines("val/val_annotations.txt")
            wnid_of = dict(line.split("\t")[:2] for line in annotations if line)
        except cache.DAMAGED as error:
            raise UserError(f"{path} is not a whole {ARCHIVE}: {error}") from error
        label_of = {wnid: label for label, wnid in enumerate(wnids)}
        train, validation = [], []
        for name in archive.names():
            if not name.lower().endswith((".jpeg", ".jpg")):
                continue
            parts = name.split("/")
            wnid = parts[1] if parts[0] == "train" else wnid_of.get(parts[-1])
            if parts[0] in ("train", "val") and wnid in label_of:
                (train if parts[0] == "train" else validation).append((name, label_of[wnid]))
        arrays: dict[str, Any] = {
            "class_names": np.array([words.get(wnid, wnid) for wnid in wnids])
        }
        for split, examples in (("train", train), ("validation", validation)):
            if not examples:
                raise UserError(f"{path} has no {split} images: it is not a whole {ARCHIVE}")
            examples.sort(key=lambda example: posixpath.basename(example[0]))
            arrays[f"{split}_images"] = _decode_all(archive, path, [name for name, _ in examples])
            arrays[f"{split}_labels"] = np.array([label for _, label in examples], "int32")
    return arrays


def _decode_all(archive, path, names):
    """The decoded images: uint8 `[len(names), 32, 32, 3]`."""

    def decode(name):
        try:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                pixels = np.asarray(image.convert("RGB"))
        except Exception as error:  # the decoder raises many types for damaged bytes
            raise UserError(f"{path}: cannot decode {name}: {error}") from error
        if pixels.shape != (64, 64, 3):
            raise UserError(f"{path}: {name} has shape {pixels.shape}, not 64x64")
        return box_average(pixels)

    images = np.empty((len(names), 32, 32, 3), "uint8")
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(names), CHUNK):
            for offset, image in enumerate(pool.map(decode, names[start : start + CHUNK])):
                images[start + offset] = image
    return images
