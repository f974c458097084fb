"""Readers of MPII's annotation in its three common layouts, as one list of people.

- `matlab`: the owners' `mpii_human_pose_v1_u12_1.mat`. Only this layout holds the head's rectangle
  and marks people who are alone.
- `json`: MSRA's `train.json` and `valid.json` (also `mpii_train.json` and `mpii_val.json`). Its
  `joints_vis` is 1 for every joint with a position; it does not say whether a joint is hidden.
- `h5`: Newell's `train.h5` and `valid.h5`. The file multiplies the scale by 5/4 and lowers the
  centre by 15 scales; the reader undoes both. Positions are whole pixels, (0, 0) if absent.

Positions in all three count from 1, as in Matlab.
"""

import io
import json
import math
from typing import Any, NamedTuple

import numpy as np

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools.archives import Tree
from tfrecords_tools.tasks import Skip

MATLAB = "mpii_human_pose_v1_u12_1.mat"
# Layout → split → possible names of its file.
FILES = {
    "json": {
        "validation": ("valid.json", "mpii_val.json"),
        "train": ("train.json", "mpii_train.json"),
    },
    "h5": {"validation": ("valid.h5",), "train": ("train.h5",)},
}
NUM_JOINTS = 16
H5_SCALE, H5_LOWERED = 1.25, 15


class Person(NamedTuple):
    """One annotated person, in pixels of the whole image, counted from 1.

    Attributes:
        image: the image's file name.
        centre: x and y of the person.
        scale: height of the person in units of 200 pixels.
        joints: float64 `[16, 3]`: x, y, and 1 if visible; zeros if absent.
        head: x1, y1, x2, y2 of the head's rectangle; None if the layout has none.
        split: "train" or "validation", by the file; "" in the layout `matlab`.
        is_alone: whether the layout marks the person as alone; True if it has no marks.
    """

    image: str
    centre: tuple[float, float]
    scale: float
    joints: np.ndarray
    head: tuple[float, float, float, float] | None
    split: str
    is_alone: bool


def layout_of(tree: Tree) -> tuple[str, dict[str, str]]:
    """The name of the source's layout, and dict split → its file. `matlab` has one split, "".

    Raises:
        UserError: if the source holds no annotation.
    """
    found = tree.find_all(MATLAB) or sorted(n for n in tree.members if _is_published(n))
    if found:
        return "matlab", {"": found[0]}
    for layout, splits in FILES.items():
        files = {}
        for split, names in splits.items():
            present = [path for name in names for path in tree.find_all(name)]
            if present:
                files[split] = present[0]
        if files:
            return layout, files
    raise UserError(
        f"{tree.source} holds no annotation of MPII; give a folder or archive with {MATLAB}, "
        "train.json and valid.json, or train.h5 and valid.h5"
    )


def read_people(tree: Tree, skip: Skip) -> tuple[str, list[Person]]:
    """Reads all annotated people, including those in images of several people.

    Args:
        tree: an `archives.Tree`.
        skip: a function of `(reason, count)`, called for images without annotation.

    Returns:
        The layout's name, and a list of `Person`, those of the validation file first.

    Raises:
        UserError: if there is no annotation, or if its file is damaged or has another layout.
    """
    layout, files = layout_of(tree)
    readers = {"matlab": _matlab, "json": _json, "h5": _h5}
    people = []
    for split, name in files.items():
        content = tree.read([name])[name]
        try:
            people += readers[layout](content, name, split, skip)
        except UserError:
            raise
        except Exception as error:  # the readers raise many types for unexpected data
            text = " ".join(str(error).split())[:200]
            raise UserError(
                f"{name}: not MPII's annotation in the layout {layout}: "
                f"{type(error).__name__}: {text}"
            ) from error
    return layout, people


def _is_published(name):
    base = name.rsplit("/", 1)[-1]
    return base.startswith("mpii_human_pose") and base.endswith(".mat")


def _matlab(content, name, split, skip):
    try:
        import scipy.io
    except ImportError as error:
        raise UserError(f"{name} needs SciPy: pip install 'ms_pixelcnn_tf[mpii]'") from error
    loaded = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True, struct_as_record=False)
    if "RELEASE" not in loaded:
        raise UserError(f"{name}: no RELEASE in it; give {MATLAB} of MPII's owners")
    release = loaded["RELEASE"]
    images = _listed(release.annolist)
    is_annotated = np.atleast_1d(getattr(release, "img_train", np.ones(len(images))))
    # One cell per image. loadmat squeezes the cell of a single image to its content.
    alone = getattr(release, "single_person", None)
    if alone is not None:
        alone = [alone] if len(images) == 1 else list(alone)
    if len(is_annotated) != len(images) or (alone is not None and len(alone) != len(images)):
        raise UserError(f"{name}: annolist, img_train and single_person differ in length")
    people = []
    for index, entry in enumerate(images):
        rectangles = _listed(getattr(entry, "annorect", None))
        annotated = [person for person in rectangles if _points(person)]
        if not is_annotated[index] or not annotated:
            skip("images without annotation")
            continue
        is_alone = len(rectangles) == 1 and (alone is None or np.size(alone[index]) == 1)
        for person in annotated:
            people.append(_matlab_person(str(entry.image.name), person, is_alone))
    return people


