"""The two small versions of ImageNet, which share only the photographs that they were made from.

- `new32`, `new64`, Chrabaszcz et al. (2017), box resize: `train_data_batch_1` … `_10` and
  `val_data`, as pickles or npz files. "data" is uint8 `[n, 3·S·S]`: the red plane, then the green,
  then the blue. "labels" are 1 … 1000 in the order of `map_clsloc.txt`, which differs from that of
  the sorted wnids. The stored label is one less.
- `old32`, `old64`, van den Oord et al. (2016): PNGs without labels in `train_32x32.tar` and
  `valid_32x32.tar` (`64x64` for `old64`). The validation tar holds 49,999.
"""

import io
import re
import zipfile

import numpy as np
from PIL import Image

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import archive_rules, images, pickles, tars
from tfrecords_tools.archives import Content, Tree, content_bytes
from tfrecords_tools.builder import Options
from tfrecords_tools.tasks import Examples, Skip, Skipped, Task

PACKED = {"new32": 32, "new64": 64}
SINGLE = {"old32": 32, "old64": 64}
VARIANTS = (*PACKED, *SINGLE)
LABEL_ORDER, ORDER_FILE = "map_clsloc", "map_clsloc.txt"
NUM_CLASSES, NUM_BATCHES = 1000, 10
BATCH = re.compile(r"(train_data_batch_(\d+)|val_data)(\.npz)?")
ROWS = 8192  # images per task, so that one process does not fill memory
MAX_BATCH = 2**31  # bytes; a 64x64 batch has 1.6e9
# The last file read, by `Member`: a process reads a file once for successive tasks.
_held = {}


def described(options: Options) -> tuple[int, str]:
    """`(side, line)` of a small version. Raises UserError unless `image_size` is 0 or `side`."""
    side = {**PACKED, **SINGLE}[options.variant]
    if options.image_size not in (0, side):
        raise UserError(
            f"image_size of {options.variant} is {options.image_size}; valid: 0, {side}"
        )
    if options.variant in PACKED:
        return side, (
            f"ImageNet {side}x{side} new (Chrabaszcz et al. box resize); not comparable with the "
            "old variant"
        )
    return side, (
        f"ImageNet {side}x{side} old (van den Oord et al.); not comparable with the new variant"
    )


def plan(tree: Tree, options: Options, skip: Skip) -> dict[str, list[Task]]:
    """The tasks of each split. See `PaperBuilder.plan`."""
    if options.variant in PACKED:
        return _packed_plan(tree, PACKED[options.variant], skip)
    return _single_plan(tree, SINGLE[options.variant], skip)


def convert(options: Options, task: Task, content: Content) -> Examples:
    """Yields `(key, example)`. See `PaperBuilder.convert`."""
    if options.variant in PACKED:
        return _unpacked(task, content, PACKED[options.variant])
    return _single(task, content, SINGLE[options.variant])


def class_names(tree: Tree, variant: str) -> list[str]:
    """The wnids in the order of the labels, from `map_clsloc.txt`; empty without that file."""
    if variant not in PACKED:
        return []
    for name in tree.find_all(ORDER_FILE)[:1]:
        rows = [line.split() for line in tree.text(name).splitlines() if line.strip()]
        for number, row in enumerate(rows, 1):
            if len(row) < 2 or row[1] != str(number):
                raise UserError(f"{name}, line {number}: valid: a wnid and {number}")
        return [row[0] for row in rows]
    return []


def _packed_plan(tree, side, skip):
    found = {}
    # The path says the size if the source holds both. Pickles come before npz files.
    for name in sorted(tree.members, key=lambda name: (str(side) not in name, name)):
        match = BATCH.fullmatch(name.rsplit("/", 1)[-1])
        if match and match[1] not in found:
            found[match[1]] = name
    if not found:
        raise UserError(
            f"{tree.source} holds no train_data_batch_1 and no val_data; give the folder of the "
            f"{side}x{side} pickles or npz files"
        )
    result = {"train": [], "validation": []}
    for stem, name in sorted(found.items(), key=lambda item: (len(item[0]), item[0])):
        split = "validation" if stem == "val_data" else "train"
        member = tree.members[name]
        # A task on a compressed tar carries the bytes of its whole file, so it takes all rows.
        rows = 0 if member.in_order_only else member.size // (3 * side * side)
        starts = range(0, max(rows, 1), ROWS)
        for start in starts:
            # The number of rows is known only after reading, so the last task takes all the rest.
            stop = start + ROWS if start != starts[-1] else None
            annotation = {"file": stem, "start": start, "stop": stop}
            result[split].append(Task(f"{stem}:{start}", name, annotation))
    absent = NUM_BATCHES - len(found.keys() - {"val_data"})
    if result["train"]:
        skip("train batches of ten that are absent", max(0, absent))
    return result


