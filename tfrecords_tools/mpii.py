"""MPII Human Pose: photographs of one person each, with 17 parts and optional captions.

Source: a folder or archive that holds the images and their annotation in one of three layouts. The
first that is found is read: the owners' `mpii_human_pose_v1_u12_1.mat`, MSRA's JSON, Newell's h5
(`mpii_layouts`). Captions are optional: put them in a folder `text_c10` or `captions` anywhere, in
one file per image, `<image name>.txt`, with one caption per line. (The archive of Reed et al.'s
three captions per image is no longer available, and its layout is unknown.)

Parts: MPII's 16 joints in the order of their ids, and the centre of the head's rectangle. Only the
owners' layout holds the rectangle; in the others this part is never visible.

Only images of a single person are used: in the owners' layout those with one rectangle and one
person in `single_person`, in the others those with one distinct person. The stored image is a
square around the person, with a side of scale × 200 × 1.1 pixels, rounded up, and black outside the
source image.

Splits: MPII's own test images have no annotation. If the annotation has a train and a validation
file, validation is the validation file, and test is a tenth of train. If it has the validation file
only, all images are validation. Otherwise validation and test are a tenth each. The SHA-256 of the
image's name decides which images form a tenth.

Reference: Andriluka et al. (2014), 2D Human Pose Estimation: New Benchmark and State of the Art
Analysis.
"""

import hashlib
import math

import numpy as np
import tensorflow_datasets as tfds

from ms_pixelcnn_tf.data import decode
from tfrecords_tools import images
from tfrecords_tools.archives import Content, Tree, content_bytes
from tfrecords_tools.builder import Description, Options, PaperBuilder
from tfrecords_tools.mpii_layouts import read_people
from tfrecords_tools.tasks import Examples, Plan, Skip, Skipped, Task, fewest

JOINTS = (
    "right ankle",
    "right knee",
    "right hip",
    "left hip",
    "left knee",
    "left ankle",
    "pelvis",
    "thorax",
    "upper neck",
    "head top",
    "right wrist",
    "right elbow",
    "right shoulder",
    "left shoulder",
    "left elbow",
    "left wrist",
)
PARTS = (*JOINTS, "head centre")
SIDE = 256
CAPTIONS = ("text_c10", "captions")
ENDINGS = (".jpg", ".jpeg", ".png")
OUTSIDE = "images with keypoints outside the image, left out"
OFF_CROP = "images with keypoints outside the square around the person, left out"


def _mirror(names: tuple[str, ...]):
    """For each part, the index of the part that it becomes in a mirrored image."""
    swap = {"left": "right", "right": "left"}
    return tuple(
        names.index(" ".join(swap.get(word, word) for word in name.split())) for name in names
    )


class Mpii(PaperBuilder):
    """The MPII builder. Features of an example:

    - "image": the square around the person, with a side of `image_size` pixels; 256 if that is 0.
    - "captions": all captions; empty if the source has none.
    - "keypoints": float32 `[17, 3]`: x and y in pixels of the stored image, with the origin at the
      upper left corner of the upper left pixel, and 1 if the part is visible. A hidden part keeps
      its position, with a 0. A part that is absent or outside the image or square is (0, 0, 0).
    - "file": the image's file name.

    MPII counts pixels from 1: its position n is the middle of the n-th pixel, n - 0.5 here.
    """

    name = "mpii"

    @staticmethod
    def describe(options: Options) -> Description:
        side = options.image_size or SIDE
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(side, side, 3)),
                "captions": tfds.features.Sequence(tfds.features.Text()),
                "keypoints": tfds.features.Tensor(shape=(len(PARTS), 3), dtype=np.float32),
                "file": tfds.features.Text(),
            }
        )
        line = f"MPII Human Pose, single people, square around the person, {side}x{side}"
        return (
            line,
            features,
            {
                "keypoint_names": PARTS,
                "keypoint_mirror": _mirror(PARTS),
                "square": True,
                "crop_rule": "side = ceil(scale * 200 * 1.1), centred on the person; black outside",
                "split_rule": "own validation file if any, else tenths by SHA-256 of the name",
                "visibility_rule": (
                    "as annotated; the layout json tells absent joints only; the head centre is in "
                    "the layout matlab only"
                ),
            },
        )

    @staticmethod
    def plan(tree: Tree, options: Options, skip: Skip) -> Plan:
        layout, people = read_people(tree, skip)
        members, captions = _images(tree), _captions(tree)
        has_train = {person.split for person in people} >= {"train", "validation"}
        plan = {"train": [], "validation": [], "test": []}
        for file, (person, *others) in _by_image(people, skip).items():
            stem = file.rsplit(".", 1)[0]
            if others or not person.is_alone:
                skip("images of several people")
            elif file not in members:
                skip("images listed but absent")
            elif captions is not None and not captions.get(stem):
                skip("images without captions")
            else:
                keypoints = np.concatenate([person.joints, [_head_centre(person.head)]])
                annotation = {
                    "captions": (captions or {}).get(stem, []),
                    "keypoints": keypoints,
                    "centre": person.centre,
                    "scale": person.scale,
                    "file": file,
                }
                split = _split(file, person.split, has_train)
                plan[split].append(Task(file, members[file], annotation))
        return Plan(plan, {"layout": layout, "num_captions": fewest(captions)})

    @staticmethod
    def convert(options: Options, task: Task, content: Content) -> Examples:
        annotation = dict(task.annotation)
        centre, scale = np.array(annotation.pop("centre")) - 0.5, annotation.pop("scale")
        image = images.decoded(content_bytes(content))
        box = _square(image, centre, scale)
        keypoints = np.array(annotation["keypoints"], "float64")
        present = keypoints.any(-1)
        keypoints[:, :2] -= 0.5
        in_image = _inside(keypoints, (0, 0, *image.size))
        in_box = _inside(keypoints, box)
        if (present & ~in_image).any():
            yield task.key, Skipped(OUTSIDE)
        if (present & in_image & ~in_box).any():
            yield task.key, Skipped(OFF_CROP)
        side = options.image_size or SIDE
        keypoints[:, :2] = (keypoints[:, :2] - box[:2]) * (side / (box[2] - box[0]))
        keypoints[~(present & in_image & in_box)] = 0
        stored = decode.resize(image.crop(box), (side, side))
        yield (
            task.key,
            {
                **annotation,
                "image": images.encoded(stored),
                "keypoints": keypoints.astype("float32"),
            },
        )