def _matlab_person(image, person, is_alone):
    joints = np.zeros((NUM_JOINTS, 3))
    for point in _points(person):
        joint = int(point.id)
        if not 0 <= joint < NUM_JOINTS:
            raise ValueError(f"joint {joint} in {image}; valid: 0 to {NUM_JOINTS - 1}")
        # Upper neck and head top have no flag: they come from the head's rectangle.
        flag = getattr(point, "is_visible", "")
        is_visible = np.size(flag) == 0 or str(flag).strip() in ("", "1", "1.0", "True")
        joints[joint] = _number(point.x), _number(point.y), is_visible
    place = getattr(person, "objpos", None)
    centre = _number(getattr(place, "x", ())), _number(getattr(place, "y", ()))
    scale = _number(getattr(person, "scale", ()))
    x1, y1, x2, y2 = (_number(getattr(person, side, ())) for side in ("x1", "y1", "x2", "y2"))
    return Person(image, centre, scale, joints, (x1, y1, x2, y2), "", is_alone)


def _points(person):
    points = getattr(getattr(person, "annopoints", None), "point", None)
    return [point for point in _listed(points) if hasattr(point, "id")]


def _listed(value):
    """A struct array as a list. loadmat squeezes it to an array, one struct or nothing."""
    return [] if value is None else list(np.atleast_1d(value))


def _number(value):
    """A float; NaN for an empty field."""
    return float(value) if np.size(value) == 1 else math.nan


def _json(content, name, split, skip):
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: not JSON: {error}") from error
    if not isinstance(rows, list):
        raise UserError(f"{name}: a {type(rows).__name__}; valid: a list of people")
    people = []
    for index, row in enumerate(rows):
        keys = ("image", "joints", "joints_vis", "scale", "center")
        missing = [key for key in keys if not isinstance(row, dict) or key not in row]
        if missing:
            # MSRA's test file holds images only.
            if isinstance(row, dict) and "image" in row and "joints" not in row:
                skip("images without annotation")
                continue
            raise UserError(f"{name}: person {index} has no {missing[0]}; valid: MSRA's layout")
        people.append(
            _person(
                name,
                index,
                split,
                row["image"],
                row["center"],
                row["scale"],
                row["joints"],
                row["joints_vis"],
            )
        )
    return people


def _h5(content, name, split, skip):
    import h5py

    keys = ("imgname", "part", "scale", "center")
    with h5py.File(io.BytesIO(content), "r") as file:
        missing = [key for key in keys if not _is_plain(file, key)]
        if missing:
            raise UserError(f"{name}: no data set {missing[0]}; valid: Newell's layout")
        names, parts, scales, centres = (_values(file, key) for key in keys)
        is_present = (parts != 0).any(-1)
        visible = _values(file, "visible") if _is_plain(file, "visible") else is_present
    if not len(names) == len(parts) == len(scales) == len(centres) == len(visible):
        raise UserError(f"{name}: its data sets differ in length")
    people = []
    for index, image in enumerate(names):
        scale = scales[index] / H5_SCALE
        centre = centres[index] - np.array([0, H5_LOWERED * scale])
        people.append(
            _person(
                name,
                index,
                split,
                _text(image),
                centre,
                scale,
                parts[index],
                visible[index] * is_present[index],
            )
        )
    return people


def _values(file, key) -> Any:
    return file[key][()]


def _is_plain(file, key):
    """Whether the key is a data set stored in the file itself; links could lead to any file."""
    import h5py

    if key not in file or not isinstance(file.get(key, getlink=True), h5py.HardLink):
        return False
    data = file[key]
    return isinstance(data, h5py.Dataset) and not data.external and not data.is_virtual


def _text(image):
    """A name as str, from bytes, str, or an array of character codes, as Torch writes it."""
    if isinstance(image, np.ndarray):
        image = bytes(int(code) for code in image if code)
    return image.decode("utf-8", "replace") if isinstance(image, bytes) else str(image)


def _person(name, index, split, image, centre, scale, joints, visible):
    joints = np.asarray(joints, "float64")
    visible, centre = np.asarray(visible, "float64"), np.asarray(centre, "float64")
    if (
        joints.shape != (NUM_JOINTS, 2)
        or visible.shape != (NUM_JOINTS,)
        or centre.shape != (2,)
        or not isinstance(image, str)
    ):
        raise UserError(
            f"{name}: person {index} has joints {joints.shape}, visibility {visible.shape} and "
            f"centre {centre.shape}; valid: (16, 2), (16,) and (2,)"
        )
    rows = np.concatenate([joints, (visible > 0)[:, None]], 1)
    # An absent joint is (-1, -1) in JSON and (0, 0) in h5; a hidden one has a position.
    absent = (visible <= 0) & (joints <= 0).all(-1)
    rows[absent] = 0
    return Person(image, (centre[0], centre[1]), float(scale), rows, None, split, True)
