"""Robot pushing: runs of whole steps, splits by file, and what is wrong told by file and record."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ms_pixelcnn_tf import data
from support.errors import missing_facts, refuses
from support.written_robot_pushing import FRAME, sequence, write
from tfrecords_tools import robot_pushing
from tfrecords_tools.archives import Tree
from tfrecords_tools.build import build
from tfrecords_tools.builder import Options
from tfrecords_tools.robot_pushing import RobotPushing
from tfrecords_tools.tasks import Skipped


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Short sequences are enough here, but in processes, where this does not reach."""
    monkeypatch.setattr(robot_pushing, "MIN_STEPS", 3)


def converted(source, variant="crop", size=16, split="train"):
    """`(examples by key, reasons)` of a split."""
    options, tree = Options(size, variant), Tree(source)
    found, reasons = {}, []
    for task in RobotPushing.plan(tree, options, lambda *_: None).tasks[split]:
        for key, example in RobotPushing.convert(options, task, tree.members[task.name]):
            if isinstance(example, Skipped):
                reasons.append(str(example))
            else:
                found[key] = example
    return found, reasons


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded))).astype(int)


def test_a_sequence_comes_back(tmp_path):
    path = write(tmp_path, "train", 0, [sequence(4), sequence(3, 100.0)])
    found, reasons = converted(tmp_path)
    assert list(found) == [f"{path.name}:0", f"{path.name}:1"] and not reasons
    first, second = found.values()
    poses = np.arange(4)[:, None] + np.arange(5) / 8
    np.testing.assert_array_equal(first["actions"], poses)
    np.testing.assert_array_equal(first["states"], -poses)
    assert second["actions"][0][0] == 100 and len(second["frames"]) == 3
    assert first["file"] == path.name and first["key"] == f"{path.name}:0"


def test_the_crop_is_central_and_the_squash_is_whole(tmp_path):
    write(tmp_path, "train", 0, [sequence(3)])
    for size, side in ((0, 64), (20, 20)):
        crop = pixels(next(iter(converted(tmp_path, "crop", size)[0].values()))["frames"][0])
        squash = pixels(next(iter(converted(tmp_path, "squash", size)[0].values()))["frames"][0])
        assert crop.shape == squash.shape == (side, side, 3)
        assert abs(crop - [40, 200, 40]).max() < 20  # of the sides nothing but the JPEG's ringing
        edge = side // 10
        assert abs(squash[:, : edge - 1] - [200, 40, 40]).max() < 12
        assert abs(squash[:, side - edge + 1 :] - [40, 40, 200]).max() < 12
        assert abs(squash[:, edge + 1 : side - edge - 1] - [40, 200, 40]).max() < 12


@pytest.mark.parametrize(
    "changes, steps",
    [
        ({"move_4_image": None}, 4),
        ({"move_4_image": b""}, 4),
        ({"move_3_action": None}, 3),
        ({"move_5_state": None}, 5),
        ({"move_0_image": None}, 0),
    ],
)
def test_the_run_ends_where_something_lacks(tmp_path, changes, steps):
    write(tmp_path, "train", 0, [sequence(6, **changes)])
    found, reasons = converted(tmp_path)
    if steps:
        assert len(next(iter(found.values()))["frames"]) == steps and not reasons
    else:
        assert not found and reasons == [robot_pushing.SHORT]


def test_what_is_left_out_is_counted(tmp_path):
    write(
        tmp_path,
        "train",
        0,
        [
            sequence(2),
            sequence(5, move_3_image=FRAME[:300]),
            sequence(5, move_1_image=b"none"),
            sequence(3, move_1_action=[0, 0, float("nan"), 0, 0]),
            sequence(3, move_2_state=[0, 0, 0, 0, float("inf")]),
            sequence(3),
        ],
    )
    found, reasons = converted(tmp_path)
    assert [len(example["frames"]) for example in found.values()] == [3, 3]
    cut, short, lost = robot_pushing.CUT, robot_pushing.SHORT, robot_pushing.NOT_FINITE
    assert reasons == [short, cut, cut, short, lost, lost]


