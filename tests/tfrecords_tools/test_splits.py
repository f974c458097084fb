"""No picture, and no sequence, is in two splits of what a builder has built."""

import collections
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data
from support import written_coco, written_imagenet, written_mpii, written_robot_pushing
from support.written_cub import write_cub
from tfrecords_tools.build import build


def cub(folder):
    write_cub(folder)


def mpii(folder):
    people = [written_mpii.person(f"{n}.jpg", n) for n in range(24)]
    written_mpii.write_images(folder, people, paint=True)
    written_mpii.write_json(folder / "train.json", people[:20])
    written_mpii.write_json(folder / "valid.json", people[20:])


def coco(folder):
    written_coco.write(folder, written_coco.source_files())


def imagenet(folder):
    images = {f"ILSVRC2012_val_{n:08d}.JPEG": written_imagenet.picture(100 + n) for n in (1, 2, 3)}
    train = {
        f"{wnid}/{wnid}_{n}.JPEG": written_imagenet.picture(10 * place + n)
        for place, wnid in enumerate(written_imagenet.WNIDS)
        for n in range(2)
    }
    written_imagenet.write(
        folder,
        {
            "ILSVRC2012_img_train.tar": written_imagenet.train_tar(train),
            "ILSVRC2012_img_val.tar": written_imagenet.tar(images),
            "validation_labels.txt": written_imagenet.LIST,
        },
    )


def robot_pushing(folder):
    for kind, numbers in (("train", (0, 1, 19)), ("testseen", (0,)), ("testnovel", (0,))):
        for number in numbers:
            start = 100.0 * number + len(kind)
            records = [written_robot_pushing.sequence(20, start + 0.25 * n) for n in range(2)]
            written_robot_pushing.write(folder, kind, number, records)


SETS = [
    (cub, "disjoint"),
    (cub, "official"),
    (mpii, ""),
    (coco, "2017"),
    (imagenet, "full"),
    (robot_pushing, "crop"),
]


@pytest.mark.parametrize("write, variant", SETS)
def test_no_content_is_in_two_splits(tmp_path, write, variant):
    name = write.__name__
    (tmp_path / "source").mkdir()
    write(tmp_path / "source")
    summary = build(name, tmp_path / "source", tmp_path / "out", variant=variant)
    source = data.load(name, data_dir=str(tmp_path / "out"), image_size=32)
    splits_of = collections.defaultdict(set)
    for split in source.splits:
        for index in range(source.size(split)):
            raw = source.raw(split, index)
            if source.is_video:  # of the frames by themselves many are alike
                parts = (np.asarray(raw[name]).tobytes() for name in ("frames", "actions"))
                content = b"".join(parts)
            else:
                with Image.open(io.BytesIO(raw["image"])) as image:
                    content = image.convert("RGB").tobytes()
            splits_of[hashlib.sha256(content).digest()].add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert len(splits_of) == sum(summary.examples.values())
    assert len(summary.examples) > 1
