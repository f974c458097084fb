"""COCO: maps that agree with another rasteriser, and annotation that is checked before use."""

import collections
import io
import json
import os
import pathlib
import sys
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageDraw
from pycocotools import mask as mask_tools

from ms_pixelcnn_tf import data
from support.errors import refuses
from support.written_coco import HEIGHT, WIDTH, documents, jpeg, source_files, write
from tfrecords_tools.archives import Tree
from tfrecords_tools.build import build
from tfrecords_tools.builder import Options
from tfrecords_tools.coco import CATEGORIES, MALFORMED, RULE, Coco, _decompressed, segment
from tfrecords_tools.tasks import Skipped

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")
real = pytest.mark.skipif(not REAL, reason="needs MS_PIXELCNN_REAL_DATA")


def plan(source, variant="2017"):
    skipped = collections.Counter()

    def skip(reason, count=1):
        skipped[reason] += count

    return Coco.plan(Tree(source), Options(64, variant), skip).tasks, dict(skipped)


def convert(source, task, image_size=64):
    content = Tree(source).members[task.name]
    found = [example for _, example in Coco.convert(Options(image_size), task, content)]
    reasons = [str(example) for example in found if isinstance(example, Skipped)]
    return next(e for e in found if not isinstance(e, Skipped)), reasons


@pytest.mark.parametrize("year", ["2017", "2014"])
@pytest.mark.parametrize("zipped", [False, True])
def test_folders_and_zips(tmp_path, year, zipped):
    files = source_files(year)
    if zipped:
        for top in (f"train{year}", f"val{year}", "annotations"):
            with zipfile.ZipFile(tmp_path / f"{top}.zip", "w") as archive:
                for name, content in files.items():
                    if name.startswith(top):
                        archive.writestr(name, content)
    else:
        write(tmp_path, files)
    found, skipped = plan(tmp_path, year)
    assert {split: len(tasks) for split, tasks in found.items()} == {"train": 3, "validation": 3}
    assert not skipped
    example, reasons = convert(tmp_path, found["train"][0])
    assert not reasons and example["image_id"] == 1
    assert example["captions"] == [f"Caption {k} of 0." for k in range(5)]
    expected = np.zeros((32, 32, 80), "uint8")
    expected[:, :16, 11] = 1  # id 13, stop sign: the twelfth
    np.testing.assert_array_equal(example["segmentation"], expected)
    other = "2014" if year == "2017" else "2017"
    with refuses(tmp_path, f"instances_train{other}.json"):
        plan(tmp_path, other)


@pytest.mark.parametrize("size", [(96, 64), (64, 97), (33, 32), (64, 64)])
def test_map_and_image_are_the_same_square(tmp_path, size):
    """Where the picture is white, the map says so: object and paint are one rectangle."""
    width, height = size
    left, top, right, bottom = width // 3, height // 4, width // 3 + 16, height // 4 + 20
    pixels = np.zeros((height, width, 3), "uint8")
    pixels[top:bottom, left:right] = 255
    files = source_files()
    instances, captions = documents(count=1)
    instances["images"][0].update(width=width, height=height)
    instances["annotations"][0]["segmentation"] = [
        [left, top, right, top, right, bottom, left, bottom]
    ]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    files |= {
        "annotations/instances_train2017.json": instances,
        "annotations/captions_train2017.json": captions,
        "train2017/000000000001.jpg": buffer.getvalue(),
    }
    write(tmp_path, files)
    example, _ = convert(tmp_path, plan(tmp_path)[0]["train"][0], 32)
    stored = np.asarray(Image.open(io.BytesIO(example["image"])))[:, :, 0]
    clear = abs(stored.astype(int) - 127) > 40  # else rounding decides
    assert clear.mean() > 0.85
    np.testing.assert_array_equal((stored > 127)[clear], example["segmentation"][clear][:, 11] > 0)
    assert 0 < example["segmentation"].sum() < 32 * 32


def test_half_a_cell_counts_and_less_does_not():
    square = [[0, 0, 64, 0, 64, 1, 0, 1]]  # one row of 64: half of the first cells
    assert segment([(3, square)], 64, 64)[0][0, :, 3].all()
    square = [[0, 0, 96, 0, 96, 1, 0, 1]]  # one of three
    assert not segment([(3, square)], 96, 96)[0].any()


