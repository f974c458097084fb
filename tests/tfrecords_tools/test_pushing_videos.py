"""Robot pushing from the owners' files to a trained video model, by the commands."""

import functools
import json
import shutil

import pytest

from ms_pixelcnn_tf.cli import evaluate, inspect_data, train
from ms_pixelcnn_tf.data.tfrecords.records import places
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop
from support.cases import fast
from support.commands import exit_status
from support.errors import missing_facts
from support.runs import SilentProgress
from support.written_robot_pushing import sequence, write
from tfrecords_tools.build import build

SMALL = [
    "--dataset=robot_pushing",
    "--variant=OT",
    "--image_size=8",
    "--num_frames=4",
    "--num_levels=8",
    "--frame_features=4",
    "--lstm_features=4",
    "--residual_blocks=1",
    "--features=4",
    "--head_features=4",
    "--num_mixtures=2",
    "--batch_size=2",
    "--steps=2",
    "--sample_every=2",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Records of the authentic layout, built."""
    root = tmp_path_factory.mktemp("push")
    for number in (0, 19):  # of training, and of validation
        write(root / "source", "train", number, [sequence(20, number), sequence(22, number)])
    write(root / "source", "testseen", 0, [sequence(21)])
    write(root / "source", "testnovel", 0, [sequence(20)])
    build("robot_pushing", root / "source", root / "built", image_size=16)
    return root / "built"


@pytest.fixture(scope="module")
def workdir(built, tmp_path_factory):
    """A run on it."""
    path = tmp_path_factory.mktemp("runs") / "push"
    train.main(
        [
            *SMALL,
            f"--data_dir={built}",
            f"--workdir={path}",
            "--augment=jitter",
            "--random_crop",
            "--micro_batch_size=1",
        ]
    )
    return path


@pytest.mark.slow
def test_a_run_says_what_its_data_are_and_both_units(built, workdir, capsys):
    train.main(
        [
            *SMALL,
            f"--data_dir={built}",
            f"--workdir={workdir}",
            "--augment=jitter",
            "--random_crop",
            "--micro_batch_size=1",
        ]
    )
    said, last = capsys.readouterr().out, read_metrics(workdir)[-1]
    assert said.count("Google robot pushing, 16x16, centre crop; clips of 4 frames, 8, RGB") == 2
    bits, nats = last["validation_bits"], last["validation_nats"]
    assert not missing_facts(said, f"{bits:.4f} bits", f"{nats:.4f} nats")
    assert Run(workdir).config.model.conditions == ("actions", "states")
    assert Run(workdir).model().config.num_frames == 4


@pytest.mark.parametrize("split, count", [("validation", 2), ("test_seen", 1), ("test_novel", 1)])
def test_each_split_is_scored(workdir, capsys, split, count):
    evaluate.main([f"--workdir={workdir}", f"--split={split}", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["examples"] == count and found["missing_scales"] == []
    assert [frame["frame"] for frame in found["frames"]] == [2, 3]
    assert found["nats_per_dim"] == pytest.approx(found["nats"] / (2 * 8 * 8 * 3))


def test_poses_are_not_mirrored(built, tmp_path, monkeypatch, capsys):
    arguments = [*SMALL, f"--data_dir={built}", f"--workdir={tmp_path / 'run'}", "--augment=mirror"]
    assert exit_status(monkeypatch, train.main, *arguments) == 2
    error = capsys.readouterr().err
    assert not missing_facts(error, "mirror", "actions", "states", "robot_pushing"), error
    assert error.count("\n") == 1 and not (tmp_path / "run").exists()


def test_clips_longer_than_a_sequence_are_told(built, tmp_path, monkeypatch, capsys):
    arguments = [*SMALL, f"--data_dir={built}", f"--workdir={tmp_path / 'run'}", "--num_frames=21"]
    assert exit_status(monkeypatch, train.main, *arguments) == 2
    assert not missing_facts(capsys.readouterr().err, 20, 21, "num_frames")


@pytest.mark.parametrize("sizes", [["--image_size=32"], ["--source_size=32"]])
def test_frames_are_not_enlarged(built, tmp_path, monkeypatch, capsys, sizes):
    arguments = [*SMALL, f"--data_dir={built}", f"--workdir={tmp_path / 'run'}", *sizes]
    assert exit_status(monkeypatch, train.main, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not missing_facts(error, "robot_pushing", "16x16", "32x32", "--image_size=32"), error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_on_every_second_pixel_stays_on_it(built, tmp_path, monkeypatch, capsys):
    arguments = [*SMALL, f"--data_dir={built}", f"--workdir={tmp_path / 'run'}", "--sample_every=0"]
    train.main([*arguments, "--source_size=16"])
    said = capsys.readouterr().out
    assert said.count("clips of 4 frames, 16, RGB; every 2nd pixel of 16x16: 8x8") == 2
    assert exit_status(monkeypatch, train.main, *arguments) == 2
    assert not missing_facts(capsys.readouterr().err, tmp_path / "run", "fingerprint")


class Damaging(SilentProgress):
    """Flips a byte of a training record once the run is under way."""

    folder = None

    def update(self, step, bits):
        if step == 3:
            (path,) = (path for path in self.folder.rglob("*train*.tfrecord*"))
            content = bytearray(path.read_bytes())
            (offset, length), *_ = places(path)
            content[offset + length // 2] ^= 1
            path.write_bytes(content)


@pytest.mark.parametrize("limit", fast([1, 0], 1))
def test_a_record_that_goes_bad_while_training_reads_it(
    built, tmp_path, monkeypatch, capsys, limit
):
    monkeypatch.setattr(Damaging, "folder", tmp_path / "built")
    monkeypatch.setattr(loop, "train", functools.partial(loop.train, progress=Damaging))
    shutil.copytree(built, tmp_path / "built")
    arguments = [
        *SMALL,
        f"--data_dir={tmp_path / 'built'}",
        f"--workdir={tmp_path / 'run'}",
        "--steps=40",
        f"--max_damaged_examples={limit}",
        "--sample_every=0",
        "--checkpoint_every=5",
    ]
    status = exit_status(monkeypatch, train.main, *arguments)
    error = capsys.readouterr().err
    assert error.count("checksum") == 1
    if limit:
        assert status == 0 and latest_step(tmp_path / "run") == 40
        assert not missing_facts(error, "warning", "another example", 1), error
    else:
        assert status == 2 and error.startswith("error: ") and error.count("\n") == 1
        assert not missing_facts(error, "max_damaged_examples, 0"), error


def test_a_sheet_of_clips(built, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    inspect_data.main(
        [
            "--dataset=robot_pushing",
            f"--data_dir={built}",
            "--num_frames=5",
            "--image_size=16",
            "--num=2",
            f"--out={out}",
        ]
    )
    assert "clips of 5 frames" in capsys.readouterr().out and out.is_file()
