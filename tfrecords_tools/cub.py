"""CUB-200-2011: birds of 200 classes with 15 parts, and Reed et al.'s ten captions per image.

Source: a folder that holds `CUB_200_2011` (or `CUB_200_2011.tgz`). For captions, put Reed et al.'s
`cvpr2016_cub` (or its tar) next to it, with one caption per line in `text_c10/<class>/<image>.txt`.
Its `.t7` and `.h5` files hold the same captions in other forms and are not read.

Splits: in `disjoint`, as in the paper, train (100 classes), validation (50) and test (50) share no
class. The classes are read from `trainclasses.txt`, `valclasses.txt` and `testclasses.txt` if the
source has them. Otherwise the test classes are read from StackGAN's `test/filenames.pickle`. The
class's number decides the split of all other classes; the counts may then differ. `official` is
CUB's own train and test, which share all classes, with a tenth of the train images as validation.

Reference: Wah et al. (2011); Reed et al. (2016), Learning deep representations of fine-grained
visual descriptions.
"""

import hashlib
import math

import numpy as np
import tensorflow_datasets as tfds

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import images
from tfrecords_tools.archives import Content, Tree, content_bytes
from tfrecords_tools.builder import Description, Options, PaperBuilder
from tfrecords_tools.pickles import loads
from tfrecords_tools.tasks import Examples, Plan, Skip, Skipped, Task, fewest

PARTS = (
    "back",
    "beak",
    "belly",
    "breast",
    "crown",
    "forehead",
    "left eye",
    "left leg",
    "left wing",
    "nape",
    "right eye",
    "right leg",
    "right wing",
    "tail",
    "throat",
)
NUM_CLASSES = 200
SPLIT_LISTS = ("trainclasses.txt", "valclasses.txt", "testclasses.txt", "test/filenames.pickle")
MIRROR = tuple(
    PARTS.index(part.replace("left", "·").replace("right", "left").replace("·", "right"))
    for part in PARTS
)
OUTSIDE = "keypoints outside their image, left out"


class Cub(PaperBuilder):
    """The CUB builder. Features of an example:

    - "image": the source image, or resized to a shorter side of `image_size` pixels.
    - "label": 0…199, the class's number minus one.
    - "captions": all captions; empty if the source has none.
    - "keypoints": float32 `[15, 3]`: x and y in pixels of the stored image, with the origin at the
      upper left corner of the upper left pixel, and 1 if the part is visible; (0, 0, 0) if not.
    - "box": float32 `[4]`: x, y, width and height of the bird, in pixels of the stored image.
    - "file": the image's path below `images/`.
    """

    name = "cub"
    variants = ("disjoint", "official")

    @staticmethod
    def describe(options: Options) -> Description:
        size = f"shorter side {options.image_size}" if options.image_size else "source resolution"
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
                "captions": tfds.features.Sequence(tfds.features.Text()),
                "keypoints": tfds.features.Tensor(shape=(len(PARTS), 3), dtype=np.float32),
                "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                "file": tfds.features.Text(),
            }
        )
        line = f"CUB-200-2011, {options.variant} split, {size}"
        return line, features, {"keypoint_names": PARTS, "keypoint_mirror": MIRROR}

    @staticmethod
    def plan(tree: Tree, options: Options, skip: Skip) -> Plan:
        listing = tree.find("images.txt", "give the folder or archive of CUB_200_2011")
        top = listing[: -len("images.txt")]
        tables = {
            name: f"{top}{name}.txt"
            for name in (
                "images",
                "image_class_labels",
                "bounding_boxes",
                "train_test_split",
                "classes",
                "parts/part_locs",
            )
        }
        missing = [path for path in tables.values() if path not in tree.members]
        if missing:
            raise UserError(f"{tree.source} holds no {missing[0]}; give all of CUB_200_2011")
        texts = {name: tree.text(path) for name, path in tables.items()}
        paths = {row[0]: row[1] for row in _rows(texts["images"], tables["images"], 2)}
        labels = _numbers(texts, tables, "image_class_labels", 1)
        boxes = _numbers(texts, tables, "bounding_boxes", 4)
        official = _numbers(texts, tables, "train_test_split", 1)
        classes = {row[0]: row[1] for row in _rows(texts["classes"], tables["classes"], 2)}
        parts = _parts(texts["parts/part_locs"], tables["parts/part_locs"])
        captions = _captions(tree)
        splits = _class_splits(tree, classes)

        plan, seen = {"train": [], "validation": [], "test": []}, set()
        for number, path in paths.items():
            name = f"{top}images/{path}"
            if name not in tree.members:
                skip("images listed but absent")
            elif path in seen:
                skip("images listed twice")
            elif captions is not None and not captions.get(path):
                skip("images without captions")
            elif number not in labels or number not in boxes or number not in official:
                skip("images without annotation")
            else:
                label = int(labels[number][0])
                if not 1 <= label <= NUM_CLASSES:
                    raise UserError(
                        f"{tables['image_class_labels']}: class {label} of image {number}; valid: "
                        f"1 to {NUM_CLASSES}"
                    )
                if options.variant == "official":
                    split = _official_split(path, official[number][0])
                else:
                    split = splits[label]
                annotation = {
                    "label": label - 1,
                    "captions": (captions or {}).get(path, []),
                    "keypoints": parts.get(number, np.zeros((len(PARTS), 3), "float32")),
                    "box": boxes[number],
                    "file": path,
                }
                plan[split].append(Task(path, name, annotation))
            seen.add(path)
        rule = "CUB's own, a tenth of train for validation"
        if options.variant == "disjoint":
            told = [name for name in SPLIT_LISTS if tree.find_all(name)]
            rule = " and ".join([*told, "the class's number"])
        return Plan(
            plan,
            {
                "split_rule": rule,
                "class_names": list(classes.values()),
                "num_captions": fewest(captions),
            },
        )

    @staticmethod
    def convert(options: Options, task: Task, content: Content) -> Examples:
        content = content_bytes(content)
        image = images.decoded(content)
        keypoints = np.array(task.annotation["keypoints"], "float32")
        visible = keypoints[:, 2] > 0
        x, y = keypoints[:, 0], keypoints[:, 1]
        inside = (x >= 0) & (x < image.width) & (y >= 0) & (y < image.height)  # false for NaN
        if (visible & ~inside).any():
            yield task.key, Skipped(OUTSIDE)
        keypoints[~(visible & inside)] = 0
        box = np.array(task.annotation["box"], "float32")
        if options.image_size:
            content, scale = images.shorter_side(image, options.image_size)
            keypoints[:, :2] *= scale
            box *= np.tile(scale, 2)
        yield task.key, {**task.annotation, "image": content, "keypoints": keypoints, "box": box}