def test_objects_of_a_category_unite_whatever_their_form():
    """The same mask as polygons, as run lengths, and as compressed run lengths."""
    generator = np.random.default_rng(0)
    mask = np.zeros((50, 70), "uint8")
    mask[10:40, 20:60] = 1
    mask[generator.random(mask.shape) < 0.1] ^= 1
    compressed = mask_tools.encode(np.asfortranarray(mask))
    text = compressed["counts"].decode()
    counts = _decompressed(text)
    pixels = np.repeat(np.arange(len(counts)) % 2, counts).reshape(70, 50).T
    np.testing.assert_array_equal(pixels, mask)
    forms = [{"size": [50, 70], "counts": form} for form in (text, counts)]
    one, other = (segment([(5, form)], 70, 50) for form in forms)
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1] and one[0].any()
    box = [[60, 0, 65, 0, 65, 50, 60, 50]]
    together = segment([(5, forms[0]), (5, box), (7, box)], 70, 50)[0]
    apart = segment([(5, box)], 70, 50)[0]
    assert (together[:, :, 5] >= (one[0] | apart)[:, :, 5]).all()
    np.testing.assert_array_equal(together[:, :, 7], apart[:, :, 5])


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        [[]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [["a"] * 6],
        [[1, 2, 3, 4, 5, None]],
        [[1e9, 0, 0, 0, 0, 1e9]],
        [[float("inf")] * 6],
        [[10**400, 1, 2, 3, 4, 5]],
        [1, 2, 3],
        "x",
        5,
        [[[1, 2, 3, 4, 5, 6]]],
        {},
        {"size": [64, 96]},
        {"size": [96, 64], "counts": [6144]},
        {"size": "x", "counts": []},
        {"size": [64, 96], "counts": [6145]},
        {"size": [64, 96], "counts": [-1, 6145]},
        {"size": [64, 96], "counts": [True, 6143]},
        {"size": [64, 96], "counts": "~~~~"},
        {"size": [64, 96], "counts": "oooooooooooooooo0"},
        {"size": [64, 96], "counts": "P"},
        {"size": [64, 96], "counts": "é"},
        {"size": [64, 96], "counts": ""},
    ],
)
def test_malformed_objects_are_left_out(tmp_path, segmentation):
    files = source_files()
    instances, _ = documents(count=1)
    good = instances["annotations"][0]
    instances["annotations"].append({**good, "category_id": 1, "segmentation": segmentation})
    task_objects = [(0, segmentation), (11, good["segmentation"])]
    found, is_whole = segment(task_objects, WIDTH, HEIGHT)
    assert not is_whole and found[:, :, 11].any() and not found[:, :, 0].any()
    if segmentation == []:
        write(tmp_path, files | {"annotations/instances_train2017.json": instances})
        example, reasons = convert(tmp_path, plan(tmp_path)[0]["train"][0])
        assert reasons == [MALFORMED] and example["segmentation"].any()


def test_random_run_lengths_harm_nothing():
    generator = np.random.default_rng(0)
    for _ in range(300):
        text = "".join(chr(code) for code in generator.integers(48, 112, generator.integers(1, 9)))
        segment([(0, {"size": [64, 96], "counts": text})], 96, 64)


def test_skips(tmp_path):
    instances, captions = documents(count=6)
    instances["images"] += [instances["images"][0], {**instances["images"][1], "id": 999}]
    captions["annotations"] = [row for row in captions["annotations"] if row["image_id"] != 2]
    captions["annotations"] += [{"id": 0, "image_id": 2, "caption": " \n"}]
    files = source_files() | {
        "annotations/instances_train2017.json": instances,
        "annotations/captions_train2017.json": captions,
        "train2017/000000000003.jpg": jpeg()[:500],
        "train2017/000000000004.jpg": b"",
        "train2017/000000000005.jpg": jpeg(),
    }
    instances["images"][4]["width"] = 95
    write(tmp_path, files)
    found, skipped = plan(tmp_path)
    assert skipped == {
        "images listed twice": 2,
        "images without captions": 1,
        "images listed but absent": 1,
    }
    assert [task.annotation["image_id"] for task in found["train"]] == [1, 3, 4, 5]
    for task, reason in zip(found["train"][1:], ("damaged", "empty", "size"), strict=True):
        with refuses(reason, error=Skipped):
            convert(tmp_path, task)


def test_an_image_in_both_splits_is_in_validation_only(tmp_path):
    files = source_files()
    for kind, both in zip(("instances", "captions"), documents(), strict=True):
        files[f"annotations/{kind}_val2017.json"] = both
    files |= {f"val2017/{n:012d}.jpg": jpeg(n) for n in (1, 2, 3)}
    write(tmp_path, files)
    found, skipped = plan(tmp_path)
    assert len(found["validation"]) == 3 and not found["train"]
    assert skipped == {"images listed twice": 3}


