"""MS-COCO: photographs with five captions each and a segmentation into 80 categories.

Source: a folder with `train2017`, `val2017` (or their zips) and `annotations` (or its zip) that
holds `instances_train2017.json`, `captions_train2017.json` and the same for `val2017`. The variant
`2014`, which the paper used, needs the same files of that year. Both years hold the same images in
different splits.

The stored image is the largest central square, with a side of `image_size` pixels; 256 if that is
0. The segmentation divides the same square evenly into 32 × 32 cells, so the cells fit the image at
any size.

Splits: train, and validation, which is COCO's val. COCO's test images have no annotation.

Reference: Lin et al. (2014), Microsoft COCO: Common Objects in Context.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import images
from tfrecords_tools.archives import Content, Tree, content_bytes
from tfrecords_tools.builder import Description, Options, PaperBuilder
from tfrecords_tools.tasks import Examples, Plan, Skip, Skipped, Task, fewest

CATEGORIES = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
SIDE = 256
CELLS = 32
# Slightly less than a half, so that rounding does not decide for a cell that is half covered.
HALF = 0.5 - 1e-6
RULE = (
    "objects, crowds included, rasterised at the image's full size by pycocotools, united per "
    "category, central square, fraction of each of 32x32 cells that is covered, 1 where >= 0.5; "
    "objects that cover no half cell are lost"
)
MALFORMED = "images with a malformed object, which is left out"
SPLITS = {"validation": "val", "train": "train"}


class Coco(PaperBuilder):
    """The COCO builder. Features of an example:

    - "image": the image's central square, with a side of `image_size` pixels; 256 if that is 0.
    - "captions": all captions.
    - "segmentation": uint8 `[32, 32, 80]`: row, column, category in the order of COCO's
      `categories`; 1 where objects of the category cover at least half of the cell.
    - "file": the image's file name.
    - "image_id": COCO's id of the image.
    """

    name = "coco"
    variants = ("2017", "2014")

    @staticmethod
    def describe(options: Options) -> Description:
        side = options.image_size or SIDE
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(side, side, 3)),
                "captions": tfds.features.Sequence(tfds.features.Text()),
                # A map is nearly empty: compression shrinks its 80 KiB to a thousandth.
                "segmentation": tfds.features.Tensor(
                    shape=(CELLS, CELLS, len(CATEGORIES)), dtype=np.uint8, encoding="zlib"
                ),
                "file": tfds.features.Text(),
                "image_id": np.int64,
            }
        )
        line = f"MS-COCO {options.variant}, central square, {side}x{side}"
        return (
            line,
            features,
            {"segmentation_names": CATEGORIES, "segmentation_rule": RULE, "square": True},
        )

    @staticmethod
    def plan(tree: Tree, options: Options, skip: Skip) -> Plan:
        _mask_tools()
        plan, seen, captions = {split: [] for split in ("train", "validation")}, set(), {}
        wanted = [f"instances_{part}{options.variant}.json" for part in SPLITS.values()]
        if not any(tree.find_all(name) for name in wanted):
            raise UserError(
                f"{tree.source} holds no {wanted[1]}; give a folder with images and COCO's "
                f"annotations_trainval{options.variant}.zip"
            )
        for split, part in SPLITS.items():
            folder = f"{part}{options.variant}"
            if tree.find_all(f"instances_{folder}.json"):
                file = tree.find(f"captions_{folder}.json", "give COCO's annotations whole")
                told = _captions(tree, file)
                plan[split] = _planned(tree, folder, told, seen, skip)
                captions |= told
        return Plan(plan, {"num_captions": fewest(captions)})

    @staticmethod
    def convert(options: Options, task: Task, content: Content) -> Examples:
        annotation = dict(task.annotation)
        objects, size = annotation.pop("objects"), annotation.pop("size")
        image = images.decoded(content_bytes(content))
        if list(image.size) != size:
            raise Skipped("images whose size is not the annotated one")
        segmentation, is_whole = segment(objects, *size)
        if not is_whole:
            yield task.key, Skipped(MALFORMED)
        side = options.image_size or SIDE
        stored = decode.crop_and_resize(image, (side, side))
        yield (
            task.key,
            {**annotation, "image": images.encoded(stored), "segmentation": segmentation},
        )


def segment(objects: Iterable[tuple[int, Any]], width: int, height: int) -> tuple[np.ndarray, bool]:
    """Objects → the segmentation of the image's central square.

    Args:
        objects: `(category 0…79, COCO's segmentation)` of each.
        width, height: size of the whole image, in pixels.

    Returns:
        uint8 `[32, 32, 80]`, and whether all objects are well formed. Malformed objects are left
        out.
    """
    tools, encoded, is_whole = _mask_tools(), {}, True
    for category, segmentation in objects:
        try:
            encoded.setdefault(category, []).extend(_run_lengths(segmentation, width, height))
        except _Malformed:
            is_whole = False
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    found = np.zeros((CELLS, CELLS, len(CATEGORIES)), "uint8")
    for category, parts in encoded.items():
        if parts:
            mask = tools.decode(tools.merge(parts))[top : top + side, left : left + side]
            cells = Image.fromarray(mask.astype("float32")).resize(
                (CELLS, CELLS), Image.Resampling.BOX
            )
            found[:, :, category] = np.asarray(cells) >= HALF
    return found, is_whole


class _Malformed(Exception):
    """The reason why an object's segmentation is malformed."""


