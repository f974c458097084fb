"""The commands: flags, errors in one line, and the way from training to pictures."""

import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import evaluate, flags, sample, train
from ms_pixelcnn_tf.configs import PRESETS
from ms_pixelcnn_tf.evaluation.splits import Evaluation, FrameResult, TermResult
from ms_pixelcnn_tf.runs.datasheet import DATASHEET
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.training.interrupt import Interrupted
from support.commands import exit_status
from support.errors import missing_facts

SMALL = [
    "--image_size=8",
    "--base_size=4",
    "--num_levels=4",
    "--base_layers=1",
    "--base_features=8",
    "--residual_blocks=1",
    "--features=8",
    "--head_features=8",
    "--num_mixtures=2",
    "--batch_size=4",
    "--steps=3",
    "--evaluation_examples=8",
    "--sample_every=0",
]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run trained through the command."""
    path = tmp_path_factory.mktemp("runs") / "shapes"
    train.main([*SMALL, f"--workdir={path}"])
    return path


def test_flags_become_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, workdir = train.parse(
        [
            "--dataset=folder",
            "--data_dir=photos",
            "--variant",
            "OlogN",
            "--preset=small",
            "--image_size=32x48",
            "--base_size=4x6",
            "--flip=false",
            "--learning_rate=2e-4",
        ]
    )
    assert run.model.image_size == (32, 48) and run.model.base_size == (4, 6)
    assert run.train.flip is False and run.train.learning_rate == 2e-4
    assert run.train.steps == PRESETS["small"]["steps"]
    assert run.data.data_dir == str(tmp_path / "photos")
    assert workdir == "runs/folder-OlogN-small"
    assert train.parse(["--flip"])[0].train.flip is True


@pytest.mark.parametrize(
    "argument, facts",
    [
        ("--stepps=3", ("--stepps=3", "--steps")),
        ("--batch-size=3", ("--batch-size=3", "--batch_size")),
        ("--steps=many", ("--steps", "int", "many")),
        ("--learning_rate=nan", ("--learning_rate", "nan", "finite")),
        ("--flip=maybe", ("--flip", "maybe", "true", "false")),
        ("--image_size=3z", ("--image_size", "3z", "32", "32x48")),
        ("--variant=OlogM", ("variant", "OlogM", "OlogN")),
        ("--dataset=shape", ("dataset", "shape", "shapes")),
        ("--preset=tny", ("preset", "tny", "tiny")),
        ("--output=dmlo", ("output", "dmlo", "dmol")),
        ("--variant=OTLogN", ("variant", "OTLogN", "OTlogN")),
        ("--num_frames=20", ("num_frames", "videos", "OlogN", "images")),
        ("--dataset=shapes_push", ("shapes_push", "videos", "OlogN", "images", "OT_baseline")),
        ("--variant=OT", ("shapes", "images", "OT", "videos", "shapes_push", "OlogN")),
    ],
)
def test_mistakes_are_one_line(monkeypatch, capsys, argument, facts):
    assert exit_status(monkeypatch, train.main, argument) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not missing_facts(error, *facts), error


def test_help_shows_every_field_without_tensorflow():
    code = (
        "import sys\nfrom ms_pixelcnn_tf.cli import train\n"
        "try:\n    train.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = " ".join(done.stdout.split())
    assert not missing_facts(said, "--upscaler", "--ema_decay", "--gradient_clip_norm")
    videos = said[said.index("a model of videos:") : said.index("the data:")]
    assert "--num_frames" in videos and "--num_classes" not in videos
    for flag, defaults in {
        "--num_frames INT": "20",
        "--batch_size INT": "tiny 16; small 16; large 128; paper 128; videos: tiny 4,",
        "--output STR": "dmol; tiny softmax; small softmax; large softmax; paper softmax",
        "--micro_batch_size INT": "0; videos: large 1, paper 1",
        "--schedule STR": "paper exponential; videos: large steps, paper steps",
        "--steps INT": "paper 200000",
    }.items():
        assert defaults in said.split(f" {flag} ")[1].split("(default ")[1].split(")")[0]


def test_a_line_for_videos_is_a_configuration(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run, workdir = train.parse(["--dataset=robot_pushing", "--variant=OT", "--data_dir=data"])
    assert run.model.image_size == (64, 64) and run.model.output == "dmol"
    assert run.data.data_dir == str(tmp_path / "data") and workdir == "runs/robot_pushing-OT-tiny"
    run, _ = train.parse(
        [
            "--dataset=bair_robot_pushing_small",
            "--variant=OTlogN",
            "--preset=paper",
            "--augment",
            "jitter,mirror",
            "--micro_batch_size=4",
            "--drop_steps=5,6",
            "--centered=false",
        ]
    )
    assert run.train.augmentations == ("jitter", "mirror") and run.train.drops == (5, 6)
    assert (run.model.action_size, run.model.state_size) == (4, 3) and not run.train.centered


def test_a_table_of_videos_tells_frames_apart():
    def units(nats):
        return {"nats": nats, "bits_per_dim": nats / 8, "nats_per_dim": nats / 16}

    terms = {"group1": TermResult(**units(3.0)), "group2": TermResult(**units(5.0))}
    frames = tuple(FrameResult(**units(4.0), frame=number, terms={}) for number in (2, 3))
    result = Evaluation("films", "test_novel", 7, **units(8.0), terms=terms, frames=frames)
    lines = evaluate.to_text(result).splitlines()
    assert lines[:2] == ["data: films", "split: test_novel, 7 examples"]
    assert lines[2].split() == ["term", "nats/clip", "bits/sub-pixel", "nats/sub-pixel"]
    assert [line.split() for line in lines[3:]] == [
        ["total", "8.000", "1.0000", "0.5000"],
        ["group1", "3.000", "0.3750", "0.1875"],
        ["group2", "5.000", "0.6250", "0.3125"],
        ["frame", "2", "4.000", "0.5000", "0.2500"],
        ["frame", "3", "4.000", "0.5000", "0.2500"],
    ]


def test_an_interrupted_run_exits_130(monkeypatch, capsys):
    def main(arguments):
        raise Interrupted("stopped after step 3, saved")

    assert exit_status(monkeypatch, main) == 130
    assert capsys.readouterr().err == "stopped after step 3, saved\n"


def test_evaluate_prints_a_table_and_json(workdir, monkeypatch, capsys):
    arguments = ["--workdir", workdir, "--limit=6", "--batch_size=4"]
    assert exit_status(monkeypatch, evaluate.main, *arguments, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["examples"] == 6 and result["split"] == "validation"
    assert sum(t["nats"] for t in result["terms"].values()) == pytest.approx(result["nats"])
    assert exit_status(monkeypatch, evaluate.main, *arguments) == 0
    table = capsys.readouterr().out
    assert result["description"] in table and f"{result['bits_per_dim']:.4f}" in table


def test_a_new_process_finds_the_very_bits_of_the_last_validation(workdir):
    code = "from ms_pixelcnn_tf.cli import evaluate, flags; flags.run(evaluate.main)"
    arguments = [f"--workdir={workdir}", "--limit=8", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["bits_per_dim"] == read_metrics(workdir)[-1]["validation_bits"]


def test_sample_writes_grids_and_trajectories(workdir, tmp_path, monkeypatch, capsys):
    def picture(*arguments):
        out = tmp_path / "picture.png"
        options = ["--workdir", workdir, "--out", out, "--num=5", "--scale=1", *arguments]
        assert exit_status(monkeypatch, sample.main, *options) == 0
        return np.asarray(Image.open(out))

    grid = picture()
    assert grid.shape == (2 + 2 * 10, 2 + 3 * 10, 3)
    np.testing.assert_array_equal(grid, picture())
    assert not np.array_equal(grid, picture("--seed=1"))
    assert picture("--trajectory").shape == (2 + 5 * 10, 2 + 2 * 10, 3)
    capsys.readouterr()
    assert exit_status(monkeypatch, sample.main, "--workdir", workdir, "--label=1") == 2
    assert not missing_facts(capsys.readouterr().err, "unconditional", "--label")


def test_a_picture_too_large_to_hold_is_told(workdir, monkeypatch, capsys):
    assert exit_status(monkeypatch, sample.main, "--workdir", workdir, "--num=1000000") == 2
    assert not missing_facts(capsys.readouterr().err, "--num", "--scale", "pixels")


def python_runs_out(arguments):
    raise MemoryError


def tensorflow_runs_out(arguments):
    import tensorflow as tf

    tf.zeros([2**46])


@pytest.mark.parametrize("main", [python_runs_out, tensorflow_runs_out])
def test_running_out_of_memory_says_how_to_take_less(monkeypatch, capfd, main):
    assert exit_status(monkeypatch, main) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert not missing_facts(error, "memory", "--micro_batch_size"), error


def test_a_warning_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # as before afterwards

    def main(arguments):
        flags.warnings.showwarning("a file\nis damaged", UserWarning, "x.py", 3)

    assert exit_status(monkeypatch, main) == 0
    assert capsys.readouterr().err == "warning: a file is damaged\n"


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert (
        exit_status(monkeypatch, train.main, *SMALL, f"--workdir={tmp_path / 'file' / 'run'}") == 2
    )
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and not missing_facts(error, tmp_path / "file")


def test_a_run_of_a_newer_version_is_told(workdir, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(workdir, tmp_path / "run")
    config = json.loads((copy / "config.json").read_text())
    config["model"]["flow_layers"] = 3
    (copy / "config.json").write_text(json.dumps(config))
    for main, more in ((evaluate.main, []), (sample.main, []), (train.main, SMALL)):
        assert exit_status(monkeypatch, main, *more, f"--workdir={copy}") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert not missing_facts(error, "config.json", "flow_layers"), error


def test_the_best_checkpoint_can_be_asked_for(workdir, tmp_path, monkeypatch, capsys):
    assert (
        exit_status(
            monkeypatch, evaluate.main, f"--workdir={workdir}", "--checkpoint=best", "--limit=4"
        )
        == 0
    )
    assert "bits/sub-pixel" in capsys.readouterr().out
    for main in (evaluate.main, sample.main):
        assert exit_status(monkeypatch, main, f"--workdir={workdir}", "--checkpoint=bets") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert not missing_facts(error, "checkpoint", "bets", "best"), error


def test_evaluate_refuses_other_classes(workdir, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    sheet = json.loads((copy / DATASHEET).read_text())
    sheet["class_names"].reverse()
    (copy / DATASHEET).write_text(json.dumps(sheet))
    assert exit_status(monkeypatch, evaluate.main, "--workdir", copy) == 2
    classes = json.loads((workdir / DATASHEET).read_text())["class_names"]
    assert not missing_facts(capsys.readouterr().err, "class_names", classes[0], classes[-1])


@pytest.mark.parametrize("module", [evaluate, sample])
def test_a_folder_without_a_run_is_told(module, tmp_path, monkeypatch, capsys):
    assert exit_status(monkeypatch, module.main, "--workdir", tmp_path) == 2
    assert not missing_facts(capsys.readouterr().err, tmp_path, "run")


def test_unknown_split_lists_the_splits(workdir, monkeypatch, capsys):
    assert exit_status(monkeypatch, evaluate.main, "--workdir", workdir, "--split=tset") == 2
    assert not missing_facts(capsys.readouterr().err, "split", "tset", "validation")


def test_quiet_start_hides_the_log_unless_it_fails(monkeypatch, capfd):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with flags.quiet_start():
        os.write(2, b"noise")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), flags.quiet_start():
        os.write(2, b"reason")
        raise ImportError
    assert "reason" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["demo", "evaluate", "export", "inspect_data", "report", "sample", "score", "train", "upscale"],
)
def test_wrong_flags_need_no_tensorflow(name):
    """A command imports Keras and TensorFlow, which takes seconds, once its flags are right."""
    code = (
        f"import sys\nfrom ms_pixelcnn_tf.cli import flags, {name}\n"
        f"try:\n    {name}.main(['--no_such_flag'])\n"
        "except flags.UserError as error:\n    print(error, 'keras' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lists the flags) False" in said.stdout
