"""Built data as any TFDS builder leaves it: what fits is found, what is damaged is placed."""

import io
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import evaluate, train
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.batches import draws, pipeline
from ms_pixelcnn_tf.data.decode import crop_box
from ms_pixelcnn_tf.errors import DamagedExample
from support.commands import exit_status
from support.errors import missing_facts, refuses
from support.written_cub import write_cub
from tfrecords_tools.build import build

Feature = tfds.features.Image
REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")


def write_tfds(data_dir, name, config, features, splits, version="1.0.0"):
    """Builds a data set with TFDS itself, under any builder's name."""
    namespace = {
        "name": name,
        "VERSION": tfds.core.Version(version),
        "pkg_dir_path": None,
        "_info": lambda self: tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features)
            if isinstance(features, dict)
            else features,
        ),
        "_split_generators": lambda self, manager: {
            split: iter(list(enumerate(examples))) for split, examples in splits.items()
        },
        "_generate_examples": None,
    }
    if config:
        namespace["BUILDER_CONFIGS"] = [tfds.core.BuilderConfig(name=config, version=version)]
    cls = type(tfds.core.GeneratorBasedBuilder)(
        f"Made{name}{config}".replace("_", ""),
        (tfds.core.GeneratorBasedBuilder,),
        namespace,
        skip_registration=True,
    )
    builder = cls(data_dir=str(data_dir))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return pathlib.Path(builder.data_path)


def images(count, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype="uint8")