def broken():
    """dict what is wrong → (file, content, facts of the message)."""
    instances, captions = documents()
    whole = json.dumps(instances).encode()

    def changed(key, index, **fields):
        rows = [dict(row) for row in instances[key]]
        for name, value in fields.items():
            rows[index].pop(name)
            if value is not None:
                rows[index][name] = value
        return {**instances, key: rows}

    kinds = {
        "cut": (whole[:-100], "JSON"),
        "empty": (b"", "JSON"),
        "binary": (b"\xff\xd8\xff", "JSON"),
        "deep": (b"[" * 200000, "JSON"),
        "NaN": (whole.replace(b"[16, 0,", b"[NaN, 0,"), "NaN", "number"),
        "list": (b"[1]", "list", "object"),
        "no images": ({**instances, "images": None}, "list", "images"),
        "no categories": (
            {k: v for k, v in instances.items() if k != "categories"},
            "list",
            "categories",
        ),
        "captions": (captions, "list", "categories"),
        "rows": ({**instances, "images": [5]}, "images[0]", "number", "id"),
        "no file": (changed("images", 1, file_name=None), "images[1]", "text", "file_name"),
        "id text": (changed("images", 2, id="7"), "images[2]", "number", "id"),
        "id large": (changed("images", 0, id=2**63), "images[0]", "number", "id"),
        "category": (changed("annotations", 0, category_id=12), "category", 12, "categories"),
        "other names": (changed("categories", 3, name="unicorn"), "categories", 80, "unicorn"),
        "79": ({**instances, "categories": instances["categories"][:79]}, "categories", 80),
    }
    return {name: ("instances_train2017.json", *kind) for name, kind in kinds.items()} | {
        "no caption": (
            "captions_train2017.json",
            {"annotations": [{"image_id": 1}]},
            "annotations[0]",
            "text",
            "caption",
        )
    }


@pytest.mark.parametrize("kind", broken())
def test_json_that_is_not_coco_is_told_in_a_line(tmp_path, kind):
    file, content, *facts = broken()[kind]
    write(tmp_path, source_files() | {f"annotations/{file}": content})
    with refuses(file, *facts):
        plan(tmp_path)


def test_missing_files_and_tools(tmp_path, monkeypatch):
    files = source_files()
    del files["annotations/captions_val2017.json"]
    with refuses(tmp_path, "captions_val2017.json"):
        plan(write(tmp_path, files))
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with refuses("pycocotools", "ms_pixelcnn_tf[coco]"):
        plan(tmp_path)


def test_build(tmp_path):
    summary = build("coco", write(tmp_path / "source", source_files()), tmp_path / "out")
    assert summary.examples == {"train": 3, "validation": 3} and summary.skips == "none"
    builder = tfds.builder_from_directory(summary.path)
    metadata = builder.info.metadata
    assert metadata["segmentation_rule"] == RULE and metadata["square"] is True
    assert metadata["num_captions"] == 5
    source = data.load("coco", data_dir=str(tmp_path / "out"), image_size=32)
    assert source.segment_names == CATEGORIES and source.keypoint_names == ()
    assert len(source.segment_names) == source.num_segments
    for split in summary.examples:
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            assert example["image"].shape == (256, 256, 3)
            assert example["segmentation"].dtype == np.uint8
            assert example["segmentation"][:, :, 11].sum() == 32 * 16


@real
def test_real_images(tmp_path):
    """All 159: built, five captions each, maps that agree with Pillow's rasterisation."""
    source = pathlib.Path(REAL) / "coco"
    summary = build("coco", source, tmp_path, image_size=64)
    assert summary.examples == {"train": 80, "validation": 79} and summary.skips == "none"
    builder = tfds.builder_from_directory(summary.path)
    for split, part in (("train", "train2017"), ("validation", "val2017")):
        document = json.loads((source / "annotations" / f"instances_{part}.json").read_text())
        assert [row["name"] for row in document["categories"]] == list(CATEGORIES)
        label_of = {row["id"]: label for label, row in enumerate(document["categories"])}
        size_of = {row["id"]: (row["width"], row["height"]) for row in document["images"]}
        present = {
            (row["image_id"], label_of[row["category_id"]]) for row in document["annotations"]
        }
        polygons = collections.defaultdict(list)
        crowds = set()
        for row in document["annotations"]:
            key = row["image_id"], label_of[row["category_id"]]
            if row["iscrowd"]:
                crowds.add(key)
            else:
                polygons[key] += row["segmentation"]
        agreed = 0
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            number = int(example["image_id"])
            assert len(example["captions"]) == 5
            for label in np.flatnonzero(example["segmentation"].any((0, 1))):
                assert (number, label) in present
            for key in polygons:
                if key[0] == number and key not in crowds:
                    agreed += agrees(
                        polygons[key], *size_of[number], example["segmentation"][:, :, key[1]]
                    )
        assert agreed > 40


def agrees(polygons, width, height, cells):
    """Whether the object is large, and then that it is where Pillow draws it."""
    drawn = Image.new("L", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(drawn).polygon(polygon, fill=1)
    encoded = mask_tools.merge(mask_tools.frPyObjects(polygons, height, width))
    ours, other = mask_tools.decode(encoded) > 0, np.asarray(drawn) > 0
    if other.sum() < 96 * 96:
        return False
    assert (ours & other).sum() / (ours | other).sum() > 0.9
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = other[top : top + side, left : left + side].astype("float32")
    coarse = np.asarray(Image.fromarray(square).resize((32, 32), Image.Resampling.BOX)) >= 0.5
    if coarse.sum() >= 64:
        assert (coarse & (cells > 0)).sum() / (coarse | (cells > 0)).sum() > 0.9
    return True
