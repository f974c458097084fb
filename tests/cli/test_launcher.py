"""bin/train --scale=each: one process a scale, into one folder."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ms_pixelcnn_tf.cli import evaluate, launcher, train
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.folder import SCALES
from support.errors import missing_facts, refuses

pytestmark = pytest.mark.slow

TINY = [
    "--image_size=8",
    "--base_size=2",
    "--num_levels=4",
    "--channels=1",
    "--base_layers=1",
    "--base_features=6",
    "--first_kernel=3",
    "--residual_blocks=1",
    "--features=6",
    "--head_features=6",
    "--num_mixtures=2",
    "--batch_size=2",
    "--evaluation_examples=2",
    "--steps=2",
    "--sample_every=0",
]
PROGRAM = (
    sys.executable,
    "-c",
    "from ms_pixelcnn_tf.cli import flags, train; flags.run(train.main)",
)


def test_each_scale_has_a_command_of_its_own():
    found = launcher.commands(
        ["--dataset=shapes", "--scale", "each", "--workdir", "a b", "--steps=3"],
        ("base", "8"),
        "c d",
    )
    assert found == {
        scale: ["--dataset=shapes", "--steps=3", f"--scale={scale}", "--workdir=c d"]
        for scale in ("base", "8")
    }
    for scale, arguments in found.items():
        run, workdir = train.parse([*TINY, *arguments])
        assert (run.model.scale, workdir) == (scale, "c d")


@pytest.mark.parametrize(
    "arguments, asked",
    [
        (["--scale=each"], True),
        (["--scale", "each"], True),
        (["--scale=base"], False),
        (["--workdir=each"], False),
        ([], False),
        (["--scale=each", "--scale=base"], False),
        (["--scale", "base", "--scale=each"], True),
    ],
)
def test_it_is_asked_for(arguments, asked):
    assert launcher.is_asked_for(arguments) == asked


def test_all_scales_are_trained_and_evaluated_as_one_model(tmp_path, capfd):
    train.main([*TINY, f"--workdir={tmp_path}", "--scale=each"])
    said = capfd.readouterr().out
    for scale in ("base", "4", "8"):
        assert f"--scale={scale} --workdir={tmp_path}" in said
        assert f"[{scale}] 2 steps" in said
        assert latest_step(tmp_path / SCALES / scale) == 2
    evaluate.main([f"--workdir={tmp_path}", "--limit=2"])
    assert "missing" not in capfd.readouterr().out


def test_a_scale_that_fails_is_named_and_the_others_go_on(tmp_path, capfd):
    program = "import sys; print('hello'); sys.exit(3 * ('--scale=4' in sys.argv))"
    with refuses("4 (exit code 3)", "2 scales"):
        launcher.launch([], ("base", "4"), tmp_path, (sys.executable, "-c", program))
    said = capfd.readouterr().out
    assert "[base] hello\n" in said and "[4] hello\n" in said


def test_what_has_no_scales_is_refused(tmp_path):
    for variant, more in (("ON", []), ("OT", ["--dataset=shapes_push"])):
        arguments = [f"--variant={variant}", *more]
        with refuses("scale", variant):
            train.main([*arguments, "--scale=each", f"--workdir={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()


def test_a_signal_goes_on_to_all_and_every_scale_is_saved(tmp_path):
    command = [
        *PROGRAM,
        *TINY,
        "--steps=100000",
        "--scale=each",
        f"--workdir={tmp_path}",
        "--checkpoint_every=1",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        folders = [tmp_path / SCALES / scale for scale in ("base", "4", "8")]
        started = time.monotonic()
        while not all(latest_step(folder) > 2 for folder in folders):
            assert process.poll() is None and time.monotonic() - started < 300
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    for scale, folder in zip(("base", "4", "8"), folders, strict=True):
        (last,) = (line for line in said.splitlines() if line.startswith(f"[{scale}] stopped"))
        assert not missing_facts(last, f"step {latest_step(folder)}", "saved")


def test_what_no_part_can_have_is_refused_before_any_is_started():
    flags = ["--dataset=shapes_push", "--variant=OTlogN", "--scale=each", "--past_samples=1"]
    with refuses("past_samples", 1, "scale base"):
        train.parse(flags)
