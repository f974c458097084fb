"""CUB: keypoints on the right pixels, captions with their images, classes apart, faults told."""

import os
import pathlib
import pickle
import shutil
import tarfile

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from support.errors import missing_facts, refuses
from support.written_cub import CLASSES, PART_NAMES, colour_of, write_cub
from tfrecords_tools.archives import Tree
from tfrecords_tools.build import build
from tfrecords_tools.builder import Options
from tfrecords_tools.cub import MIRROR, PARTS, Cub
from tfrecords_tools.images import decoded
from tfrecords_tools.tasks import Skipped, converted, jobs_of

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")


class Skips(dict):
    def __call__(self, reason, count=1):
        self[reason] = self.get(reason, 0) + count


def plan_of(root, variant="disjoint"):
    skips = Skips()
    return Cub.plan(Tree(root), Options(0, variant), skips).tasks, skips


def examples_of(root, image_size=0):
    """(key, example or Skipped) of all images."""
    options, tree = Options(image_size, "disjoint"), Tree(root)
    plan = Cub.plan(tree, options, Skips()).tasks
    tasks = [task for tasks in plan.values() for task in tasks]

    def convert(task, content):
        return Cub.convert(options, task, content)

    return [found for job in jobs_of(tree, tasks) for found in converted(convert, *job)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    return root, write_cub(root)


@pytest.fixture
def copy(source, tmp_path):
    """A CUB to do damage to."""
    shutil.copytree(source[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("built")
    return build("cub", source[0], out), out


def change(path, line, text):
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines) + "\n")


def test_build_and_read_back(built, source):
    summary, out = built
    assert summary.is_new and sum(summary.examples.values()) == 12 and summary.skips == "none"
    cub = data.load("cub", data_dir=str(out), image_size=64)
    assert "disjoint split" in cub.description
    assert cub.class_names == tuple(CLASSES) and cub.num_captions == 10
    assert cub.keypoint_names == tuple(PART_NAMES)
    files = set()
    for split in cub.splits:
        indices = np.arange(cub.size(split))
        examples = cub.examples(split, indices)
        assert examples["image"].shape == (len(indices), 64, 64, 3)
        for index, captions in zip(indices, examples["text"], strict=True):
            number = captions[0].rsplit(" ", 1)[1]
            assert captions == tuple(f"this is caption {n} of bird {number}" for n in range(10))
            path = cub.raw(split, index)["file"].decode()
            assert path.endswith(f"_{number}.jpg")
            assert path.startswith(CLASSES[examples["label"][index]])
            files.add(path)
    assert files == set(source[1])
    again = build("cub", source[0], out)
    assert not again.is_new and again.examples == summary.examples


@pytest.mark.parametrize("image_size", [(64, 64), (32, 32), (40, 60), (128, 128)])
@pytest.mark.parametrize("place", [None, (0.0, 0.0), (0.99, 0.99)])
def test_keypoints_stay_on_their_pixels_through_crop_and_resize(built, source, image_size, place):
    cub = data.load("cub", data_dir=str(built[1]), image_size=image_size)
    seen = 0
    for split in cub.splits:
        indices = np.arange(cub.size(split))
        places = None if place is None else np.tile(place, (len(indices), 1))
        examples = cub.examples(split, indices, ("image", "keypoints"), places=places)
        for image, points in zip(examples["image"].astype(int), examples["keypoints"], strict=True):
            for part, (x, y, visible) in enumerate(points):
                if not visible or part % 4 == 1:
                    assert not visible and x == y == 0
                    continue
                near = image[int(y), int(x)]
                others = [
                    other
                    for other in range(part + 1, 15)
                    if points[other, 2] and np.abs(points[other, :2] - (x, y)).max() < 8
                ]
                if not others:  # nothing drawn over it
                    assert np.abs(near - colour_of(part)).max() < 90, (part, near)
                    seen += 1
    assert seen > 40


def test_a_stored_size_moves_keypoints_and_boxes(source):
    whole = dict(examples_of(source[0]))
    for key, small in examples_of(source[0], image_size=32):
        image = stored_image(small)
        assert min(image.size) == 32
        scale = np.array(image.size) / stored_image(whole[key]).size
        np.testing.assert_allclose(
            small["keypoints"][:, :2], whole[key]["keypoints"][:, :2] * scale, rtol=1e-5
        )
        np.testing.assert_allclose(small["box"], whole[key]["box"] * np.tile(scale, 2), rtol=1e-5)


def stored_image(example):
    return decoded(example["image"])


def test_classes_are_apart_and_official_is_cubs_own(source):
    plan, _ = plan_of(source[0])
    classes = {split: {t.annotation["label"] for t in tasks} for split, tasks in plan.items()}
    assert classes["train"] and classes["validation"] and classes["test"]
    assert not classes["train"] & (classes["validation"] | classes["test"])
    assert not classes["validation"] & classes["test"]
    plan, _ = plan_of(source[0], "official")
    assert {int(t.key[-5]) for t in plan["test"]} and len(plan["test"]) == 8  # copies 0 and 2
    keys = [task.key for tasks in plan.values() for task in tasks]
    assert len(keys) == len(set(keys)) == 12


def test_class_lists_of_the_captions_decide(copy):
    (copy / "cvpr2016_cub" / "testclasses.txt").write_text(CLASSES[0] + "\n")
    (copy / "cvpr2016_cub" / "valclasses.txt").write_text(CLASSES[3] + "\n")
    (copy / "cvpr2016_cub" / "trainclasses.txt").write_text(f"{CLASSES[1]}\n{CLASSES[2]}\n")
    plan, _ = plan_of(copy)
    assert {t.annotation["label"] for t in plan["test"]} == {0}
    assert {t.annotation["label"] for t in plan["validation"]} == {3}
    assert {t.annotation["label"] for t in plan["train"]} == {1, 2}


def test_stackgans_pickle_decides_and_runs_nothing(copy):
    (copy / "test").mkdir()
    path = copy / "test" / "filenames.pickle"
    path.write_bytes(pickle.dumps([f"{CLASSES[1]}/Bird_0000_4"], protocol=0))
    plan, _ = plan_of(copy)
    assert {t.annotation["label"] for t in plan["test"]} == {1}
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(copy / "ran").encode() + b"'\ntR.")
    with refuses("test/filenames.pickle", "pickle", "system"):
        plan_of(copy)
    assert not (copy / "ran").exists()


