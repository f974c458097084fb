"""MPII: three layouts of one annotation, and parts that move with the pixels."""

import collections
import io
import math
import os
import pathlib
import sys

import h5py
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ms_pixelcnn_tf.errors import UserError
from support.errors import refuses
from support.written_mpii import WIDTH, person, write_h5, write_images, write_json, write_mat
from tfrecords_tools.archives import Tree
from tfrecords_tools.build import build
from tfrecords_tools.builder import Options
from tfrecords_tools.mpii import OFF_CROP, OUTSIDE, PARTS, Mpii, _mirror
from tfrecords_tools.mpii_layouts import MATLAB, read_people
from tfrecords_tools.tasks import Skipped

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")
real = pytest.mark.skipif(not REAL, reason="needs MS_PIXELCNN_REAL_DATA")


def plan(source):
    skipped = collections.Counter()

    def skip(reason, count=1):
        skipped[reason] += count

    found = Mpii.plan(Tree(source), Options(64), skip).tasks
    return found, dict(skipped)


def tasks_of(found):
    return [task for tasks in found.values() for task in tasks]


def convert(source, task, image_size=64):
    """The example, and reasons of what was left out."""
    content = Tree(source).members[task.name]
    found = [example for _, example in Mpii.convert(Options(image_size), task, content)]
    reasons = [str(example) for example in found if isinstance(example, Skipped)]
    return next(e for e in found if not isinstance(e, Skipped)), reasons


def test_layouts_agree(tmp_path):
    people = [person(f"{n}.jpg", n, scale=0.7 + n / 10) for n in range(6)]
    people[1]["visible"][[0, 5]] = 0
    folders = {name: write_images(tmp_path / name, people) for name in "mat json h5 codes".split()}
    write_mat(folders["mat"] / MATLAB, [(one["image"], [one], [1]) for one in people])
    write_json(folders["json"] / "valid.json", people)
    write_h5(folders["h5"] / "valid.h5", people)
    write_h5(folders["codes"] / "valid.h5", people, codes=True)
    examples = {}
    for name, folder in folders.items():
        found, skipped = plan(folder)
        assert not skipped
        examples[name] = {task.key: convert(folder, task)[0] for task in tasks_of(found)}
    assert len(examples["mat"]) == 6
    for key, expected in examples["mat"].items():
        assert expected["keypoints"].shape == (17, 3) and expected["keypoints"].dtype == np.float32
        assert expected["keypoints"][16, 2] == 1
        for name in ("json", "h5", "codes"):
            keypoints = examples[name][key]["keypoints"]
            np.testing.assert_allclose(keypoints[:16], expected["keypoints"][:16], atol=1e-4)
            assert not keypoints[16].any()  # no head rectangle
            assert examples[name][key]["image"] == expected["image"]


@pytest.mark.parametrize("image_size", [256, 128])
@pytest.mark.parametrize("centre", [(160, 120), (120.25, 100.7), (30, 40)])
def test_keypoints_lie_on_the_painted_pixels(tmp_path, centre, image_size):
    one = person(scale=1.1, centre=np.array(centre, float))
    write_images(tmp_path, [one], paint=True)
    write_json(tmp_path / "train.json", [one])
    example, _ = convert(tmp_path, tasks_of(plan(tmp_path)[0])[0], image_size)
    pixels = np.asarray(Image.open(io.BytesIO(example["image"])))
    assert pixels.shape == (image_size, image_size, 3)
    seen = 0
    for joint, (x, y, visible) in enumerate(example["keypoints"][:16]):
        if visible:
            red, green, _ = pixels[int(y), int(x)].astype(int)
            if image_size == 256:
                assert red > 200 and abs(green - 10 * joint) < 25
            assert red > 120
            seen += 1
    assert seen == 16 if centre != (30, 40) else 0 < seen < 16


