"""A run that diverges leaves its checkpoints sound; training leaves the caller's random state."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.data.batches.draws import epoch_permutation
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.runs.checkpoint import Checkpoints, State
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop, step
from ms_pixelcnn_tf.training.interrupt import Interrupted
from support.errors import missing_facts, refuses
from support.runs import TinySource, assert_same_state, curve, tiny_run, train


class Explosion(keras.optimizers.schedules.LearningRateSchedule):
    """A rate at which training goes well, and from the fifth step on diverges."""

    def __call__(self, step):
        return tf.where(step < 4, 0.01, 1e30)


@pytest.fixture
def exploding(monkeypatch):
    monkeypatch.setattr(loop, "build_optimizer", lambda config: keras.optimizers.Adam(Explosion()))


def saved(workdir):
    return snapshots.steps(workdir / "checkpoints")


@pytest.mark.slow
def test_a_run_that_diverges_leaves_checkpoints_from_before_the_first_skipped_step(
    tmp_path, exploding, monkeypatch
):
    run = tiny_run(steps=30, checkpoint_every=2, checkpoints_kept=2)
    facts = "step 6", "10 steps", "step 4", "learning_rate", "--workdir"
    for _ in range(2):  # the same command goes the same way
        with refuses(*facts):
            train(run, tmp_path, TinySource())
        assert saved(tmp_path) == [2, 4]
    found = evaluate(Run(tmp_path).model(), TinySource(), "validation", 4)
    assert np.isfinite(found.bits_per_dim)
    monkeypatch.undo()
    lower = tiny_run(learning_rate=1e-3)
    with refuses("configuration", "learning_rate"):
        train(lower, tmp_path, TinySource())
    train(lower, tmp_path / "new", TinySource())
    assert saved(tmp_path / "new")[-1] == lower.train.steps


def test_a_run_that_diverges_at_once_has_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "build_optimizer", lambda config: keras.optimizers.Adam(1e30))
    with refuses("no checkpoint", "10 steps"):
        train(tiny_run(steps=30, checkpoint_every=2), tmp_path, TinySource())
    assert saved(tmp_path) == []


def with_bad_steps(monkeypatch, *numbers):
    """Likelihoods that are not finite in these steps of the first epoch, counted from 1."""
    order = epoch_permutation(30, 0, 0)
    first = [order[4 * (number - 1)] for number in numbers]
    bad = TinySource().examples("train", np.array(first))["image"] // 128
    make = step.train_log_prob_terms

    def terms_of(model, batch, offsets, config):
        terms = make(model, batch, offsets, config)
        same = tf.reduce_all(batch["image"][:1] == bad, axis=(1, 2, 3))
        return terms | {"base": terms["base"] + tf.where(tf.reduce_any(same), np.nan, 0.0)}

    monkeypatch.setattr(step, "train_log_prob_terms", terms_of)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [3, 4, 5])  # before, after the first and the second skipped
def test_a_stop_among_skipped_steps_loses_nothing(tmp_path, monkeypatch, stop_at):
    with_bad_steps(monkeypatch, 4, 5)
    run = tiny_run(steps=7, checkpoint_every=2, checkpoints_kept=9)
    train(run, tmp_path / "whole", TinySource())
    assert saved(tmp_path / "whole") == [2, 6, 7]
    facts = [f"step {stop_at}", *(["step 2", "skipped"] if stop_at > 3 else ["saved"])]
    with refuses(*facts, error=Interrupted):
        train(run, tmp_path / "stopped", TinySource(), stop_after=stop_at)
    assert saved(tmp_path / "stopped")[-1] == (3 if stop_at == 3 else 2)
    train(run, tmp_path / "stopped", TinySource())
    assert_same_state(tmp_path / "stopped", tmp_path / "whole")
    assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")


def test_a_checkpoint_that_is_due_waits_for_a_step_that_succeeds(tmp_path, monkeypatch):
    with_bad_steps(monkeypatch, 4, 7)
    said = []
    train(tiny_run(steps=7, checkpoint_every=4), tmp_path, TinySource(), said=said)
    assert saved(tmp_path) == [5]
    assert any(not missing_facts(line, "skipped", "checkpoint", "step 5") for line in said), said


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, bad):
    model = make_model(tiny_run().model)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(tmp_path, model, model, optimizer)
    variable = model.trainable_variables[3]
    sound = variable.numpy()
    variable.assign(np.full_like(sound, bad))
    with refuses(variable.path, "not finite", "step 1", "none"):
        checkpoints.save(State(step=1))
    variable.assign(sound)
    checkpoints.save(State(step=2))
    variable.assign(np.full_like(sound, bad))
    for save in (checkpoints.save, checkpoints.save_best):
        with refuses(variable.path, "not finite", "step 3", "step 2"):
            save(State(step=3))
    assert saved(tmp_path) == [2] and not (tmp_path / "best").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_random_state_is_left_as_it_was(tmp_path, monkeypatch, fails):
    def drawn():
        numbers = random.random(), np.random.rand(), tf.random.uniform([3]).numpy().tolist()
        return *numbers, keras.random.normal([3]).numpy().tolist()

    keras.utils.set_random_seed(5)
    expected = drawn(), drawn()
    keras.utils.set_random_seed(5)
    first = drawn()
    if fails:
        monkeypatch.setattr(loop, "level_histogram", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny_run(steps=1, output="softmax"), tmp_path, TinySource())
    else:
        train(tiny_run(steps=1), tmp_path, TinySource())
    assert (first, drawn()) == expected


@pytest.mark.slow
def test_a_runs_numbers_do_not_depend_on_the_callers_random_state(tmp_path):
    for seed, name in ((1, "one"), (2, "other")):
        keras.utils.set_random_seed(seed)
        train(tiny_run(steps=2), tmp_path / name, TinySource())
    assert_same_state(tmp_path / "one", tmp_path / "other")