@pytest.fixture(scope="module")
def cub(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    write_cub(root)
    out = tmp_path_factory.mktemp("built")
    build("cub", root, out, image_size=32)
    return out


@pytest.fixture
def damaged(cub, tmp_path):
    """A copy to do damage to: its folder, and its training file."""
    shutil.copytree(cub, tmp_path / "copy")
    (path,) = (tmp_path / "copy").rglob("cub-train.tfrecord*")
    return tmp_path / "copy", path


@pytest.mark.parametrize(
    "name, builder, config",
    [
        ("imagenet", "imagenet2012", ""),
        ("imagenet32", "imagenet_resized", "32x32"),
        ("imagenet32", "downsampled_imagenet", "32x32"),
        ("imagenet64", "imagenet_resized", "64x64"),
    ],
)
def test_tfdss_own_imagenets(tmp_path, name, builder, config):
    side = int(config.split("x")[0]) if config else 48
    pictures = images(5, side, side)
    features = {"image": tfds.features.Image(shape=(None, None, 3), encoding_format="png")}
    examples = [{"image": image} for image in pictures]
    if builder != "downsampled_imagenet":
        features["label"] = tfds.features.ClassLabel(num_classes=1000)
        examples = [{**e, "label": 7 * n} for n, e in enumerate(examples)]
    write_tfds(tmp_path, builder, config, features, {"train": examples, "validation": examples[:2]})
    source = data.load(name, data_dir=str(tmp_path), image_size=side)
    assert source.size("train") == 5 and source.size("validation") == 2
    found = source.examples("train", np.arange(5))
    order = [
        int(np.abs(pictures.astype(int) - image).sum((1, 2, 3)).argmin())
        for image in found["image"]
    ]
    assert sorted(order) == list(range(5))
    np.testing.assert_array_equal(found["image"], pictures[order])
    if builder == "imagenet_resized":
        assert "new" in source.description
    if builder == "downsampled_imagenet":
        assert "old" in source.description and not source.num_classes
    else:
        np.testing.assert_array_equal(found["label"], 7 * np.array(order))


def write_bair(data_dir, frames, wrong=()):
    """`[N, T, H, W, 3]` as the training split, the first two as the test split; returns actions and
    positions. `wrong`: `(field, sequence, step, value)`s put into them."""
    count, steps, height, width, _ = frames.shape
    actions = np.random.default_rng(1).normal(size=(count, steps, 4)).astype("float32")
    positions = np.random.default_rng(2).normal(size=(count, steps, 3)).astype("float32")
    for field, *place, value in wrong:
        {"actions": actions, "states": positions}[field][(*place, 1)] = value
    features = tfds.features.Sequence(
        {
            "action": tfds.features.Tensor(shape=(4,), dtype=np.float32),
            "endeffector_pos": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "image_aux1": tfds.features.Image(shape=(height, width, 3)),
            "image_main": tfds.features.Image(shape=(height, width, 3)),
        }
    )
    examples = [
        [
            {
                "action": actions[n, t],
                "endeffector_pos": positions[n, t],
                "image_aux1": frames[n, t] // 2,
                "image_main": frames[n, t],
            }
            for t in range(steps)
        ]
        for n in range(count)
    ]
    write_tfds(
        data_dir,
        "bair_robot_pushing_small",
        "",
        features,
        {"train": examples, "test": examples[:2]},
    )
    return actions, positions


def test_tfdss_own_bair(tmp_path):
    frames = images(60, 64, 64).reshape(2, 30, 64, 64, 3)
    actions, positions = write_bair(tmp_path, frames)
    source = data.load("bair_robot_pushing_small", data_dir=str(tmp_path))
    assert source.is_video and source.size("test") == 2
    for place, start in ((None, 0), ((0.0, 0.0), 0), ((0.9999, 0.0), 10)):
        places = None if place is None else np.array([place, place])
        found = source.examples("train", [0, 1], places=places)
        assert found["frames"].shape == (2, 20, 64, 64, 3)
        for n in range(2):
            which = int((found["frames"][n, 0] != frames[0, start]).any())
            clip = slice(start, start + 20)
            np.testing.assert_array_equal(found["frames"][n], frames[which, clip])
            np.testing.assert_array_equal(found["actions"][n], actions[which, clip])
            np.testing.assert_array_equal(found["states"][n], positions[which, clip])


def test_bairs_clips_are_as_long_as_asked_and_some_validate(tmp_path):
    actions, _ = write_bair(tmp_path, images(45 * 5, 8, 8).reshape(45, 5, 8, 8, 3))
    options = dict(data_dir=str(tmp_path), image_size=8)
    source = data.load("bair_robot_pushing_small", num_frames=3, **options)
    assert (source.num_frames, source.action_size, source.state_size) == (3, 4, 3)
    assert {split: source.size(split) for split in source.splits} == {
        "train": 43,
        "test": 2,
        "validation": 2,
    }
    found = [
        source.examples(split, np.arange(source.size(split)), ("actions",))["actions"]
        for split in ("train", "validation")
    ]
    assert found[0].shape == (43, 3, 4)
    both = np.concatenate(found)
    assert len({clip.tobytes() for clip in both}) == 45  # none in both, none lost
    assert {clip.tobytes() for clip in both} == {clip[:3].tobytes() for clip in actions}
    assert "clips of 3 frames" in source.description
    assert "validation: every 20th training sequence" in source.description
    too_long = data.load("bair_robot_pushing_small", num_frames=6, **options)
    with refuses("validation", "example 1", 5, 6, "num_frames"):
        too_long.examples("validation", [1])
    for wrong in (0, 2.5):
        with refuses("num_frames", wrong, "integer", 1):
            data.load("bair_robot_pushing_small", num_frames=wrong, **options)


@pytest.mark.parametrize(
    "fields, decoded", [(("frames",), 7), (("actions", "states"), 0), (("actions",), 0), (None, 7)]
)
def test_of_a_sequence_only_what_is_asked_for_is_decoded(tmp_path, monkeypatch, fields, decoded):
    frames = images(14, 8, 8).reshape(2, 7, 8, 8, 3)
    write_bair(tmp_path, frames)
    options = dict(data_dir=str(tmp_path), image_size=8)
    source = data.load("bair_robot_pushing_small", num_frames=4, **options)
    whole, seen, decode_image = source.examples("train", [1]), [], Feature.decode_example_np
    monkeypatch.setattr(
        Feature,
        "decode_example_np",
        lambda self, content: seen.append(content) or decode_image(self, content),
    )
    found = source.examples("train", [1], fields)
    assert found.keys() == set(fields or source.fields) and len(seen) == decoded
    for field, values in found.items():
        np.testing.assert_array_equal(values, whole[field])
    too_long = data.load("bair_robot_pushing_small", num_frames=8, **options)
    with refuses("train", "example 1", 7, 8, "num_frames"):
        too_long.examples("train", [1], fields)


@pytest.mark.parametrize("image_size, wanted", [(16, "16x16"), ((8, 9), "8x9")])
def test_small_frames_are_told_before_any_is_read(tmp_path, image_size, wanted):
    write_bair(tmp_path, images(10, 8, 8).reshape(2, 5, 8, 8, 3))
    with refuses("8x8", wanted, "image_size", "source_size", 8):
        data.load("bair_robot_pushing_small", data_dir=str(tmp_path), image_size=image_size)
    assert data.load("bair_robot_pushing_small", data_dir=str(tmp_path), image_size=(6, 8))


@pytest.mark.parametrize("field, value", [("actions", np.nan), ("states", -np.inf)])
def test_what_is_not_finite_is_told_with_its_place(tmp_path, field, value):
    write_bair(tmp_path, images(10, 8, 8).reshape(2, 5, 8, 8, 3), [(field, 1, 3, value)])
    options = dict(data_dir=str(tmp_path), image_size=8, num_frames=3)
    source = data.load("bair_robot_pushing_small", **options)
    assert np.isfinite(source.examples("train", [0, 1])[field]).all()  # clips of steps 0 to 2
    (other,) = {"actions", "states"} - {field}
    late = np.full((2, 2), 0.999)
    assert source.examples("train", [0, 1], ("frames", other), late)["frames"].shape[1] == 3
    place = "bair_robot_pushing_small", "split train", field, "step 3", value, "finite"
    with refuses(*place) as refused:
        source.examples("train", [0, 1], places=late)
    assert re.search("example [01]:", str(refused.value))
    batches = pipeline.training_batches(
        source, batch_size=2, seed=0, random_crop=True, fields=source.fields
    )
    with refuses(*place):
        for _, batch in zip(range(50), pipeline.iterate(batches), strict=False):
            assert np.isfinite(batch[field]).all()


def test_num_frames_is_for_videos():
    with refuses("shapes", "num_frames=3"):
        data.load("shapes", num_frames=3)
    assert data.video_names() == ("shapes_push", "robot_pushing", "bair_robot_pushing_small")
    assert data.load("shapes_push", num_frames=7).examples("train", [0])["states"].shape == (
        1,
        7,
        5,
    )


def test_repeated_reads_agree_whatever_the_cache(cub):
    source = data.load("cub", data_dir=str(cub), image_size=16)
    count = source.size("train")
    first = source.examples("train", np.arange(count), ("image",))["image"]
    again = source.examples("train", np.arange(count)[::-1], ("image",))["image"][::-1]
    fresh = data.load("cub", data_dir=str(cub), image_size=16)
    with_labels = fresh.examples("train", np.arange(count), ("image", "label"))["image"]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, with_labels)