def _rows(text, path, columns):
    """Yields the fields of each line; the last field takes the rest of the line."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            fields = line.split(maxsplit=columns - 1)
            if len(fields) != columns:
                raise UserError(f"{path}, line {number}: {len(fields)} fields; valid: {columns}")
            yield fields


def _numbers(texts, tables, name, columns):
    """dict image id → list of finite floats."""
    found = {}
    for key, *values in _rows(texts[name], tables[name], 1 + columns):
        try:
            found[key] = [float(value) for value in values]
        except ValueError as error:
            raise UserError(f"{tables[name]}, image {key}: {error}") from error
        if not all(map(math.isfinite, found[key])):
            raise UserError(f"{tables[name]}, image {key}: a value is not finite")
    return found


def _parts(text, path):
    """dict image id → float32 `[15, 3]`. `convert` handles values that are not finite."""
    found = {}
    for key, part, *values in _rows(text, path, 5):
        try:
            number, values = int(part), [float(value) for value in values]
        except ValueError as error:
            raise UserError(f"{path}, image {key}: {error}") from error
        if not 1 <= number <= len(PARTS):
            raise UserError(f"{path}, image {key}: part {number}; valid: 1 to {len(PARTS)}")
        found.setdefault(key, np.zeros((len(PARTS), 3), "float32"))[number - 1] = values
    return found


def _captions(tree):
    """dict image path → its captions; None if the source has no captions."""
    names = [name for name in tree.members if "/text_c10/" in f"/{name}" and name.endswith(".txt")]
    if not names:
        return None
    found = {}
    for name, content in tree.read(names).items():
        path = f"/{name}".rsplit("/text_c10/", 1)[1][: -len(".txt")] + ".jpg"
        lines = content.decode("utf-8", "replace").splitlines()
        found[path] = [line.strip() for line in lines if line.strip()]
    return found


def _class_splits(tree, classes):
    """dict class number → split, by the rule of `disjoint` in the module's docstring."""
    rest = [number for number in range(1, NUM_CLASSES + 1)]
    splits = {}
    lists = {"train": "trainclasses.txt", "validation": "valclasses.txt", "test": "testclasses.txt"}
    for split, file in lists.items():
        for name in tree.find_all(file)[:1]:
            for line in tree.text(name).split():
                splits[_class_number(line, classes, name)] = split
    if not splits:
        for name in tree.find_all("test/filenames.pickle")[:1]:
            for path in loads(tree.read([name])[name], name):
                splits[_class_number(str(path).split("/")[0], classes, name)] = "test"
    by_number = {0: "test", 1: "validation"}
    told = set(splits.values())
    for number in rest:
        split = by_number.get(number % 4, "train")
        if number not in splits:
            # With known test and unknown validation classes, a third of the rest is validation.
            if "test" in told:
                split = "validation" if number % 3 == 0 and "validation" not in told else "train"
            splits[number] = split
    return splits


def _class_number(line, classes, name):
    try:
        number = int(line.split(".")[0])
    except ValueError:
        number = 0
    if not 1 <= number <= NUM_CLASSES:
        one = next(iter(classes.values()))
        raise UserError(f"{name}: {line!r} is no class; valid: such as {one}")
    return number


def _official_split(path, is_train):
    if not is_train:
        return "test"
    tenth = hashlib.sha256(path.encode()).digest()[0] < 256 / 10
    return "validation" if tenth else "train"
