"""`tiny-imagenet-32` on a small archive of the same layout, and on the real one where it is.

The real archive is looked for in the folder that `MS_PIXELCNN_REAL_DATA` names.
"""

import io
import os
import pathlib
import zipfile

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data.files import tiny_imagenet
from support.errors import refuses

TOP = "tiny-imagenet-200/"
WNIDS = ("n03000000", "n01000000")  # not sorted, as in the archive
VALIDATION = {"val_10.JPEG": "n01000000", "val_2.JPEG": "n03000000", "val_1.JPEG": "n03000000"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(path))
    return path


def jpeg(seed, gray=False, size=64):
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), "uint8")
    file = io.BytesIO()
    Image.fromarray(values[..., 0] if gray else values).save(file, "jpeg", quality=90)
    return file.getvalue()


def members():
    """Seven training images, the sixth gray; three validation images; an unlabelled test image."""
    found = {
        "wnids.txt": "\n".join(WNIDS).encode(),
        "words.txt": b"n01000000\tfish, a fish\nn02000000\tunused\nn03000000\tbucket\n",
        "val/val_annotations.txt": "".join(
            f"{name}\t{wnid}\t0\t32\t44\t62\n" for name, wnid in VALIDATION.items()
        ).encode(),
        "test/images/test_0.JPEG": jpeg(99),
    }
    for number in range(7):
        wnid = WNIDS[number % 2]
        name = f"train/{wnid}/images/{wnid}_{number}.JPEG"
        found[name] = jpeg(number, gray=number == 5)
        found[f"train/{wnid}/{wnid}_boxes.txt"] = b"n.JPEG\t0\t0\t63\t63\n"
    for number, name in enumerate(VALIDATION):
        found[f"val/images/{name}"] = jpeg(50 + number)
    return found


def write_zip(path, changes=None, top=TOP):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(top + "val/", "") if top else None
        for name, content in {**members(), **(changes or {})}.items():
            if content is not None:
                file.writestr(top + name, content)
    return path


@pytest.fixture
def archive(tmp_path):
    return write_zip(tmp_path / "tiny-imagenet-200.zip")