def test_left_and_right_swap():
    assert [MIRROR[MIRROR[part]] for part in range(15)] == list(range(15))
    for part, name in enumerate(PARTS):
        other = PARTS[MIRROR[part]]
        assert other == name if "left" not in name and "right" not in name else other != name
        assert other.split()[-1] == name.split()[-1]


def test_the_same_from_a_tar_gz_and_by_two_workers(source, built, tmp_path):
    with tarfile.open(tmp_path / "CUB_200_2011.tgz", "w:gz") as tar:
        tar.add(source[0] / "CUB_200_2011", "CUB_200_2011")
    with tarfile.open(tmp_path / "captions.tar", "w") as tar:
        tar.add(source[0] / "cvpr2016_cub", "cvpr2016_cub")
    other = build("cub", tmp_path, tmp_path / "out", workers=2)
    for name in sorted(os.listdir(other.path)):
        if "tfrecord" in name:
            theirs = pathlib.Path(other.path, name).read_bytes()
            assert theirs == pathlib.Path(built[0].path, name).read_bytes(), name


def test_what_is_left_out_is_counted(copy):
    images = copy / "CUB_200_2011" / "images"
    paths = sorted(images.glob("*/*.jpg"))
    paths[0].unlink()
    paths[1].unlink()
    text = copy / "cvpr2016_cub" / "text_c10" / paths[2].parent.name
    (text / paths[2].with_suffix(".txt").name).unlink()
    listing = copy / "CUB_200_2011" / "images.txt"
    listing.write_text(listing.read_text() + f"99 {paths[4].parent.name}/{paths[4].name}\n")
    _, skips = plan_of(copy)
    assert skips == {
        "images listed but absent": 2,
        "images without captions": 1,
        "images listed twice": 1,
    }


@pytest.mark.parametrize(
    "content, reason",
    [(b"", "empty file"), (b"GIF89a", "neither JPEG nor PNG"), (None, "damaged image")],
)
def test_images_that_are_none_are_skipped(copy, content, reason):
    path = sorted((copy / "CUB_200_2011" / "images").glob("*/*.jpg"))[3]
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    found = [example for key, example in examples_of(copy) if key.endswith(path.name)]
    assert [str(example) for example in found] == [reason]