def test_a_damaged_record_is_placed(damaged):
    folder, path = damaged
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    source = data.load("cub", data_dir=str(folder), image_size=16)
    with refuses(path, "record", "checksum", error=DamagedExample) as refused:
        source.examples("train", np.arange(source.size("train")))
    assert re.search("byte [0-9]+", str(refused.value))


def test_a_file_cut_short_is_told_before_anything_is_read(damaged):
    folder, path = damaged
    path.write_bytes(path.read_bytes()[:-7])
    with refuses(path, "record", "cut short") as refused:
        data.load("cub", data_dir=str(folder), image_size=16).examples("train", [0])
    assert re.search("byte [0-9]+", str(refused.value))


def test_a_file_cut_between_records_is_told(damaged):
    folder, path = damaged
    from ms_pixelcnn_tf.data.tfrecords.records import index_of

    places = index_of(path)
    offset, _ = places[-1]
    path.write_bytes(path.read_bytes()[: offset - 12])
    with refuses(len(places) - 1, len(places), "split train"):
        data.load("cub", data_dir=str(folder), image_size=16).examples("train", [0])


def test_a_missing_file_is_told(damaged):
    folder, path = damaged
    path.unlink()
    with refuses(path, "missing"):
        data.load("cub", data_dir=str(folder), image_size=16).examples("train", [0])


def test_another_data_set_under_the_name_is_told(damaged):
    import tensorflow as tf

    folder, path = damaged
    from ms_pixelcnn_tf.data.tfrecords.records import index_of

    count = len(index_of(path))
    for record in (b"", b"\xff\xff\xff", tf.train.Example().SerializeToString()):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(count):
                writer.write(record)
        with refuses(path, "example of cub"):
            data.load("cub", data_dir=str(folder), image_size=16).examples("train", [0])


