"""ImageNet: labels in the order each version has them, bytes and pixels as they were."""

import io
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from ms_pixelcnn_tf.cli import evaluate, train
from support.errors import missing_facts, refuses
from support.written_imagenet import LIST, TRAIN, VAL, WNIDS, picture, tar, train_tar, write
from tfrecords_tools import imagenet_small
from tfrecords_tools.archives import Tree
from tfrecords_tools.build import build
from tfrecords_tools.builder import Options
from tfrecords_tools.imagenet import ABSENT, Imagenet
from tfrecords_tools.tasks import Skipped

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")


def converted(source, variant="full", size=0):
    """dict split → dict file → example, and the skips counted."""
    options, tree, skipped = Options(size, variant), Tree(source), {}

    def skip(reason, count=1):
        skipped[reason] = skipped.get(reason, 0) + count

    found = {}
    for split, tasks in Imagenet.plan(tree, options, skip).tasks.items():
        found[split] = {}
        for task in tasks:
            content = dict(tree.contents([task.name]))[task.name]
            try:
                for _, example in Imagenet.convert(options, task, content):
                    found[split][example["file"]] = example
            except Skipped as reason:
                skip(str(reason))
    return found, {reason: count for reason, count in skipped.items() if count}


LAYOUTS = {
    "tars": {
        "ILSVRC2012_img_train.tar": train_tar(),
        "ILSVRC2012_img_val.tar": tar(VAL),
        "validation_labels.txt": LIST,
    },
    "folders": {
        **{f"train/{name}": content for name, content in TRAIN.items()},
        **{f"val/{name}": content for name, content in VAL.items()},
        "imagenet_2012_validation_labels.txt": LIST,
    },
    "class folders": {
        **{f"train/{name}": content for name, content in TRAIN.items()},
        **{
            f"val/{wnid}/{name}": content
            for wnid, (name, content) in zip(LIST.split(), VAL.items(), strict=True)
        },
    },
    "kaggle": {
        **{f"ILSVRC/Data/CLS-LOC/train/{name}": content for name, content in TRAIN.items()},
        **{f"ILSVRC/Data/CLS-LOC/val/{name}": content for name, content in VAL.items()},
        "LOC_val_solution.csv": "ImageId,PredictionString\n"
        + "".join(
            f"ILSVRC2012_val_{n:08d},{wnid} 1 2 3 4 \n" for n, wnid in enumerate(LIST.split(), 1)
        ),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same(tmp_path, layout):
    found, skipped = converted(write(tmp_path, LAYOUTS[layout]))
    assert {name: row["image"] for name, row in found["train"].items()} == TRAIN
    assert {name: row["image"] for name, row in found["validation"].items()} == VAL
    for name, row in found["train"].items():
        assert row["label"] == WNIDS.index(name[:9])
    assert {name: row["label"] for name, row in found["validation"].items()} == {
        name: WNIDS.index(wnid) for name, wnid in zip(VAL, LIST.split(), strict=True)
    }
    assert skipped == {ABSENT: 997}


def test_the_devkit_gives_labels(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O")]
    synsets = np.array([(1, WNIDS[2]), (2, WNIDS[0]), (3, WNIDS[1]), (1001, "n00000001")], kind)
    meta = io.BytesIO()
    scipy_io.savemat(meta, {"synsets": synsets.reshape(-1, 1)})
    top = "ILSVRC2012_devkit_t12/data/"
    for truth, wanted in (("1\n2\n2\n", [2, 0, 0]), ("3\n1\n2\n", [1, 2, 0])):
        devkit = {
            f"{top}meta.mat": meta.getvalue(),
            f"{top}ILSVRC2012_validation_ground_truth.txt": truth.encode(),
        }
        files = {**LAYOUTS["tars"], "ILSVRC2012_devkit_t12.tar.gz": tar(devkit, "w:gz")}
        del files["validation_labels.txt"]
        found, _ = converted(write(tmp_path, files))
        assert [row["label"] for row in found["validation"].values()] == wanted
    devkit[f"{top}meta.mat"] = meta.getvalue()[:200]
    write(tmp_path, {"ILSVRC2012_devkit_t12.tar.gz": tar(devkit, "w:gz")})
    with refuses(f"{top}meta.mat", "ILSVRC2012"):
        converted(tmp_path)


def test_a_list_of_classes_places_a_subset(tmp_path):
    write(
        tmp_path,
        {
            **LAYOUTS["tars"],
            "LOC_synset_mapping.txt": "".join(
                f"{wnid} some, words\n" for wnid in ["n00000001", *WNIDS]
            ),
        },
    )
    found, skipped = converted(tmp_path)
    assert {row["label"] for row in found["train"].values()} == {1, 2, 3}
    assert skipped == {"classes listed but without train images": 1}
    write(tmp_path, {"LOC_synset_mapping.txt": "n01440764 tench\n"})
    with refuses("LOC_synset_mapping.txt", "n01443537"):
        converted(tmp_path)


@pytest.mark.parametrize(
    "labels, facts",
    [
        (None, ("labels", "validation_labels.txt")),
        ("n01440764\n", ("validation_labels.txt", "label", "ILSVRC2012_val_00000002.JPEG")),
        ("1\n2\n3\n", ("validation_labels.txt", "'1'", "ILSVRC2012_val_00000001.JPEG", "wnid")),
    ],
)
def test_validation_without_labels_is_refused(tmp_path, labels, facts):
    files = {**LAYOUTS["tars"], "validation_labels.txt": labels}
    write(tmp_path, {name: content for name, content in files.items() if content is not None})
    with refuses(*facts):
        converted(tmp_path)


def test_odd_files_are_decoded_and_damaged_ones_counted(tmp_path):
    odd = {
        "n02105855/n02105855_2933.JPEG": picture(1, kind="PNG"),
        "n02105855/n02105855_1.JPEG": picture(2, mode="CMYK"),
        "n02105855/n02105855_2.JPEG": picture(3, mode="L"),
    }
    bad = {"n02105855/n02105855_3.JPEG": picture(4)[:300], "n02105855/n02105855_4.JPEG": b""}
    test = {"test/ILSVRC2012_test_00000001.JPEG": picture(5)}
    write(tmp_path, {"ILSVRC2012_img_train.tar": train_tar({**odd, **bad}), **test})
    found, skipped = converted(tmp_path)
    assert skipped.pop(ABSENT) == 999
    assert {name: row["image"] for name, row in found["train"].items()} == odd
    assert sorted(skipped.values()) == [1, 1, 1]
    for name, row in converted(tmp_path, size=15)[0]["train"].items():
        image = Image.open(io.BytesIO(row["image"]))
        assert image.size == (20, 15) and image.mode == "RGB"
        # TensorFlow reads the stored bytes to the same colours.
        whole = tf.io.decode_image(odd[name], channels=3).numpy().astype(int)
        assert abs(whole.mean((0, 1)) - np.asarray(image).mean((0, 1))).max() < 4


SIDE = 32
ROWS = np.random.default_rng(0).integers(0, 256, (5, 3 * SIDE * SIDE), "uint8")


def batch(labels=(1, 1000, 3, 2, 2), rows=ROWS, **more):
    return {"data": rows, "labels": list(labels), **more}


def packed(value, npz=False):
    if not npz:
        return pickle.dumps(value, 2).replace(b"numpy._core.", b"numpy.core.")
    buffer = io.BytesIO()
    np.savez(buffer, **value)
    return buffer.getvalue()


@pytest.mark.parametrize("npz", [False, True])
@pytest.mark.parametrize("holder", ["folder", "zip", "tar", "tar.gz"])
def test_batches_are_planes_and_labels_from_one(tmp_path, monkeypatch, npz, holder):
    monkeypatch.setattr(imagenet_small, "ROWS", 2)
    end = ".npz" if npz else ""
    files = {f"train_data_batch_{n}{end}": packed(batch(mean=ROWS.mean(0)), npz) for n in (1, 2)}
    files[f"val_data{end}"] = packed(batch(), npz)
    if holder == "folder":
        write(tmp_path, files)
    elif holder == "zip":
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        write(tmp_path, {f"x.{holder}": tar(files, "w:gz" if holder == "tar.gz" else "w")})
    found, skipped = converted(tmp_path, "new32")
    assert len(found["train"]) == 10 and len(found["validation"]) == 5
    assert skipped == {"train batches of ten that are absent": 8}
    for row in range(5):
        example = found["train"][f"train_data_batch_2:{row}"]
        wanted = np.stack(np.split(ROWS[row], 3), -1).reshape(SIDE, SIDE, 3)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(example["image"]))), wanted)
        assert example["label"] == batch()["labels"][row] - 1