@pytest.mark.parametrize("x", ["nan", "inf", "-3.0", "5000.0"])
def test_a_keypoint_out_of_the_image_is_left_out_and_counted(copy, x):
    locations = copy / "CUB_200_2011" / "parts" / "part_locs.txt"
    change(locations, 2, f"1 3 {x} 10.0 1")
    found = [example for key, example in examples_of(copy) if key.endswith("_1.jpg")]
    assert isinstance(found[0], Skipped)
    assert not missing_facts(str(found[0]), "keypoints", "outside")
    assert (found[1]["keypoints"][2] == 0).all() and np.isfinite(found[1]["keypoints"]).all()
    assert found[1]["keypoints"][0, 2] == 1


@pytest.mark.parametrize(
    "name, text, facts",
    [
        ("image_class_labels.txt", "1 201", ("image 1", "class", 201, "1 to 200")),
        ("image_class_labels.txt", "1 x", ("image 1", "x")),
        ("bounding_boxes.txt", "1 1.0 2.0 3.0", ("line 1", 4, 5)),
        ("bounding_boxes.txt", "1 nan 2.0 3.0 4.0", ("image 1", "finite")),
        ("parts/part_locs.txt", "1 16 3.0 3.0 1", ("image 1", "part", 16, "1 to 15")),
    ],
)
def test_annotation_that_is_none_is_told(copy, name, text, facts):
    change(copy / "CUB_200_2011" / name, 0, text)
    with refuses(f"CUB_200_2011/{name}", *facts):
        plan_of(copy)


def test_a_missing_table_is_told(copy):
    (copy / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    with refuses(copy, "CUB_200_2011/bounding_boxes.txt"):
        plan_of(copy)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The 200 real images with the full annotation, built."""
    out = tmp_path_factory.mktemp("real")
    summary = build("cub", f"{REAL}/cub", out)
    assert summary.skips == "11,588 images listed but absent"
    assert sum(summary.examples.values()) == 200
    return data.load("cub", data_dir=str(out), image_size=64)


@pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
class TestReal:
    def test_every_visible_part_is_where_the_annotation_says(self, real):
        """Against an independent reading of the tables, at full size and after the crop."""
        top = pathlib.Path(REAL, "cub", "CUB_200_2011")
        number_of = dict(
            line.split()[::-1] for line in (top / "images.txt").read_text().splitlines()
        )
        table = np.loadtxt(top / "parts" / "part_locs.txt")
        count = 0
        for split in real.splits:
            for index in range(real.size(split)):
                raw = real.raw(split, index)
                image = stored_image(raw)
                rows = table[table[:, 0] == int(number_of[raw["file"].decode()])]
                visible = rows[:, 4] > 0
                np.testing.assert_array_equal(raw["keypoints"][:, 2] > 0, visible)
                np.testing.assert_allclose(
                    raw["keypoints"][visible, :2], rows[visible, 2:4], rtol=1e-6
                )
                assert (rows[visible, 2:4] < image.size).all()
                points = real.examples(split, [index], ("keypoints",))["keypoints"][0]
                side, left = min(image.size), (image.width - min(image.size)) // 2
                top_ = (image.height - side) // 2
                expected = (rows[:, 2:4] - (left, top_)) * 64 / side
                inside = visible & (expected >= 0).all(axis=1) & (expected < 64).all(axis=1)
                np.testing.assert_array_equal(points[:, 2] > 0, inside)
                np.testing.assert_allclose(points[inside, :2], expected[inside], atol=1e-3)
                count += int(visible.sum())
        assert count > 2000

    def test_splits_share_no_class_and_no_image(self, real):
        classes, digests = {}, {}
        for split in real.splits:
            images = [real.raw(split, index) for index in range(real.size(split))]
            classes[split] = {int(raw["label"]) for raw in images}
            digests[split] = {hash(raw["image"]) for raw in images}
        for split in real.splits:
            for other in real.splits:
                if split != other:
                    assert not classes[split] & classes[other]
                    assert not digests[split] & digests[other]