def test_the_square_is_as_large_as_told_and_black_outside(tmp_path):
    one = person(scale=1.5, centre=np.array([10.0, 120.0]))
    write_images(tmp_path, [one])
    write_json(tmp_path / "valid.json", [one])
    side = math.ceil(1.5 * 220)
    example, _ = convert(tmp_path, tasks_of(plan(tmp_path)[0])[0], side)
    pixels = np.asarray(Image.open(io.BytesIO(example["image"])))
    image_starts = side // 2 - 10 + 1  # the 10th pixel from 1 is in the middle
    assert abs(int(np.argmax(pixels[side // 2, :, 0] > 0)) - image_starts) <= 1
    assert not pixels[:, : image_starts - 2].any()


@pytest.mark.parametrize(
    "flag", [lambda v: str(int(v)), lambda v: int(v), lambda v: float(v), lambda v: np.uint8(v)]
)
def test_hidden_joints_keep_their_place(tmp_path, flag):
    one = person(hidden=True)
    one["visible"][[3, 8]] = 0
    write_images(tmp_path, [one])
    write_mat(tmp_path / MATLAB, [("a.jpg", [one], [1])], flag)
    keypoints = convert(tmp_path, tasks_of(plan(tmp_path)[0])[0])[0]["keypoints"]
    assert keypoints[3, 2] == 0 and keypoints[3, :2].all()
    assert keypoints[8, 2] == 1  # an empty flag: it has none, and a place
    assert keypoints[:, 2].sum() == 16


def test_matlab_skips(tmp_path):
    people = {name: person(name) for name in ("one.jpg", "two.jpg", "near.jpg", "gone.jpg")}
    write_images(tmp_path, list(people.values())[:3])
    write_mat(
        tmp_path / MATLAB,
        [
            ("one.jpg", [people["one.jpg"]], [1]),
            ("two.jpg", [people["two.jpg"], person(seed=2)], [1, 2]),
            ("near.jpg", [people["near.jpg"]], []),
            ("gone.jpg", [people["gone.jpg"]], [1]),
            ("test.jpg", None, [1]),
            ("empty.jpg", [], []),
            ("nobody.jpg", [person(visible=np.zeros(16))], [1]),
            ("one.jpg", [people["one.jpg"]], [1]),
        ],
    )
    found, skipped = plan(tmp_path)
    assert [task.key for task in tasks_of(found)] == ["one.jpg"]
    assert skipped == {
        "images without annotation": 3,
        "people listed twice": 1,
        "images of several people": 2,
        "images listed but absent": 1,
    }


def test_points_that_cannot_be_are_left_out_and_counted(tmp_path):
    one = person(scale=0.5)
    one["joints"][:3] = [math.nan, 50], [WIDTH + 1, 50], [-20, 50]
    one["joints"][3:] = 150, 110
    write_images(tmp_path, [one])
    write_json(tmp_path / "valid.json", [one])
    example, reasons = convert(tmp_path, tasks_of(plan(tmp_path)[0])[0])
    assert not example["keypoints"][:3].any() and example["keypoints"][3:16, 2].all()
    assert np.isfinite(example["keypoints"]).all() and reasons == [OUTSIDE]
    one["joints"][:3] = 5, 5  # in the image, not in the square
    write_json(tmp_path / "valid.json", [one])
    example, reasons = convert(tmp_path, tasks_of(plan(tmp_path)[0])[0])
    assert not example["keypoints"][:3].any() and reasons == [OFF_CROP]


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"scale": -1.0}, "without"),
        ({"scale": math.nan}, "without"),
        ({"scale": 1e6}, "impossible scale"),
        ({"scale": 1e-9}, "impossible scale"),
        ({"centre": np.array([math.inf, 0])}, "without"),
        ({"centre": np.array([1e30, 0])}, "outside"),
    ],
)
def test_people_who_are_nowhere_are_skipped(tmp_path, changes, reason):
    one = person(**changes)
    write_images(tmp_path, [one])
    write_json(tmp_path / "valid.json", [one])
    with refuses("people", reason, error=Skipped):
        convert(tmp_path, tasks_of(plan(tmp_path)[0])[0])


def test_a_damaged_image_is_skipped(tmp_path):
    one = person()
    path = write_images(tmp_path, [one]) / "images" / "a.jpg"
    path.write_bytes(path.read_bytes()[:100])
    write_json(tmp_path / "valid.json", [one])
    with refuses("damaged", error=Skipped):
        convert(tmp_path, tasks_of(plan(tmp_path)[0])[0])


