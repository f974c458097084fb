"""Opens data sets by name; each is a `Source`, which `batches.pipeline` turns into batches.

`load` imports the module of a data set only when it is needed, so generated shapes need no image
decoder.
"""

import dataclasses
import importlib
import numbers
import os
from typing import Any

from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.data.subsampled import Subsampled, factor_of
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import TRAIN_EXAMPLES, parse_size
from ms_pixelcnn_tf.types import Size

__all__ = ["Source", "load", "names", "video_names"]

DEFAULTS = {
    "image_size": None,
    "channels": 3,
    "data_dir": None,
    "seed": 0,
    "labels": "none",
    "validation_fraction": 0.1,
    "num_frames": None,
    "train_examples": TRAIN_EXAMPLES,
    "captions": False,
    "background": "white",
    "split_by": "",
}
CLIP_FRAMES = 20  # per clip, as in Reed et al. (2017), section 4.3


@dataclasses.dataclass(frozen=True)
class _Entry:
    """The class of a data set, the options it takes and those it requires."""

    module: str
    class_name: str
    options: tuple[str, ...]
    image_size: Any = None  # the default
    required: tuple[tuple[str, str], ...] = ()  # (option, advice for the error message)
    takes_name: bool = False  # the class serves several data sets


def _built(class_name, image_size):
    """The entry of a data set of TFRecords."""
    of_images = class_name == "Built"
    return _Entry(
        "tfrecords.images" if of_images else "tfrecords.videos",
        class_name,
        ("image_size", "data_dir", "channels" if of_images else "num_frames"),
        image_size=image_size,
        required=(("data_dir", "where bin/make_tfrecords, or TFDS, has built it"),),
        takes_name=True,
    )


_ENTRIES = {
    "shapes": _Entry(
        "procedural.shapes",
        "Shapes",
        ("image_size", "channels", "seed", "train_examples"),
        image_size=32,
    ),
    "shapes_push": _Entry(
        "procedural.shapes_push",
        "ShapesPush",
        ("image_size", "seed", "num_frames", "train_examples"),
        image_size=64,
    ),
    "folder": _Entry(
        "files.folder",
        "Folder",
        (
            "image_size",
            "channels",
            "data_dir",
            "labels",
            "validation_fraction",
            "captions",
            "background",
            "split_by",
        ),
        required=(
            ("data_dir", "the folder of images"),
            ("image_size", "the size to crop and resize to, such as 32"),
        ),
    ),
    "tiny-imagenet-32": _Entry(
        "files.tiny_imagenet",
        "TinyImageNet32",
        ("image_size", "data_dir"),
        image_size=32,
        required=(("data_dir", "tiny-imagenet-200.zip, or the folder it was unpacked to"),),
    ),
    "cub": _built("Built", 32),
    "mpii": _built("Built", 32),
    "coco": _built("Built", 32),
    "imagenet": _built("Built", 64),
    "imagenet32": _built("Built", 32),
    "imagenet64": _built("Built", 64),
    "robot_pushing": _built("BuiltVideo", 64),
    "bair_robot_pushing_small": _built("BuiltVideo", 64),
}


def names() -> tuple[str, ...]:
    """The names that `load` accepts."""
    return tuple(_ENTRIES)


def video_names() -> tuple[str, ...]:
    """The names of the video data sets."""
    return tuple(name for name, entry in _ENTRIES.items() if "num_frames" in entry.options)


def load(
    name: str,
    *,
    image_size: Size | None = None,
    channels: int = 3,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    labels: str = "none",
    validation_fraction: float = 0.1,
    num_frames: int | None = None,
    source_size: int = 0,
    train_examples: int = DEFAULTS["train_examples"],
    captions: bool = False,
    background: str = "white",
    split_by: str = "",
) -> Source:
    """Opens a data set.

    Args:
        name: one of `names()`.
        image_size: an int, `(height, width)` or "32x48", in pixels; None: the data set's
            default, 32 or 64 (folder has no default and needs a size).
        channels: 1 (gray) or 3 (RGB).
        data_dir: path of the files (folder, tiny-imagenet-32) or of the built TFRecords.
        seed: seed of generated data (shapes, shapes_push).
        labels: "folders": the sub-folders of `data_dir` are the classes; "metadata": the field
            "label" of its metadata.jsonl or metadata.csv gives them (both folder only); "none": no
            labels.
        validation_fraction: fraction of a folder that is kept for validation, above 0, below 1.
        num_frames: frames per clip, videos only; None: 20.
        source_size: longer side, in pixels, at which images or frames are read: a multiple of the
            longer side of `image_size`. Only every n-th pixel is kept (`Subsampled`). 0: that of
            `image_size`.
        train_examples: number of generated examples in the split train (shapes, shapes_push).
        captions: whether to read the captions of a folder from the field "text" of its metadata;
            other data sets always give the captions that they have.
        background: colour that transparent pixels of a folder's images are laid over, a CSS name or
            "r,g,b".
        split_by: field of a folder's metadata; images with the same value go to the same split.
            "": none.

    Returns:
        A `Source`.

    Raises:
        UserError: for an unknown name, an option that the data set does not take, or a missing or
            invalid option.
    """
    if name not in _ENTRIES:
        raise UserError(f"unknown dataset {name!r}; the datasets are: {', '.join(names())}")
    entry = _ENTRIES[name]
    given = {
        "image_size": image_size,
        "channels": channels,
        "data_dir": data_dir,
        "seed": seed,
        "labels": labels,
        "validation_fraction": validation_fraction,
        "num_frames": num_frames,
        "train_examples": train_examples,
        "captions": captions,
        "background": background,
        "split_by": split_by,
    }
    for option, value in given.items():
        if option not in entry.options and value != DEFAULTS[option]:
            raise UserError(
                f"dataset {name} takes no {option}={value!r}; it takes: {', '.join(entry.options)}"
            )
    if given["image_size"] is None:
        given["image_size"] = entry.image_size
    if num_frames is None:
        given["num_frames"] = CLIP_FRAMES
    elif not isinstance(num_frames, numbers.Integral) or num_frames < 1:
        raise UserError(f"num_frames is {num_frames!r}; give an integer of 1 or above")
    for option, what in entry.required:
        if given[option] is None or given[option] == "":
            raise UserError(f"dataset {name} needs {option}: give {what}")
    image_size = parse_size(given["image_size"], "image_size")
    factor = factor_of(source_size, image_size)
    given["image_size"] = tuple(factor * side for side in image_size)
    if channels not in (1, 3):
        raise UserError(f"channels is {channels!r}; give 1 (gray) or 3 (RGB)")
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise UserError(f"the data's seed is {seed!r}; give an integer of 0 or above")
    if (
        type(train_examples) is bool
        or not isinstance(train_examples, numbers.Integral)
        or train_examples < 1
    ):
        raise UserError(f"train_examples is {train_examples!r}; give an integer of 1 or above")
    source_class = getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.class_name)
    named = {"name": name} if entry.takes_name else {}
    source = source_class(**named, **{option: given[option] for option in entry.options})
    return Subsampled(source, factor) if factor > 1 else source
