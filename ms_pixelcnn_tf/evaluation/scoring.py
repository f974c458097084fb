"""Scores and ranks your own images by likelihood, to find odd ones.

The likelihood alone ranks simple images too high: a blank page is likely under any model. So a
second score subtracts the image's complexity, measured as the bits of a PNG of the same pixels: the
score S of Serrà et al., which finds images of a different complexity. A third score, the most
surprising sub-pixels, finds odd things *in* an image. `bin/benchmark odd_images` compares the
three.

Reference: Serrà et al. (2020), Input complexity and out-of-distribution detection with
likelihood-based generative models, section 3.
"""

import csv
import dataclasses
import io
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import ModelConfig, unknown
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import replacing
from ms_pixelcnn_tf.types import AnyPath, Conditions

PEAK_SHARE = 0.01  # share of the sub-pixels that count as the most surprising


@dataclasses.dataclass(frozen=True)
class Score:
    """The scores of one image; bits are per sub-pixel.

    Attributes:
        file: its path.
        nats: −log p of the whole image.
        bits_per_dim: the same in bits per sub-pixel.
        png_bits_per_dim: size of a PNG file of the same pixels.
        corrected_bits_per_dim: `bits_per_dim` - `png_bits_per_dim`; high if the image costs the
            model more than its complexity explains.
        peak_bits: mean surprise of the most surprising hundredth of the sub-pixels; high if an
            otherwise usual image has something odd in it.
    """

    file: str
    nats: float
    bits_per_dim: float
    png_bits_per_dim: float
    corrected_bits_per_dim: float
    peak_bits: float


RANKS = {"peak": "peak_bits", "less_png": "corrected_bits_per_dim", "bits": "bits_per_dim"}
COLUMNS = tuple(field.name for field in dataclasses.fields(Score))


def read_folder(
    path: str, config: ModelConfig
) -> tuple[list[str], np.ndarray, list[tuple[str, str]]]:
    """Reads an image file, or those in a folder and its sub-folders, at the model's size.

    Images are cropped to the model's proportions, and larger ones averaged down. Hidden files in a
    folder are ignored.

    Args:
        path: path of a file or a folder.
        config: the model's `ModelConfig`.

    Returns:
        Relative paths, uint8 levels `[n, H, W, C]`, and (path, reason) of each file that gave no
        image.

    Raises:
        UserError: if no image can be read.
    """
    files, base = [path], os.path.dirname(path)
    if os.path.isdir(path):
        base = path
        files = sorted(
            os.path.join(folder, name)
            for folder, folders, names in os.walk(path)
            for name in names
            if name[0] != "." and not _is_hidden(os.path.relpath(folder, path))
        )
    images, names, skipped = [], [], []
    for file in files:
        try:
            image = decode.decode_file(file, config.image_size, config.channels).pixels
        except decode.Unusable as error:
            skipped.append((file, str(error)))
            continue
        images.append(pixels.quantise(image, config.num_levels))
        names.append(os.path.relpath(file, base))
    if not images:
        first = f" (the first: {skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise UserError(
            f"{path} holds no image that can be read; {len(skipped)} files were skipped{first}"
        )
    return names, np.stack(images), skipped


def surprise(
    model: Any,
    images: np.ndarray,
    conditions: Conditions = None,
    batch_size: int = 32,
    progress: Callable = lambda batches: batches,
) -> np.ndarray:
    """−log p of each sub-pixel given those before it: float32 `[n, H, W, C]`, bits.

    Args:
        model: an image model.
        images: uint8 levels `[n, H, W, C]`.
        conditions: dict of arrays with one row, used for all images, or n rows; or None.
        batch_size: images per batch.
        progress: wraps the iterable of batches, like `tqdm`.
    """
    found = np.empty(images.shape, "float32")
    for start in progress(range(0, len(images), batch_size)):
        part = images[start : start + batch_size]
        own = conditions and {
            name: np.repeat(values, len(part), axis=0)
            if len(values) == 1
            else values[start : start + batch_size]
            for name, values in conditions.items()
        }
        found[start : start + batch_size] = -np.asarray(
            model.log_prob_by_pixel(part, own)
        ) / math.log(2)
    return found


def scores(
    names: Sequence[str],
    images: np.ndarray,
    surprises: np.ndarray,
    num_levels: int,
    rank_by: str = "peak",
) -> list[Score]:
    """A list of `Score`, the oddest image first.

    Args:
        names: names of the images.
        images: uint8 levels `[n, H, W, C]`.
        surprises: their surprise, from `surprise`.
        num_levels: number of levels of the model.
        rank_by: one of `RANKS`.

    Raises:
        UserError: for an unknown `rank_by`.
    """
    if rank_by not in RANKS:
        raise unknown("rank_by", rank_by, RANKS)
    found = []
    for name, image, bits in zip(names, images, surprises, strict=True):
        per_dim, png = float(bits.mean(dtype="float64")), png_bits(image, num_levels)
        most = np.sort(bits, axis=None)[-max(1, round(PEAK_SHARE * bits.size)) :]
        found.append(
            Score(
                name,
                per_dim * bits.size * math.log(2),
                per_dim,
                png,
                per_dim - png,
                float(most.mean(dtype="float64")),
            )
        )
    return sorted(found, key=lambda score: -getattr(score, RANKS[rank_by]))


def png_bits(image: np.ndarray, num_levels: int) -> float:
    """Bits per sub-pixel of a PNG file of an image, uint8 levels `[H, W, C]`."""
    image = pixels.dequantise(image[None], num_levels)[0]
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
        file, "PNG", optimize=True
    )
    return 8 * file.tell() / image.size


def write_csv(path: AnyPath, found: Sequence[Score]) -> None:
    """Writes scores as a CSV file, whole or not at all: a rank, then `COLUMNS`."""
    with (
        replacing(path) as temporary,
        temporary.open(
            "w",
            newline="",
            encoding="utf-8",
            errors="surrogateescape",  # names that are not UTF-8
        ) as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("rank", *COLUMNS))
        for rank, score in enumerate(found, 1):
            file_name, *numbers = dataclasses.astuple(score)
            writer.writerow((rank, file_name, *(f"{number:.6g}" for number in numbers)))


def _is_hidden(folder):
    return any(part[0] == "." and part != "." for part in folder.split(os.sep))