def test_splits_are_disjoint_and_a_tenth_each(tmp_path):
    names = [f"{n:09d}.jpg" for n in range(1000)]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / name).touch()
    people = [person(name) for name in names]
    for files, parts in (
        ({"train.json": people}, (0.8, 0.1, 0.1)),
        ({"train.json": people[200:], "valid.json": people[:200]}, (0.72, 0.2, 0.08)),
        ({"valid.json": people}, (0, 1, 0)),
    ):
        for name in ("train.json", "valid.json"):
            (tmp_path / name).unlink(missing_ok=True)
        for name, listed in files.items():
            write_json(tmp_path / name, listed)
        found, _ = plan(tmp_path)
        keys = [task.key for task in tasks_of(found)]
        assert sorted(keys) == names
        for split, part in zip(("train", "validation", "test"), parts, strict=True):
            assert abs(len(found[split]) / 1000 - part) < 0.03
    # Someone in both files is in validation only.
    write_json(tmp_path / "train.json", people)
    found, skipped = plan(tmp_path)
    assert skipped == {"people listed twice": 1000} and len(found["validation"]) == 1000


def test_several_people_in_one_image_over_two_files(tmp_path):
    write_images(tmp_path, [person()])
    write_json(tmp_path / "train.json", [person(), person("b.jpg")])
    write_json(tmp_path / "valid.json", [person(seed=1)])
    found, skipped = plan(tmp_path)
    assert not tasks_of(found)
    assert skipped == {"images of several people": 1, "images listed but absent": 1}


@pytest.mark.parametrize("place", ["text_c10/walking/{}.jpg.txt", "x/captions/{}.txt"])
def test_captions(tmp_path, place):
    write_images(tmp_path, [person("a.jpg"), person("b.jpg", 1)])
    write_json(tmp_path / "valid.json", [person("a.jpg"), person("b.jpg", 1)])
    assert all(task.annotation["captions"] == [] for task in tasks_of(plan(tmp_path)[0]))
    path = tmp_path / place.format("a")
    path.parent.mkdir(parents=True)
    path.write_text("a man walks\n\n two\nthree\n")
    found, skipped = plan(tmp_path)
    assert [task.annotation["captions"] for task in tasks_of(found)] == [
        ["a man walks", "two", "three"]
    ]
    assert skipped == {"images without captions": 1}


def test_a_flip_swaps_left_and_right():
    mirror = _mirror(PARTS)
    assert [mirror[index] for index in mirror] == list(range(17))
    for index, name in enumerate(PARTS):
        other = PARTS[mirror[index]]
        if "left" in name or "right" in name:
            assert other == name.replace("left", "@").replace("right", "left").replace("@", "right")
        else:
            assert other == name


@pytest.mark.parametrize(
    "name, content",
    [
        ("valid.json", b'[{"image": "a.jpg", "joints": [[1, 2'),
        ("valid.json", b"{}"),
        ("valid.json", b"\xff\xfe\x00"),
        ("valid.json", b"[" * 100000),
        ("valid.json", b'[{"joints": []}]'),
        (
            "valid.json",
            b'[{"image": "a", "joints": [[1, 2]], "joints_vis": [1], "scale": 1, '
            b'"center": [1, 2]}]',
        ),
        (
            "valid.json",
            b'[{"image": "a", "joints": "x", "joints_vis": 1, "scale": {}, "center": 0}]',
        ),
        ("valid.h5", b"\x89HDF\r\n\x1a\n" + bytes(50)),
        ("valid.h5", b""),
        (MATLAB, b"MATLAB 5.0" + bytes(200)),
        (MATLAB, b""),
    ],
)
def test_what_is_no_annotation_is_told_in_a_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refuses(name):
        plan(tmp_path)