def test_no_build_and_several_are_told(cub, tmp_path):
    with refuses("coco", cub, "bin/make_tfrecords --dataset=coco"):
        data.load("coco", data_dir=str(cub))
    with refuses("coco", "data_dir"):
        data.load("coco")
    for variant in ("new32", "old32"):
        write_tfds(
            tmp_path,
            "imagenet",
            variant,
            {"image": tfds.features.Image(shape=(None, None, 3))},
            {"train": [{"image": image} for image in images(1, 32, 32)]},
        )
    with refuses("builds of imagenet32", "--data_dir", "new32/1.0.0", "old32/1.0.0"):
        data.load("imagenet32", data_dir=str(tmp_path))
    one = data.load("imagenet32", data_dir=str(tmp_path / "imagenet" / "old32" / "1.0.0"))
    assert one.size("train") == 1


def test_of_several_variants_none_is_chosen(tmp_path):
    write_cub(tmp_path / "source")
    for variant, size in (("disjoint", 48), ("official", 32)):
        build("cub", tmp_path / "source", tmp_path / "built", variant=variant, image_size=size)
    with refuses("builds of cub", "--data_dir", "disjoint-48/1.0.0", "official-32/1.0.0"):
        data.load("cub", data_dir=str(tmp_path / "built"), image_size=32)
    picture = {"image": tfds.features.Image(shape=(None, None, 3))}
    for year in ("2014", "2017"):
        write_tfds(tmp_path, "coco", year, picture, {"train": [{"image": images(1, 32, 32)[0]}]})
    with refuses("builds of coco", "--data_dir", "2014/1.0.0", "2017/1.0.0"):
        data.load("coco", data_dir=str(tmp_path))


def test_damaged_metadata_of_another_data_set_is_passed_over(damaged):
    folder, _ = damaged
    (folder / "other" / "1.0.0").mkdir(parents=True)
    (folder / "other" / "1.0.0" / "dataset_info.json").write_text("{")
    assert data.load("cub", data_dir=str(folder), image_size=16).size("train")
    with refuses("data of coco", "read"):
        data.load("coco", data_dir=str(folder))


def test_of_several_sizes_the_smallest_that_is_enough(cub, tmp_path):
    root = tmp_path / "source"
    write_cub(root)
    for size in (16, 48):
        build("cub", root, tmp_path / "built", image_size=size)
    stored = {
        side: data.load("cub", data_dir=str(tmp_path / "built"), image_size=side).description
        for side in (8, 16, 17, 48, 64)
    }
    for side, enough in ((8, 16), (16, 16), (17, 48), (48, 48), (64, 48)):
        assert f"shorter side {enough}" in stored[side]


@pytest.mark.slow
def test_training_and_evaluation_run_on_it_and_name_the_data(cub, tmp_path, capsys):
    workdir = f"--workdir={tmp_path / 'run'}"
    train.main(
        [
            "--dataset=cub",
            f"--data_dir={cub}",
            workdir,
            "--image_size=8",
            "--base_size=4",
            "--base_layers=1",
            "--base_features=8",
            "--residual_blocks=1",
            "--features=8",
            "--head_features=8",
            "--label_features=4",
            "--num_classes=200",
            "--flip",
            "--random_crop",
            "--steps=2",
            "--batch_size=3",
            "--sample_every=0",
            "--num_levels=8",
        ]
    )
    evaluate.main([workdir, "--split=test"])
    said = capsys.readouterr().out
    assert said.count("CUB-200-2011, disjoint split, shorter side 32") == 3
    assert not missing_facts(said, "test", "3 examples")


SMALL = [
    "--dataset=cub",
    "--image_size=8",
    "--base_size=4",
    "--base_layers=1",
    "--base_features=8",
    "--residual_blocks=1",
    "--features=8",
    "--head_features=8",
    "--steps=9",
    "--batch_size=4",
    "--output=dmol",
    "--sample_every=0",
    "--log_every=1",
]