def _by_image(people, skip):
    """dict file name → list of the distinct people in it, over all splits."""
    found = {}
    for person in people:
        file = person.image.replace("\\", "/").rsplit("/", 1)[-1]
        key = (*person.centre, person.scale, person.joints.tobytes())
        if key in found.setdefault(file, {}):
            skip("people listed twice")
        found[file].setdefault(key, person)
    return {file: list(by_key.values()) for file, by_key in found.items()}


def _images(tree):
    """dict file name → full name in the source, for all images; the one nearest to the top."""
    names = [name for name in tree.members if name.lower().endswith(ENDINGS)]
    found = {}
    for name in sorted(names, key=lambda name: (name.count("/"), name)):
        found.setdefault(name.rsplit("/", 1)[-1], name)
    return found


def _captions(tree):
    """dict image name without ending → its captions; None if the source has no captions."""
    names = [
        name
        for name in tree.members
        if name.endswith(".txt") and any(folder in name.split("/")[:-1] for folder in CAPTIONS)
    ]
    if not names:
        return None
    found = {}
    for name, content in tree.read(names).items():
        stem = name.rsplit("/", 1)[-1][: -len(".txt")]
        if stem.lower().endswith(ENDINGS):
            stem = stem.rsplit(".", 1)[0]
        lines = content.decode("utf-8", "replace").splitlines()
        found[stem] = [line.strip() for line in lines if line.strip()]
    return found


def _head_centre(head):
    if head is None or not all(map(math.isfinite, head)):
        return 0.0, 0.0, 0.0
    return (head[0] + head[2]) / 2, (head[1] + head[3]) / 2, 1.0


def _split(file, told, has_train):
    """The split of an image, by the rule in the module's docstring."""
    if told == "validation":
        return told
    part = int.from_bytes(hashlib.sha256(file.encode()).digest()[:8], "big") / 2**64
    if has_train:
        return "test" if part < 0.1 else "train"
    return "validation" if part < 0.1 else "test" if part < 0.2 else "train"


def _square(image, centre, scale):
    """The square around a person: (left, top, right, bottom) in whole pixels.

    It may extend beyond the image.

    Raises:
        Skipped: if the annotation gives no usable square, or one outside the image.
    """
    if not (math.isfinite(scale) and scale > 0 and np.isfinite(centre).all()):
        raise Skipped("people without a place and a scale")
    # Bounds the memory of the crop, whatever the annotation says.
    if scale * 220 > math.sqrt(decode.MAX_PIXELS):
        raise Skipped("people of an impossible scale")
    # Rounded first: the layouts differ in the last digits but must give the same square.
    side = math.ceil(round(scale * 200 * 1.1, 3))
    if not side:
        raise Skipped("people of an impossible scale")
    left, top = (math.floor(round(value - side / 2 + 0.5, 3)) for value in centre)
    if left >= image.width or top >= image.height or left + side <= 0 or top + side <= 0:
        raise Skipped("people outside their image")
    return left, top, left + side, top + side


def _inside(points, box):
    """Whether each point is in the box; false for NaN."""
    x, y = points[:, 0], points[:, 1]
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