def test_wrong_records_are_told(tmp_path):
    path = write(tmp_path, "train", 0, [sequence(3), sequence(3, move_1_action=[0.0] * 4)])
    with refuses(path, "record 1", "move/1/commanded_pose/vec_pitch_yaw", 4, 5):
        converted(tmp_path)
    write(tmp_path, "train", 0, [b"\xff\xff\xff"])
    with refuses(path, "record 0", "tf.train.Example"):
        converted(tmp_path)
    write(tmp_path, "train", 0, [sequence(3)])
    content = bytearray(path.read_bytes())
    for change in (content[:-30], content[:100] + b"\0\0" + content[102:]):
        path.write_bytes(change)
        with refuses(path, "record", "byte 0"):
            converted(tmp_path)


def planned(source):
    skipped = {}
    return RobotPushing.plan(
        Tree(source), Options(64, "crop"), lambda reason, count=1: skipped.update({reason: count})
    ).tasks, skipped


def test_splits_are_of_whole_files(tmp_path):
    for number in range(264):
        write(tmp_path, "train", number, [])
    for number in range(5):
        write(tmp_path, "testseen", number, [])
        write(tmp_path, "testnovel", number, [])
    plan, skipped = planned(tmp_path)
    files = {split: {task.name for task in tasks} for split, tasks in plan.items()}
    assert {split: len(names) for split, names in files.items()} == {
        "train": 251,
        "validation": 13,
        "test_seen": 5,
        "test_novel": 5,
    }
    assert len(set.union(*files.values())) == 274
    assert "push_train/push_train.tfrecord-00019-of-00264" in files["validation"]
    assert not {reason for reason, count in skipped.items() if count}


def test_few_files_are_told(tmp_path):
    write(tmp_path, "train", 0, [])
    plan, skipped = planned(tmp_path)
    assert not plan["validation"] and len(plan["train"]) == 1
    assert skipped["files of the set that are absent"] == 263
    assert any("validation" in reason for reason in skipped)


def test_other_sources_are_refused(tmp_path):
    with refuses(tmp_path, "push_train", "push_testseen", "push_testnovel"):
        planned(tmp_path)
    path = write(tmp_path / "a", "train", 0, [])
    with tarfile.open(tmp_path / "push.tar", "w") as tar:
        tar.add(path, f"push_train/{path.name}")
    with refuses("push.tar", "archive", "unpack"):
        planned(tmp_path / "push.tar")


def read(path, split):
    data = tfds.builder_from_directory(path).as_dataset(split=split)
    return {
        row["key"].decode(): row
        for row in (
            {"key": row["key"], "actions": list(row["actions"]), "frames": list(row["frames"])}
            for row in tfds.as_numpy(data)
        )
    }


@pytest.mark.slow
def test_built_data_is_the_same_with_any_workers_and_trains_in_clips(tmp_path, monkeypatch):
    monkeypatch.undo()
    source = tmp_path / "source"
    for number in (0, 1, 19):
        write(source, "train", number, [sequence(20, number), sequence(22, number), sequence(1)])
    write(source, "testseen", 0, [sequence(21)])
    built = [build("robot_pushing", source, tmp_path / "out")]
    assert built[0].examples == {"train": 4, "validation": 2, "test_seen": 1}
    assert built[0].description == "Google robot pushing, 64x64, centre crop"
    assert not missing_facts(built[0].skips, "3 sequences", "20 steps")
    metadata = tfds.builder_from_directory(built[0].path).info.metadata
    assert metadata["geometry"] == "centre crop"
    assert metadata["sequences_by_steps"] == {"20": 3, "22": 3, "21": 1}
    for path in [*source.rglob("*00019-of*"), *source.rglob("push_testseen.*")]:
        path.unlink()  # processes are started anew for each split
    built.append(build("robot_pushing", source, tmp_path / "out2", workers=2))
    assert built[1].examples == {"train": 4}
    one, two = (read(summary.path, "train") for summary in built)
    assert one.keys() == two.keys() and len(one) == 4
    for key, row in one.items():
        np.testing.assert_array_equal(row["actions"], two[key]["actions"])
        np.testing.assert_array_equal(row["frames"], two[key]["frames"])
        assert row["frames"][0].shape == (64, 64, 3)
    films = data.load("robot_pushing", data_dir=str(tmp_path / "out"), image_size=32)
    clips = films.examples("train", np.arange(4))
    assert clips["frames"].shape == (4, 20, 32, 32, 3) and films.is_video
    late = films.examples("train", np.arange(4), places=np.full((4, 2), 0.999))
    steps = late["actions"][:, 0, 0] - clips["actions"][:, 0, 0]
    assert sorted(steps.round(4).tolist()) == [0, 0, 2, 2]  # two of 20 steps, two of 22