class Runs:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.mark.parametrize(
    "value, facts",
    [
        (batch((0, 1, 2, 3, 4)), ("labels", "0 to 4", "1 to 1000")),
        (batch((1, 1001, 2, 3, 4)), ("labels", "1 to 1001", "1 to 1000")),
        (batch((1, 2)), ("labels", "whole number", "5 images")),
        (batch(rows=ROWS[:, :300]), ("data", "(5, 300)", "[n, 3072]", "uint8")),
        ({"data": ROWS}, ("batch", "data", "labels")),
        (batch(rows=ROWS.astype(float)), ("data", "float64", "[n, 3072]", "uint8")),
        ([1], ("batch", "data", "labels")),
    ],
)
def test_what_is_no_batch_is_refused(tmp_path, value, facts):
    with refuses("val_data", *facts):
        converted(write(tmp_path, {"val_data": packed(value)}), "new32")


def test_code_and_damage_in_a_batch_are_refused(tmp_path):
    marker = tmp_path / "ran"
    source = write(tmp_path / "s", {"val_data": pickle.dumps(batch(more=Runs(marker)))})
    with refuses("val_data", "pickle", "open", "refused"):
        converted(source, "new32")
    objects = {"data": ROWS, "labels": np.array([Runs(marker)], object)}
    source = write(tmp_path / "n", {"val_data.npz": packed(objects, True)})
    marker.unlink(missing_ok=True)
    with refuses("val_data.npz", "allow_pickle=False"):
        converted(source, "new32")
    assert not marker.exists()
    for npz in (False, True):
        whole = packed(batch(), npz)
        for cut in (0, 100, len(whole) // 2, len(whole) - 1):
            source = write(tmp_path / f"{npz}{cut}", {"val_data" + ".npz" * npz: whole[:cut]})
            with refuses("val_data"):
                converted(source, "new32")


def test_old_images_have_no_label(tmp_path):
    files = {
        kind: {f"{kind}_32x32/{n:07d}.png": picture(n, (32, 32), kind="PNG") for n in (1, 2)}
        for kind in ("train", "valid")
    }
    files["train"]["train_32x32/0000003.png"] = picture(3, (31, 32), kind="PNG")
    write(tmp_path, {f"{kind}_32x32.tar": tar(part) for kind, part in files.items()})
    found, skipped = converted(tmp_path, "old32")
    assert skipped == {"images that are not 32x32": 1}
    for split, kind in (("train", "train"), ("validation", "valid")):
        assert len(found[split]) == 2
        for name, row in found[split].items():
            assert row == {"image": files[kind][name], "file": name}
    with refuses(tmp_path, "train_64x64", "valid_64x64"):
        converted(tmp_path, "old64")


def test_the_variant_is_in_the_line():
    lines = {variant: Imagenet.describe(Options(0, variant))[0] for variant in Imagenet.variants}
    assert not missing_facts(lines["new32"], "ImageNet 32x32 new", "Chrabaszcz", "old variant")
    assert not missing_facts(lines["old64"], "ImageNet 64x64 old", "new variant")
    assert len(set(lines.values())) == 5
    with refuses("image_size", "new32", 64, "0, 32"):
        Imagenet.describe(Options(64, "new32"))


def test_built_data_names_its_classes(tmp_path):
    source = write(
        tmp_path / "new",
        {
            "val_data": packed(batch()),
            "map_clsloc.txt": "n02119789 1 kit_fox\nn01440764 2 tench\nn00000001 3 x\n",
        },
    )
    for number, (variant, folder, order, names) in enumerate(
        [
            ("new32", source, "map_clsloc", ["n02119789", "n01440764", "n00000001"]),
            ("full", write(tmp_path / "full", LAYOUTS["tars"]), "sorted wnids", WNIDS),
        ]
    ):
        summary = build("imagenet", folder, tmp_path / f"out{number}", variant=variant)
        builder = tfds.builder_from_directory(summary.path)
        assert builder.info.metadata["label_order"] == order
        assert builder.info.metadata["class_names"] == names
        rows = list(tfds.as_numpy(builder.as_dataset(split="validation")))
        assert sorted(int(row["label"]) for row in rows) == ([0, 1, 1, 2, 999], [0, 0, 2])[number]
        if variant == "full":
            assert summary.examples == {"train": 6, "validation": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant, facts",
    [
        ("new32", ("ImageNet 32x32 new", "old variant")),
        ("old32", ("ImageNet 32x32 old", "new variant")),
    ],
)
def test_training_on_a_small_version_prints_its_name(tmp_path, capsys, variant, facts):
    if variant == "new32":
        files = {name: packed(batch()) for name in ("train_data_batch_1", "val_data")}
    else:
        files = {
            f"{kind}_32x32.tar": tar(
                {f"{kind}_32x32/{n}.png": picture(n, (32, 32), kind="PNG") for n in range(4)}
            )
            for kind in ("train", "valid")
        }
    out, workdir = tmp_path / "out", f"--workdir={tmp_path / 'run'}"
    build("imagenet", write(tmp_path / "source", files), out, variant=variant)
    train.main(
        [
            "--dataset=imagenet32",
            f"--data_dir={out}",
            workdir,
            "--image_size=8",
            "--base_size=4",
            "--base_layers=1",
            "--base_features=8",
            "--residual_blocks=1",
            "--features=8",
            "--head_features=8",
            "--steps=2",
            "--batch_size=2",
            "--sample_every=0",
            "--num_levels=8",
        ]
    )
    capsys.readouterr()
    evaluate.main([workdir])
    said = capsys.readouterr().out
    assert not missing_facts(said, *facts, "not comparable", "bits/sub-pixel"), said


@pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
def test_real_images_and_orders(tmp_path):
    meta = pathlib.Path(REAL) / "imagenet_meta"
    ordered = (meta / "tfds_labels.txt").read_text().split()
    packs = {}
    for path in sorted((pathlib.Path(REAL) / "imagenet_samples").iterdir()):
        packs[f"{path.name[:9]}/{path.name[:9]}_1.JPEG"] = path.read_bytes()
    numbers = range(1, 4)
    val = {f"ILSVRC2012_val_{n:08d}.JPEG": picture(n) for n in numbers}
    write(
        tmp_path / "s",
        {
            "ILSVRC2012_img_train.tar": train_tar(packs),
            "ILSVRC2012_img_val.tar": tar(val),
            "validation_labels.txt": (meta / "tfds_validation_labels.txt").read_bytes(),
            "synsets.txt": (meta / "tfds_labels.txt").read_bytes(),
        },
    )
    found, skipped = converted(tmp_path / "s")
    assert len(found["train"]) == len(packs) == 63
    assert skipped == {
        "classes listed but without train images": 937,
        "validation images listed but absent": 49_997,
    }
    for name, row in found["train"].items():
        assert row["image"] == packs[name] and ordered[row["label"]] == name[:9]
    # The truth in ILSVRC's ids is of map_clsloc's order, that of the pickles.
    write(tmp_path / "m", {"map_clsloc.txt": (meta / "map_clsloc.txt").read_bytes()})
    by_id = imagenet_small.class_names(Tree(tmp_path / "m"), "new32")
    assert sorted(by_id) == ordered and by_id != ordered
    truth = (meta / "ILSVRC2015_clsloc_validation_ground_truth.txt").read_text().split()
    listed = (meta / "tfds_validation_labels.txt").read_text().split()
    same = np.mean([by_id[int(n) - 1] == wnid for n, wnid in zip(truth, listed, strict=True)])
    assert same > 0.99, same
    for row, n in zip(found["validation"].values(), numbers, strict=True):
        assert ordered[row["label"]] == listed[n - 1]


@pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
def test_real_gray_images_become_rgb(tmp_path):
    tree, grays = Tree(pathlib.Path(REAL) / "tiny-imagenet-200.zip"), {}
    for name in (name for name in tree.members if "/train/" in name and name.endswith(".JPEG")):
        content = tree.members[name].read()
        if Image.open(io.BytesIO(content)).mode == "L":
            file = name.rsplit("/", 1)[-1]
            grays[f"{file[:9]}/{file}"] = content
        if len(grays) == 5:
            break
    found, skipped = converted(
        write(tmp_path, {"ILSVRC2012_img_train.tar": train_tar(grays)}), size=32
    )
    assert found["train"].keys() == grays.keys() and len(grays) == 5
    assert skipped.keys() == {ABSENT}
    for row in found["train"].values():
        image = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert image.shape == (32, 32, 3) and (image == image[..., :1]).all() and image.std() > 1