def _unpacked(task, content, side):
    data, labels = _batch(content, task.name, side)
    start, stop, stem = (task.annotation[key] for key in ("start", "stop", "file"))
    for row in range(len(data))[start:stop]:
        pixels = data[row].reshape(3, side, side).transpose(1, 2, 0)
        key = f"{stem}:{row}"
        image = images.encoded(Image.fromarray(np.ascontiguousarray(pixels)))
        yield key, {"image": image, "label": int(labels[row]) - 1, "file": key}


def _batch(content, name, side):
    """The checked `(data, labels)` of a batch."""
    if isinstance(content, bytes):
        return _proven(_read_bytes(content, name), name, side)
    if content not in _held:
        _held.clear()  # first, so that two files are never in memory
        _held[content] = _proven(_read(content), content.where, side)
    return _held[content]


def _read(member):
    if member.size > MAX_BATCH:
        raise UserError(f"{member.where}: {member.size} bytes, more than {MAX_BATCH}; not read")
    try:
        if member.offset is None:
            with zipfile.ZipFile(member.path) as archive, archive.open(member.inner) as file:
                return _read_file(file, member.name, member.size, member.where)
        with open(member.path, "rb") as file:
            window = tars.Window(file, member.offset, member.size)
            return _read_file(window, member.name, member.size, member.where)
    except UserError:
        raise
    except archive_rules.DAMAGED as error:
        raise UserError(f"{member.where}: {error or type(error).__name__}") from error


def _read_bytes(content, name):
    try:
        return _read_file(io.BytesIO(content), name, len(content), name)
    except UserError:
        raise
    except archive_rules.DAMAGED as error:
        raise UserError(f"{name}: {error or type(error).__name__}") from error


def _read_file(file, name, size, where):
    if name.endswith(".npz"):
        return _npz(file, where)
    value = pickles.load(file, size, where)
    file.read(1)  # in a zip, reading past the end verifies the checksum
    return value


def _npz(file, where):
    """The two arrays of an npz file. Refuses pickled objects."""
    found = {}
    with zipfile.ZipFile(file) as archive:
        for key in ("data", "labels"):
            if f"{key}.npy" in archive.namelist():
                size = archive.getinfo(f"{key}.npy").file_size
                if size > MAX_BATCH:
                    raise UserError(f"{where}, {key}: {size} bytes; valid: up to {MAX_BATCH}")
                with archive.open(f"{key}.npy") as part:
                    found[key] = np.lib.format.read_array(part, allow_pickle=False)
    return found


def _proven(batch, where, side):
    if not isinstance(batch, dict) or "data" not in batch or "labels" not in batch:
        raise UserError(f"{where}: no batch of ImageNet {side}x{side}; valid: data and labels")
    data, labels = batch["data"], np.asarray(batch["labels"])
    columns = 3 * side * side
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (columns,):
        told = getattr(data, "shape", type(data).__name__)
        raise UserError(
            f"{where}: data is {told} of {getattr(data, 'dtype', 'no array')}; valid: "
            f"[n, {columns}] of uint8 for {side}x{side}"
        )
    if labels.shape != (len(data),) or labels.dtype.kind not in "iu":
        raise UserError(f"{where}: labels are not one whole number for each of {len(data)} images")
    if len(labels) and not 1 <= labels.min() <= labels.max() <= NUM_CLASSES:
        raise UserError(
            f"{where}: labels from {labels.min()} to {labels.max()}; valid: 1 to {NUM_CLASSES}"
        )
    return data, labels


def _single_plan(tree, side, skip):
    pattern = re.compile(rf"(?:.*/)?(train|valid)_{side}x{side}/([^/]+\.png)", re.IGNORECASE)
    result, seen = {"train": [], "validation": []}, set()
    for name in tree.members:
        match = pattern.fullmatch(name)
        if not match:
            continue
        file = f"{match[1].lower()}_{side}x{side}/{match[2]}"
        if file in seen:
            skip("images listed twice")
            continue
        seen.add(file)
        split = "train" if match[1].lower() == "train" else "validation"
        result[split].append(Task(file, name, {"file": file}))
    if not seen:
        raise UserError(
            f"{tree.source} holds no train_{side}x{side} and no valid_{side}x{side}; give the "
            "folder of the two tars"
        )
    return result


def _single(task, content, side):
    content = content_bytes(content)
    image = images.decoded(content)
    if image.size != (side, side):
        raise Skipped(f"images that are not {side}x{side}")
    if images.opened(content).format != "PNG":
        content = images.encoded(image)
    yield task.key, {"image": content, **task.annotation}
