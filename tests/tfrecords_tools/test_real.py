"""What a person would check of the real data, once built: nothing twice, everything readable."""

import hashlib
import io
import os
import pathlib
import tarfile

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from tfrecords_tools.build import build

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")
pytestmark = pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")


def tar_of_tars(path):
    """Packs the ImageNet samples as their owners would."""
    with tarfile.open(path, "w") as outer:
        for image in sorted(pathlib.Path(REAL, "imagenet_samples").glob("*.JPEG")):
            wnid, buffer = image.name.split("_")[0], io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as inner:
                inner.add(image, f"{wnid}_1.JPEG")
            info = tarfile.TarInfo(f"{wnid}.tar")
            info.size = buffer.tell()
            buffer.seek(0)
            outer.addfile(info, buffer)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder in which the real data of four sets is built."""
    root = tmp_path_factory.mktemp("real")
    archives = tmp_path_factory.mktemp("archives")
    tar_of_tars(archives / "ILSVRC2012_img_train.tar")
    sample = pathlib.Path(REAL, "mpii", "mmpose_sample", "test_mpii.json")
    (archives / "mpii").mkdir()
    (archives / "mpii" / "valid.json").write_bytes(sample.read_bytes())
    for image in pathlib.Path(REAL, "mpii", "mmpose_sample").rglob("*.jpg"):
        (archives / "mpii" / image.name).write_bytes(image.read_bytes())
    for name, source in (
        ("cub", f"{REAL}/cub"),
        ("coco", f"{REAL}/coco"),
        ("mpii", archives / "mpii"),
        ("imagenet", archives / "ILSVRC2012_img_train.tar"),
    ):
        build(name, source, root, image_size=0)
    return root


COUNTS = {"cub": 200, "coco": 159, "mpii": 5, "imagenet": 63}


@pytest.mark.parametrize("name", COUNTS)
def test_every_example_is_read_and_none_is_in_two_splits(built, name):
    source = data.load(name, data_dir=str(built), image_size=32)
    seen, total = {}, 0
    for split in source.splits:
        indices = np.arange(source.size(split))
        examples = source.examples(split, indices)
        assert (examples["image"].reshape(len(indices), -1).std(axis=1) > 0).all()
        total += len(indices)
        for index in indices:
            digest = hashlib.sha256(source.raw(split, index)["image"]).hexdigest()
            assert digest not in seen, f"{split} {index} is {seen.get(digest)}"
            seen[digest] = f"{split} {index}"
    assert total == COUNTS[name]


def test_coco_has_masks_and_captions_for_every_image(built):
    coco = data.load("coco", data_dir=str(built), image_size=64)
    assert coco.num_captions >= 5
    for split in coco.splits:
        examples = coco.examples(split, np.arange(coco.size(split)))
        assert all(len(captions) >= 5 for captions in examples["text"])
        assert examples["segmentation"].shape[1:] == (32, 32, 80)
        assert (examples["segmentation"].any(axis=(1, 2, 3))).mean() > 0.9