def damage(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def test_a_damaged_record_ends_training_in_one_line(damaged, tmp_path, monkeypatch, capsys):
    folder, path = damaged
    damage(path)
    arguments = [*SMALL, f"--data_dir={folder}", f"--workdir={tmp_path / 'run'}"]
    assert exit_status(monkeypatch, train.main, *arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and not missing_facts(error, path, "record")
    assert re.search("byte [0-9]+", error)


def test_crop_boxes():
    assert crop_box((10, 10), (5, 5)) == (0, 0, 10, 10)
    assert crop_box((14, 10), (5, 5)) == (2, 0, 12, 10)
    assert crop_box((10, 14), (5, 5), (0.0, 0.0)) == (0, 0, 10, 10)
    assert crop_box((10, 14), (5, 5), (0.0, 0.9999)) == (0, 4, 10, 14)
    assert crop_box((30, 20), (10, 10), (0.5, 0.3)) == (5, 0, 25, 20)
    assert crop_box((3, 100), (64, 32), None)[2] == 3


def photograph(width, height, seed=0):
    """A smooth picture in colours, as a JPEG of little loss."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=95
    )
    return buffer.getvalue()


def difference(content, side, place=None):
    """Mean absolute difference of decoding at a part of the size to decoding in full, of 255."""
    whole, image = (Image.open(io.BytesIO(content)) for _ in range(2))
    box = crop_box(image.size, (side, side), place)
    ratio = decode.shrink_while_decoding(image, box, (side, side))
    part = tuple(edge / ratio for edge in box)
    scaled = decode.average(decode.to_rgb(image), (side, side), part)
    full = decode.resize(decode.to_rgb(whole), (side, side), box)
    return abs(np.asarray(full).astype(int) - np.asarray(scaled)).mean()


@pytest.mark.parametrize(
    "size, ratio",
    [
        ((63, 300), 1),
        ((64, 64), 2),
        ((127, 129), 2),
        ((131, 129), 4),
        ((255, 700), 4),
        ((1001, 257), 8),
        ((2049, 1111), 8),
        ((400, 33), 1),
    ],
)
def test_jpegs_are_shrunk_while_they_are_decoded(size, ratio):
    for place in (None, (0.3, 0.9)):
        image = Image.open(io.BytesIO(photograph(*size)))
        box = crop_box(size, (16, 16), place)
        assert decode.shrink_while_decoding(image, box, (16, 16)) == ratio
        image.load()
        assert image.size == tuple(-(-side // ratio) for side in size)
        assert difference(photograph(*size), 16, place) < 5


@pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("files", ["cub/CUB_200_2011/images/*/*.jpg", "coco/*2017/*.jpg"])
def test_real_photographs_hardly_change(files, side):
    paths = sorted(pathlib.Path(REAL).glob(files))
    found = [difference(path.read_bytes(), side) for path in paths]
    assert len(found) >= 159 and np.mean(found) < 2.5 and max(found) < 8


def test_other_formats_are_decoded_whole():
    image = Image.new("RGB", (640, 480))
    image.format = "PNG"
    assert decode.shrink_while_decoding(image, (0, 0, 480, 480), (16, 16)) == 1


def test_keypoints_lie_on_their_pixels_after_decoding_at_a_part_of_the_size(tmp_path):
    """A bright square at each keypoint, in sizes that no ratio divides."""
    sizes = [(301, 227), (227, 301), (515, 333), (1031, 777), (259, 263)]
    generator, examples = np.random.default_rng(3), []
    for width, height in sizes:
        side, radius = min(width, height), min(width, height) // 12
        pixels = np.full((height, width, 3), 20, "uint8")
        x, y = (int(n // 2 + generator.integers(-side // 4, side // 4)) for n in (width, height))
        pixels[y - radius : y + radius + 1, x - radius : x + radius + 1] = 240
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
        examples.append(
            {"image": buffer.getvalue(), "keypoints": np.array([[x + 0.5, y + 0.5, 1]], "float32")}
        )
    write_tfds(
        tmp_path,
        "cub",
        "disjoint",
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "keypoints": tfds.features.Tensor(shape=(1, 3), dtype=np.float32),
        },
        {"train": examples},
    )
    source = data.load("cub", data_dir=str(tmp_path), image_size=48)
    count = len(examples)
    for places in (None, np.full((count, 2), 0.3), np.full((count, 2), 0.6)):
        found = source.examples("train", np.arange(count), places=places)
        for image, (point,) in zip(found["image"], found["keypoints"], strict=True):
            rows, columns = np.nonzero(image.mean(axis=-1) > 130)
            assert point[2] == 1
            assert abs(columns.mean() + 0.5 - point[0]) < 0.6
            assert abs(rows.mean() + 0.5 - point[1]) < 0.6


def test_conditions_come_as_the_models_take_them(cub, tmp_path):
    source = data.load("cub", data_dir=str(cub), image_size=16)
    assert (source.num_keypoints, source.num_segments) == (len(source.keypoint_names), 0)
    batches = pipeline.training_batches(
        source,
        batch_size=3,
        seed=0,
        flip=True,
        random_crop=True,
        fields=("image", "text", "keypoints"),
    )
    batch = next(batches.as_numpy_iterator())
    captions = source.examples("train", np.arange(source.size("train")), ("text",))["text"]
    known = {codes.tobytes() for told in captions for codes in text.encode(told)}
    assert all(codes.tobytes() in known for codes in batch["text"])
    assert batch["keypoints"].shape == (3, 32, 32, source.num_keypoints)

    generator = np.random.default_rng(0)
    examples = [
        {"image": image, "segmentation": generator.integers(0, 2, (32, 32, 6), "uint8")}
        for image in images(2, 32, 32)
    ]
    write_tfds(
        tmp_path,
        "coco",
        "2017",
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "segmentation": tfds.features.Tensor(shape=(32, 32, 6), dtype=np.uint8),
        },
        {"train": examples},
    )
    source = data.load("coco", data_dir=str(tmp_path), image_size=16)
    assert (source.num_keypoints, source.num_segments) == (0, 6)
    assert source.segment_names == ()  # this build does not tell them
    stored = source.examples("train", np.arange(2), ("segmentation",))["segmentation"]
    options = dict(batch_size=2, fields=("image", "segmentation"))
    (batch,) = pipeline.evaluation_batches(source, split="train", **options).as_numpy_iterator()
    np.testing.assert_array_equal(batch["segmentation"], stored)
    flipped = next(
        pipeline.training_batches(source, seed=1, flip=True, **options).as_numpy_iterator()
    )
    order, coins = draws.epoch_permutation(2, 1, 0), draws.flip_coins(1, np.arange(2))
    for values, number, coin in zip(flipped["segmentation"], order, coins, strict=True):
        np.testing.assert_array_equal(values, stored[number][:, :: -1 if coin else 1])


def test_every_fourth_pixel_of_images_and_their_maps_as_they_are(tmp_path):
    pictures, generator = images(3, 32, 40), np.random.default_rng(0)
    maps = generator.integers(0, 2, (3, 32, 32, 2), "uint8")
    write_tfds(
        tmp_path,
        "coco",
        "2017",
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "segmentation": tfds.features.Tensor(shape=(32, 32, 2), dtype=np.uint8),
        },
        {
            "train": [
                {"image": image, "segmentation": m} for image, m in zip(pictures, maps, strict=True)
            ]
        },
    )
    options = dict(data_dir=str(tmp_path), source_size=32)
    small, large = (data.load("coco", image_size=side, **options) for side in (8, 32))
    assert small.takes_places and small.has_threads and small.num_segments == 2
    for places in (None, np.array([[0.1, 0], [0.5, 0], [0.99, 0]])):
        found, whole = (
            source.examples("train", [2, 0, 1], places=places) for source in (small, large)
        )
        np.testing.assert_array_equal(found["image"], whole["image"][:, ::4, ::4])
        np.testing.assert_array_equal(found["segmentation"], whole["segmentation"])
    averaged = data.load("coco", image_size=8, data_dir=str(tmp_path)).examples("train", [2, 0, 1])
    assert (found["image"] != averaged["image"]).mean() > 0.5


def test_only_the_features_asked_for_are_decoded(cub):
    source = data.load("cub", data_dir=str(cub), image_size=16)
    assert source.raw("train", 0, ("label",)).keys() == {"label"}
    whole = source.examples("train", np.arange(2))
    for field in source.fields:
        alone = source.examples("train", np.arange(2), (field,))
        assert alone.keys() == {field}
        for one, other in zip(alone[field], whole[field], strict=True):
            np.testing.assert_array_equal(one, other)