def test_cut_annotation_raises_nothing_else(tmp_path):
    one = person()
    write_mat(tmp_path / MATLAB, [("a.jpg", [one], [1])])
    write_h5(tmp_path / "valid.h5", [one])
    contents = {name: (tmp_path / name).read_bytes() for name in (MATLAB, "valid.h5")}
    for name, whole in contents.items():
        folder = tmp_path / name.split(".")[-1]
        folder.mkdir()
        for length in range(0, len(whole), len(whole) // 60):
            (folder / name).write_bytes(whole[:length])
            try:
                plan(folder)
            except UserError as error:
                assert "\n" not in str(error)


def test_h5_links_are_not_followed(tmp_path):
    write_h5(tmp_path / "other", [person()])
    write_h5(tmp_path / "valid.h5", [person()])
    with h5py.File(tmp_path / "valid.h5", "a") as file:
        del file["part"]
        file["part"] = h5py.ExternalLink(str(tmp_path / "other"), "/part")
    with refuses("valid.h5", "data set", "part"):
        plan(tmp_path)


def test_no_annotation_and_no_scipy(tmp_path, monkeypatch):
    with refuses(tmp_path, MATLAB, "train.json", "train.h5"):
        plan(tmp_path)
    write_mat(tmp_path / MATLAB, [("a.jpg", [person()], [1])])
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with refuses(MATLAB, "SciPy", "ms_pixelcnn_tf[mpii]"):
        plan(tmp_path)


def test_build(tmp_path):
    people = [person(f"{n}.jpg", n) for n in range(40)]
    source = write_images(tmp_path / "source", people)
    write_mat(source / MATLAB, [(one["image"], [one], [1]) for one in people])
    summary = build("mpii", source, tmp_path / "out", image_size=32)
    assert sum(summary.examples.values()) == 40 and set(summary.examples) >= {"train"}
    builder = tfds.builder_from_directory(summary.path)
    metadata = builder.info.metadata
    assert metadata["layout"] == "matlab" and metadata["square"] is True
    assert metadata["num_captions"] == 0
    assert tuple(metadata["keypoint_names"]) == PARTS
    assert tuple(metadata["keypoint_mirror"]) == _mirror(PARTS)
    files = set()
    for split in summary.examples:
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            assert example["image"].shape == (32, 32, 3) and example["keypoints"].shape == (17, 3)
            files.add(example["file"])
    assert len(files) == 40


@real
def test_real_images_agree_with_newells(tmp_path):
    """MSRA's five people and Newell's annotation of the same: one square, one place a joint."""
    sample = pathlib.Path(REAL) / "mpii" / "mmpose_sample"
    for layout, (name, path) in {
        "json": ("valid.json", sample / "test_mpii.json"),
        "h5": ("valid.h5", sample.parent / "annot" / "valid.h5"),
    }.items():
        (tmp_path / layout).mkdir()
        (tmp_path / layout / name).symlink_to(path)
        (tmp_path / layout / "images").symlink_to(sample)
        for image in sample.glob("*.jpg"):
            (tmp_path / layout / image.name).symlink_to(image)
    examples = {}
    for layout in ("json", "h5"):
        found, skipped = plan(tmp_path / layout)
        if layout == "h5":
            assert skipped == {"images of several people": 215, "images listed but absent": 2509}
        examples[layout] = {
            task.key: convert(tmp_path / layout, task, 256)[0] for task in tasks_of(found)
        }
    assert len(examples["json"]) == 5 and set(examples["json"]) == set(examples["h5"])
    for key, expected in examples["json"].items():
        found = examples["h5"][key]
        assert found["image"] == expected["image"]
        assert (found["keypoints"][:, 2] <= expected["keypoints"][:, 2]).all()
        np.testing.assert_allclose(found["keypoints"], expected["keypoints"], atol=1.01)


@real
def test_real_people_of_newell():
    people = read_people(Tree(pathlib.Path(REAL) / "mpii" / "annot"), lambda *_: None)[1]
    assert len(people) == 2958 and len({one.image for one in people}) == 2729
    first = people[0]
    assert first.image == "005808361.jpg"
    assert first.scale == pytest.approx(4.718488) and first.centre == pytest.approx((966, 340))
    assert sum(one.joints[:, :2].any(-1).sum() for one in people) == 2958 * 16 - 3088