def _run_lengths(segmentation, width, height):
    """COCO's segmentation of an object → list of run lengths in the form that pycocotools takes.

    Checks everything first: pycocotools is written in C and trusts its input.

    Raises:
        _Malformed: if it is no segmentation, or not one of an image of this size.
    """
    tools = _mask_tools()
    if isinstance(segmentation, list):
        limits = np.array([width, height])
        for polygon in segmentation:
            try:
                points = np.array(polygon, "float64")
            except (TypeError, ValueError, OverflowError) as error:
                raise _Malformed("not numbers") from error
            if points.ndim != 1 or len(points) < 6 or len(points) % 2:
                raise _Malformed("no polygon")
            points = points.reshape(-1, 2)
            # False for NaN. Points slightly outside occur; points far outside would fill memory.
            if not ((points >= -limits) & (points <= 2 * limits)).all():
                raise _Malformed("outside the image")
        if not segmentation:
            raise _Malformed("empty")
        return tools.frPyObjects(segmentation, height, width)
    if not isinstance(segmentation, dict) or segmentation.get("size") != [height, width]:
        raise _Malformed("of another size")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise _Malformed("counts are no list of whole numbers")
    if sum(counts) != width * height:
        raise _Malformed("counts of another size")
    return [tools.frPyObjects({"size": [height, width], "counts": counts}, height, width)]


def _decompressed(text):
    """COCO's compressed run lengths as a list.

    Each character holds five bits of a number, the least significant first, and a sixth that says
    whether more follow. From the fourth number on, each is the difference to the number two before.
    """
    counts, value, shift = [], 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 30:
            raise _Malformed("no run lengths")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise _Malformed("cut short")
    return counts


def _planned(tree, folder, captions, seen, skip):
    """The tasks of a split. Adds its images to the set `seen`.

    `folder` is, for example, train2017; `captions` is a dict image id → captions.
    """
    name = tree.find(f"instances_{folder}.json")
    instances = _document(tree.read([name])[name], name)
    labels = _labels(_rows(instances, name, "categories", {"id": int, "name": str}), name)
    objects = {}
    for row in _rows(instances, name, "annotations", {"image_id": int, "category_id": int}):
        if row["category_id"] not in labels:
            raise UserError(
                f"{name}: an annotation has the category {row['category_id']}, which is not in "
                "categories"
            )
        pair = (labels[row["category_id"]], row.get("segmentation"))
        objects.setdefault(row["image_id"], []).append(pair)
    members = _images(tree, folder)
    tasks = []
    fields = {"id": int, "file_name": str, "width": int, "height": int}
    for row in _rows(instances, name, "images", fields):
        file, number = row["file_name"], row["id"]
        if {number, file} & seen:
            skip("images listed twice")
        elif file not in members:
            skip("images listed but absent")
        elif number not in captions:
            skip("images without captions")
        else:
            annotation = {
                "captions": captions[number],
                "objects": objects.get(number, []),
                "size": [row["width"], row["height"]],
                "file": file,
                "image_id": number,
            }
            tasks.append(Task(file, members[file], annotation))
        seen.update((number, file))
    return tasks


def _captions(tree, name):
    """dict image id → its captions."""
    found, document = {}, _document(tree.read([name])[name], name)
    for row in _rows(document, name, "annotations", {"image_id": int, "caption": str}):
        if row["caption"].strip():
            found.setdefault(row["image_id"], []).append(" ".join(row["caption"].split()))
    return found


def _document(content, name):
    """A JSON file's top object. Raises UserError if the file is not JSON or holds no object."""
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(f"{name}: not JSON: {text}; it may be cut short") from error
    if not isinstance(document, dict):
        raise UserError(f"{name}: a {type(document).__name__}; valid: COCO's annotation, an object")
    return document


def _refuse_constant(text):
    raise ValueError(f"{text} is no number")


def _rows(document, name, key, fields):
    """A key's list of objects. Raises UserError unless each has the fields, of these types."""
    rows = document.get(key)
    if not isinstance(rows, list):
        raise UserError(f"{name}: holds no list {key!r}; valid: COCO's annotation")
    for index, row in enumerate(rows):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, dict) else None
            if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 2**63):
                noun = "whole number" if kind is int else "text"
                raise UserError(f"{name}: {key}[{index}] has no {noun} {field!r}")
    return rows


def _labels(categories, name):
    """dict category id → 0…79. Raises UserError if the categories are not COCO's 80."""
    names = [row["name"] for row in categories]
    labels = {row["id"]: label for label, row in enumerate(categories)}
    if tuple(names) != CATEGORIES or len(labels) != len(names):
        wrong = next((n for n, own in zip(names, CATEGORIES, strict=False) if n != own), len(names))
        raise UserError(f"{name}: categories are not COCO's 80 in their order, see {wrong!r}")
    return labels


def _images(tree, folder):
    """dict file name → full name in the source, for the files directly in such a folder."""
    found = {}
    for name in sorted(tree.members, key=lambda name: (name.count("/"), name)):
        parts = name.split("/")
        if len(parts) > 1 and parts[-2] == folder:
            found.setdefault(parts[-1], name)
    return found


def _mask_tools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UserError("COCO needs pycocotools: pip install 'ms_pixelcnn_tf[coco]'") from error
    return mask
