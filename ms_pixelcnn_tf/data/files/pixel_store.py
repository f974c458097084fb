"""Decodes a folder's images in one parallel pass and keeps their pixels in the cache folder.

Each entry has two files: the pixels of all usable images, end to end, for memory-mapping; and an
index of those images and of the reasons why the others were skipped. The entry's key changes with
the list of files, with the size, modification time or permissions of any file, and with the
background.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import re

import numpy as np
from PIL import ImageColor
from tqdm import tqdm

from ms_pixelcnn_tf import files
from ms_pixelcnn_tf.data import cache, decode
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Levels

CACHE_VERSION = 1  # raise it with any change to the decoded pixels
CHUNK = 256  # files decoded between two checks for an interrupt
PROGRESS_FILES = 500  # a progress bar appears above this number of files
MAX_THREADS = 8


def parse_colour(background: str) -> tuple[int, int, int]:
    """A colour as (red, green, blue), each 0…255.

    Args:
        background: a CSS name, or "r,g,b".

    Raises:
        UserError: for anything else.
    """
    name = background.strip().lower() if isinstance(background, str) else ""
    if name in ImageColor.colormap:
        red, green, blue = ImageColor.getrgb(name)[:3]
        return red, green, blue
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{1,3}){2}", name):
        red, green, blue = map(int, name.split(","))
        if max(red, green, blue) <= 255:
            return red, green, blue
    raise UserError(
        f"background is {background!r}; valid: the CSS name of a colour, such as white, or r,g,b, "
        "each from 0 to 255"
    )


def decoded(
    root: str,
    paths: list[str],
    image_size: tuple[int, int],
    channels: int,
    background: tuple[int, int, int] = decode.WHITE,
) -> tuple[Levels, np.ndarray, list[bytes], list[tuple[int, str]]]:
    """The pixels of all usable files, from the cache if it has them.

    Args:
        root: the directory.
        paths: paths of the files below it, in the order of the result.
        image_size, channels: as for `decode.decode_file`.
        background: (red, green, blue), each 0…255, that transparent pixels are laid over.

    Returns:
        images: uint8 `[N, H, W, C]`, memory-mapped or in memory.
        kept: int64 `[N]`, the position of each image in `paths`.
        digests: N × bytes, which decide the split. They are those of the images over white,
            whatever the background.
        reasons: list of (position in `paths`, reason) of the files skipped.
    """
    key = cache.key_of(
        CACHE_VERSION,
        os.path.realpath(root),
        image_size,
        channels,
        _stats(root, paths),
        *([] if background == decode.WHITE else [background]),
    )
    pixels_path = cache.cache_folder() / f"folder-{key}.pixels"
    index_path = cache.cache_folder() / f"folder-{key}.npz"
    stored = _read_index(index_path)
    if stored is None or not _is_whole(pixels_path, stored[0], image_size, channels):
        try:
            with files.replacing(pixels_path) as temporary, open(temporary, "wb") as file:
                stored = _decode_all(root, paths, image_size, channels, background, file.write)
            _write_index(index_path, stored)
        except OSError as error:
            cache.log_unwritable(error)
            chunks = bytearray()
            stored = _decode_all(root, paths, image_size, channels, background, chunks.extend)
            pixels_path = None
    kept, digests, reasons = stored
    shape = (len(kept),) + tuple(image_size) + (channels,)
    if not len(kept):
        images = np.zeros(shape, "uint8")  # an empty file cannot be mapped
    elif pixels_path is None:
        images = np.frombuffer(chunks, "uint8").reshape(shape)
    else:
        images = np.memmap(pixels_path, "uint8", "r", shape=shape)
    return images, kept, digests, reasons


def _decode_all(root, paths, image_size, channels, background, write):
    """Decodes every file in order and passes the pixels' bytes to `write`."""

    def attempt(path):
        try:
            return decode.decode_file(os.path.join(root, path), image_size, channels, background)
        except decode.Unusable as error:
            return str(error)

    kept, sources, targets, reasons = [], [], [], []
    hidden = len(paths) <= PROGRESS_FILES
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    with (
        tqdm(total=len(paths), desc="reading images", unit="file", disable=hidden) as progress,
        concurrent.futures.ThreadPoolExecutor(threads) as pool,
    ):
        for start in range(0, len(paths), CHUNK):
            for place, result in enumerate(pool.map(attempt, paths[start : start + CHUNK]), start):
                if isinstance(result, str):
                    reasons.append((place, result))
                else:
                    content = result.pixels.tobytes()
                    write(content)
                    kept.append(place)
                    sources.append(result.digest)
                    targets.append(hashlib.sha256(content).digest())
                progress.update()
    # Files that differ but are equal at the target size must go to the same split: they share the
    # smallest of their digests.
    smallest = {}
    for source, target in zip(sources, targets, strict=True):
        smallest[target] = min(source, smallest.get(target, source))
    return np.array(kept, "int64"), [smallest[target] for target in targets], reasons


def _stats(root, paths):
    """The path, size in bytes, modification time in ns and permissions of each file."""
    stats = []
    for path in paths:
        try:
            status = os.stat(os.path.join(root, path))
            state = (status.st_size, status.st_mtime_ns, status.st_mode)
        except OSError:  # a broken link; decoding reports it
            state = ()
        stats.append((os.fsencode(path), state))
    return stats


def _write_index(path, stored):
    kept, digests, reasons = stored
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            kept=kept,
            digests=np.frombuffer(b"".join(digests), "uint8").reshape(len(digests), 32),
            skipped=np.array([place for place, _ in reasons], "int64"),
            reasons=np.array([reason for _, reason in reasons], "str"),
        )


def _read_index(path):
    """The index that `_write_index` wrote, or None if it is missing or damaged."""
    with contextlib.suppress(*cache.DAMAGED):
        with np.load(path, allow_pickle=False) as stored:
            digests = [row.tobytes() for row in stored["digests"]]
            reasons = zip(stored["skipped"].tolist(), stored["reasons"].tolist(), strict=True)
            return stored["kept"], digests, list(reasons)
    return None


def _is_whole(path, kept, image_size, channels):
    """Whether the pixel file exists at full length."""
    length = len(kept) * image_size[0] * image_size[1] * channels
    return path.is_file() and path.stat().st_size == length
