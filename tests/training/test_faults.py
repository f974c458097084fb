"""Steps that are not finite, files that are damaged, a full disk, and signals."""

import dataclasses
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.data.batches.draws import epoch_permutation
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.datasheet import DATASHEET, read_names
from ms_pixelcnn_tf.runs.folder import CONFIG
from ms_pixelcnn_tf.runs.metrics import METRICS, read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop, step
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from support.cases import fast
from support.errors import missing_facts, refuses, warns
from support.runs import TinySource, assert_same_state, curve, state, tiny_run, train


def with_bad_examples(monkeypatch, indices):
    """Training images whose likelihood at the third term is not finite."""
    bad = TinySource().examples("train", np.array(indices))["image"] // 128
    make = step.train_log_prob_terms

    def terms_of(model, batch, offsets, config):
        terms = make(model, batch, offsets, config)
        same = tf.reduce_all(batch["image"][:, None] == bad[None], axis=(2, 3, 4))
        nan = tf.where(tf.reduce_any(same, axis=1), np.nan, 0.0)
        terms["2to4/group3"] += tf.cast(nan, terms["2to4/group3"].dtype)
        return terms

    monkeypatch.setattr(step, "train_log_prob_terms", terms_of)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(tmp_path, monkeypatch):
    said = []
    run = tiny_run(steps=8, checkpoint_every=1, checkpoints_kept=9, log_every=1)
    order = np.concatenate([epoch_permutation(30, run.train.seed, epoch) for epoch in range(2)])
    with_bad_examples(monkeypatch, order[12:13])  # in the fourth step alone
    make, compared = loop.make_train_step, []

    def watched(model, averaged, optimizer, *more):
        taken = make(model, averaged, optimizer, *more)

        def train_step(batch, number, *more):
            held = (*model.variables, *averaged.variables, *optimizer.variables)
            before = [variable.numpy() for variable in held]
            metrics = taken(batch, number, *more)
            if int(number) == 3:
                compared.extend(zip(before, [variable.numpy() for variable in held], strict=True))
            return metrics

        return train_step

    monkeypatch.setattr(loop, "make_train_step", watched)
    train(run, tmp_path, TinySource(), said=said)
    assert compared
    for old, new in compared:
        np.testing.assert_array_equal(old, new)
    before = tf.train.load_checkpoint(str(tmp_path / "checkpoints" / "step-3"))
    last = state(tmp_path)
    (skipped,) = (value for name, value in last.items() if "skipped_steps" in name)
    assert skipped == 1
    (line,) = (line for line in said if "skipped" in line)
    assert not missing_facts(line, "2to4/group3", "nan", "step 4"), line
    for name, value in last.items():
        if name.startswith(("model/", "averaged/")):
            assert np.isfinite(value).all() and not np.array_equal(value, before.get_tensor(name))
    assert all(np.isfinite(line["train_bits"]) for line in read_metrics(tmp_path))


@pytest.mark.slow
def test_too_many_in_a_row_end_the_run_and_leave_the_batch(tmp_path, monkeypatch):
    run = tiny_run(steps=9, checkpoint_every=1, max_skipped_steps=3)
    order = epoch_permutation(30, run.train.seed, 0)
    with_bad_examples(monkeypatch, order[[4, 12, 16, 20]])  # in the second step, and in three more
    with refuses("2to4/group3", "nan", "step 4", "3 steps", tmp_path / loop.BAD_BATCH):
        train(run, tmp_path, TinySource())
    assert latest_step(tmp_path) == 3  # none is saved between skipped steps
    with np.load(tmp_path / loop.BAD_BATCH, allow_pickle=False) as saved:
        assert saved["step"] == 6
        expected = TinySource().examples("train", order[20:24])["image"] // 128
        np.testing.assert_array_equal(saved["image"], expected)


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_is_warned_of_and_the_run_goes_on_from_the_one_before(
    finished, tmp_path
):
    train(tiny_run(steps=4), tmp_path, TinySource())
    (tmp_path / "checkpoints" / "step-4.index").write_bytes(b"")
    with warns(tmp_path / "checkpoints" / "step-4", "damaged", "step 2"):
        assert Run(tmp_path).model() is not None
    with warns(tmp_path / "checkpoints" / "step-4", "damaged", "step 2"):
        train(tiny_run(), tmp_path, TinySource())
    assert_same_state(tmp_path, finished[1])
    assert curve(tmp_path) == curve(finished[1])


def test_damaged_metrics_are_told(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 3}\nno json\n')
    with refuses(tmp_path / METRICS, "damaged"):
        read_metrics(tmp_path)


def test_a_config_that_is_no_text_is_told(tmp_path):
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\x00")
    with refuses(tmp_path / CONFIG):
        train(tiny_run(), tmp_path, TinySource())
    (tmp_path / CONFIG).unlink()
    (tmp_path / DATASHEET).write_text("{}")
    with refuses(tmp_path / DATASHEET, "damaged"):
        read_names(tmp_path, "class_names")


@pytest.mark.slow
def test_no_checkpoint_and_a_broken_one_are_told(finished, tmp_path):
    with refuses(tmp_path, CONFIG):
        Run(tmp_path).model()
    (tmp_path / CONFIG).write_text(tiny_run().to_json())
    with refuses(tmp_path, "no checkpoint"):
        Run(tmp_path).model()
    run = tiny_run(steps=1, ema_decay=0.0)
    train(run, tmp_path, TinySource())
    other = dataclasses.replace(run, model=dataclasses.replace(run.model, features=6))
    (tmp_path / CONFIG).write_text(other.to_json())
    with refuses(tmp_path / "checkpoints" / "step-1", "another model"):
        Run(tmp_path).model()


# The first checkpoint's; TensorBoard's, later.
@pytest.mark.parametrize("length", fast([3000, 20_000], 0))
def test_a_disk_that_fills_up_ends_training_in_one_line(tmp_path, length):
    """Wherever it is met: in TensorBoard's files, metrics or a checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = tiny_run(steps=2000, checkpoint_every=1000, evaluate_every=1000, log_every=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        with refuses(tmp_path, "room"):
            train(run, tmp_path, TinySource())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_user_hears_of_the_stop_at_once(tmp_path):
    said = []
    with refuses("stopped", "step 2", "saved", error=Interrupted):
        train(tiny_run(steps=3), tmp_path, TinySource(), said=said, stop_after=2)
    assert any("stopping" in line for line in said)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(first):
    """Whatever it is doing: here nothing that would ever look at a flag."""
    program = (
        "import sys, time\n"
        "from ms_pixelcnn_tf.training.interrupt import InterruptGuard\n"
        "with InterruptGuard(lambda line: print(line, flush=True)) as guard:\n"
        "    print('ready', flush=True)\n"
        "    while not guard.requested: time.sleep(0.01)\n"
        "    print(guard.requested, flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(first)
    assert process.stdout.readline().startswith("stopping")
    assert process.stdout.readline() == f"{int(first)}\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM


def test_handlers_are_as_before_after_it():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with InterruptGuard():
        os.kill(os.getpid(), signal.SIGTERM)
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