def reference(content):
    """The mean of each 2×2 box in exact arithmetic, a half rounded up."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), "float64")
    return np.floor(pixels.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)) + 0.5)


def load(path):
    return data.load("tiny-imagenet-32", data_dir=str(path))


def everything(source):
    return {split: source.examples(split, np.arange(source.size(split))) for split in source.splits}


def assert_equal(first, second):
    for split in first:
        for field in first[split]:
            np.testing.assert_array_equal(first[split][field], second[split][field])


def test_box_average_rounds_a_half_up():
    image = np.zeros((64, 64, 1), "uint8")
    image[:2, :2, 0] = [[1, 0], [0, 0]]
    image[:2, 2:4, 0] = [[1, 1], [0, 0]]
    image[:2, 4:6, 0] = [[255, 255], [255, 254]]
    assert tiny_imagenet.box_average(image)[0, :3, 0].tolist() == [0, 1, 255]


def test_splits_order_labels_and_pixels(archive):
    source = load(archive)
    assert source.splits == ("train", "validation")
    assert (source.size("train"), source.size("validation")) == (7, 3)
    assert source.class_names == ("fish, a fish", "bucket") and source.num_classes == 2
    assert (source.image_size, source.channels) == ((32, 32), 3)
    found = members()
    validation = source.examples("validation", [0, 1, 2])
    order = ["val_1.JPEG", "val_10.JPEG", "val_2.JPEG"]  # as strings
    for image, label, name in zip(validation["image"], validation["label"], order, strict=True):
        np.testing.assert_array_equal(image, reference(found[f"val/images/{name}"]))
        assert label == sorted(WNIDS).index(VALIDATION[name])
    train = source.examples("train", np.arange(7))
    names = sorted(name for name in found if name.startswith("train") and "JPEG" in name)
    assert train["label"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    for image, name in zip(train["image"], names, strict=True):
        np.testing.assert_array_equal(image, reference(found[name]))
    gray = train["image"][2]  # n01000000_5
    assert (gray == gray[..., :1]).all()


def test_zip_folder_and_parent_are_the_same(archive, tmp_path):
    expected = everything(load(archive))
    assert_equal(expected, everything(load(tmp_path)))  # the zip's folder
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
    assert_equal(expected, everything(load(unpacked)))
    assert_equal(expected, everything(load(unpacked / "tiny-imagenet-200")))
    bare = write_zip(tmp_path / "bare.zip", top="")
    assert_equal(expected, everything(load(bare)))


def test_the_second_run_reads_the_cache(archive, cache, monkeypatch):
    expected = everything(load(archive))
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
    monkeypatch.setattr(tiny_imagenet, "_decode", None)
    assert_equal(expected, everything(load(archive)))


@pytest.mark.parametrize("damage", ["empty", "short", "garbage", "changed"])
def test_a_damaged_cache_is_rebuilt(archive, cache, damage):
    expected = everything(load(archive))
    (path,) = cache.iterdir()
    content = path.read_bytes()
    changed = bytearray(content)
    changed[5000] ^= 1
    path.write_bytes(
        {"empty": b"", "short": content[:-99], "garbage": b"PK\3\4 garbage", "changed": changed}[
            damage
        ]
    )
    assert_equal(expected, everything(load(archive)))
    assert len(path.read_bytes()) == len(content)


def test_another_archive_is_another_entry(archive, tmp_path):
    before = everything(load(archive))
    write_zip(archive, {"val/images/val_1.JPEG": jpeg(1234)})
    os.utime(archive, (1, 1))
    after = everything(load(archive))
    assert (before["validation"]["image"][0] != after["validation"]["image"][0]).any()
    assert_equal({"train": before["train"]}, {"train": after["train"]})


def test_a_cache_that_cannot_be_written_is_done_without(archive, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(archive))  # a file is in the way
    assert load(archive).size("train") == 7
    assert "MS_PIXELCNN_CACHE" in caplog.text


def no_train(name):
    return name.startswith("train") and name.endswith("JPEG")


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"wnids.txt": None}, ("wnids.txt",)),
        ({"words.txt": None}, ("whole", "tiny-imagenet-200")),
        ({"words.txt": b"no tab"}, ("whole", "tiny-imagenet-200")),
        ({"val/val_annotations.txt": b"val_1.JPEG"}, ("whole", "tiny-imagenet-200")),
        ({"val/val_annotations.txt": b""}, ("validation images",)),
        ({name: None for name in members() if no_train(name)}, ("train images",)),
        ({"val/images/val_1.JPEG": jpeg(0)[:300]}, ("decode", "val/images/val_1.JPEG")),
        ({"val/images/val_1.JPEG": b""}, ("decode", "val/images/val_1.JPEG")),
        ({"val/images/val_1.JPEG": jpeg(0, size=32)}, ("val/images/val_1.JPEG", "64x64")),
    ],
)
def test_a_foreign_or_broken_archive_is_a_user_error(tmp_path, changes, facts, cache):
    archive = write_zip(tmp_path / "tiny-imagenet-200.zip", changes)
    with refuses(archive, *facts):
        load(archive)
    assert not cache.exists()


def test_no_archive_is_a_user_error(tmp_path):
    with refuses("tiny-imagenet-200", tmp_path):
        load(tmp_path)
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"PK\3\4 half a download")
    with refuses(tmp_path / "tiny-imagenet-200.zip", "zip"):
        load(tmp_path)


@pytest.mark.skipif(
    not os.environ.get("MS_PIXELCNN_REAL_DATA"), reason="MS_PIXELCNN_REAL_DATA is not set"
)
def test_the_real_archive():
    archive = pathlib.Path(os.environ["MS_PIXELCNN_REAL_DATA"]) / "tiny-imagenet-200.zip"
    source = load(archive)
    assert (source.size("train"), source.size("validation")) == (10_000, 5_000)
    assert source.num_classes == 200
    examples = everything(source)
    assert (np.bincount(examples["train"]["label"]) == 50).all()
    wnids_of = {}
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
        for line in file.read(TOP + "val/val_annotations.txt").decode().splitlines():
            wnids_of[line.split("\t")[0]] = line.split("\t")[1]
        wnids = sorted(file.read(TOP + "wnids.txt").decode().split())
        words = dict(
            line.split("\t") for line in file.read(TOP + "words.txt").decode().splitlines()
        )
        assert source.class_names == tuple(words[wnid] for wnid in wnids)
        gray = 0
        for split, part in (("train", "/train/"), ("validation", "/val/")):
            members = [name for name in names if part in name and name.endswith(".JPEG")]
            members.sort(key=lambda name: name.split("/")[-1])
            for row in range(0, len(members), 61):
                content = file.read(members[row])
                gray += Image.open(io.BytesIO(content)).mode == "L"
                np.testing.assert_array_equal(
                    examples[split]["image"][row], reference(content), err_msg=members[row]
                )
                name = members[row].split("/")[-1]
                wnid = wnids_of.get(name, name.split("_")[0])
                assert wnids[examples[split]["label"][row]] == wnid
    assert gray > 0
    images = np.concatenate([part["image"] for part in examples.values()])
    without_colour = (images == images[..., :1]).all(axis=(1, 2, 3)).mean()
    assert 0.015 < without_colour < 0.025
