"""A run that stops and goes on equals one that did not; a reloaded model is the trained one."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.metrics import METRICS, read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop
from ms_pixelcnn_tf.training.interrupt import Interrupted
from support.cases import fast
from support.errors import refuses
from support.runs import TinySource, assert_same_state, curve, state, tiny_run, train


def stop_and_go_on(stop_at, run, workdir, then=None):
    """Interrupts a run after a step, and lets it, or `then`, go on to the end."""
    with refuses(f"step {stop_at}", error=Interrupted):
        train(run, workdir, TinySource(), stop_after=stop_at)
    assert latest_step(workdir) == stop_at
    train(then or run, workdir, TinySource())


@pytest.mark.slow
def test_resumed_equals_uninterrupted_with_all_that_presets_use(tmp_path):
    run = tiny_run(
        output="softmax",
        num_classes=3,
        flip=True,
        crop_size=2,
        schedule="exponential",
        optimizer="rmsprop",
    )
    train(run, tmp_path / "whole", TinySource())
    stop_and_go_on(4, run, tmp_path / "stopped")
    assert_same_state(tmp_path / "stopped", tmp_path / "whole")


def test_resumed_equals_uninterrupted(finished, tmp_path):
    _, uninterrupted, _ = finished
    stop_and_go_on(3, tiny_run(), tmp_path)

    expected, got = state(uninterrupted), state(tmp_path)
    assert expected.keys() == got.keys()
    parts = ("model", "averaged", "optimizer", "state/step", "state/recent_bits")
    assert all(any(name.startswith(part) for name in got) for part in parts)
    assert_same_state(tmp_path, uninterrupted)
    assert curve(tmp_path) == curve(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 4])  # before and after the validation of step 3
def test_the_mean_of_training_bits_outlives_a_stop(finished, tmp_path, stop_at):
    stop_and_go_on(stop_at, tiny_run(), tmp_path)
    assert curve(tmp_path) == curve(finished[1])


@pytest.mark.slow
def test_steps_may_grow_and_lines_after_the_checkpoint_are_dropped(finished, tmp_path):
    run = tiny_run(steps=2)
    train(run, tmp_path, TinySource())
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 3, "validation_bits": 0.0}\n{"step": 4, "vali')
    train(tiny_run(steps=4), tmp_path, TinySource())
    assert latest_step(tmp_path) == 4
    assert Run(tmp_path).config.train.steps == 4
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 3, 4]
    assert all(line["validation_bits"] > 0 for line in read_metrics(tmp_path))


@pytest.mark.slow
def test_what_no_weight_depends_on_may_change(finished, tmp_path):
    changed = tiny_run(
        log_every=1, checkpoint_every=1, sample_every=9, evaluate_every=2, data_dir="elsewhere"
    )
    stop_and_go_on(3, tiny_run(), tmp_path, then=changed)
    assert Run(tmp_path).config == changed
    got, expected = state(tmp_path), state(finished[1])
    for name in expected:
        if "recent" not in name:  # since the last validation, which is where that was changed to
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_validation_stops_it_and_the_next_session_makes_up_for_it(
    finished, tmp_path, monkeypatch, number, code
):
    scored = loop.evaluate

    def evaluate_and_signal(*arguments, before_batch, **more):
        def signal_first():
            os.kill(os.getpid(), number)
            before_batch()

        return scored(*arguments, before_batch=signal_first, **more)

    monkeypatch.setattr(loop, "evaluate", evaluate_and_signal)
    with refuses("step 3", "saved", error=Interrupted) as stopped:
        train(tiny_run(), tmp_path, TinySource())
    assert stopped.value.exit_code == code
    assert latest_step(tmp_path) == 3 and not read_metrics(tmp_path)
    monkeypatch.setattr(loop, "evaluate", scored)
    train(tiny_run(), tmp_path, TinySource())
    assert_same_state(tmp_path, finished[1])
    assert curve(tmp_path) == curve(finished[1])


@pytest.mark.parametrize(
    "overrides",
    fast(
        [
            {"variant": "ON", "output": "softmax"},
            {"upscaler": "A", "output": "softmax", "channels": 1, "num_classes": 3},
            {"upscaler": "B", "output": "softmax"},
            {"upscaler": "B", "output": "dmol", "ema_decay": 0.0},
        ],
        0,
    ),
)
def test_every_kind_of_model_reloads_bit_for_bit(overrides, tmp_path):
    run = tiny_run(**({"steps": 2, "evaluate_every": 2} | overrides))
    model = train(run, tmp_path, TinySource())
    reloaded = Run(tmp_path).model()
    labels = {"label": np.arange(5) % 3} if run.model.num_classes else None
    np.testing.assert_array_equal(
        model.sample(5, labels, seed=1), reloaded.sample(5, labels, seed=1)
    )
    first, second = (evaluate(m, TinySource(), "validation", 3) for m in (model, reloaded))
    assert first == second


def test_reloaded_model_agrees_with_the_last_validation(finished):
    run, workdir, model = finished
    reloaded = Run(workdir).model()
    np.testing.assert_array_equal(model.sample(5, seed=1), reloaded.sample(5, seed=1))
    first, second = (evaluate(m, TinySource(), "validation", 3) for m in (model, reloaded))
    assert first == second
    assert read_metrics(workdir)[-1]["validation_bits"] == pytest.approx(first.bits_per_dim)


def test_averages_differ_from_the_weights_and_none_means_the_model(finished, tmp_path):
    _, workdir, _ = finished
    saved = state(workdir)
    name = next(name for name in saved if name.startswith("model/"))
    assert not np.array_equal(saved[name], saved["averaged" + name.removeprefix("model")])
    run = tiny_run(ema_decay=0.0, steps=1, output="softmax")
    model = train(run, tmp_path, TinySource())
    np.testing.assert_array_equal(model.sample(3), Run(tmp_path).model().sample(3))


@pytest.mark.slow
def test_deterministic_runs_have_equal_hashes(tmp_path):
    """Two processes, each from the start, with all that could differ between them."""
    program = (
        "import sys\nfrom support.commands import train_tiny\n"
        "train_tiny(sys.argv[1], {'deterministic': True, 'steps': 12, 'output': 'softmax',"
        " 'num_classes': 3, 'micro_batch_size': 2})"
    )
    hashes = []
    for name in ("first", "second"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / name)],
            check=True,
            timeout=300,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        digest = hashlib.sha256()
        for key, value in sorted(state(tmp_path / name).items()):
            digest.update(key.encode() + np.ascontiguousarray(value).tobytes())
        hashes.append(digest.hexdigest())
    assert hashes[0] == hashes[1]
