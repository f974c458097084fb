"""The training loop: trains or resumes a run, in one process or several.

It replaces `keras.Model.fit`, which cannot run a step on several workers. The state after step s
depends only on the configuration and the data, so a resumed run equals an uninterrupted one. For
your own arrays and Keras callbacks, use `model.fit` (`models.keras_training`) instead.
"""

import contextlib
import dataclasses
import math
import pathlib
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.data.batches.pipeline import iterate, training_batches
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.drawing.showcase import show
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.files import replacing
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN, make_model
from ms_pixelcnn_tf.runs.checkpoint import (
    Checkpoints,
    check_path,
    claim,
    latest_checkpoint,
    latest_step,
)
from ms_pixelcnn_tf.runs.datasheet import check_same_data, write_datasheet
from ms_pixelcnn_tf.runs.lock import training_in
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training.fit_to_data import fit_to_source, level_histogram
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from ms_pixelcnn_tf.training.monitor import Monitor, NoMonitor, reporting_a_full_disk
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.progress import Progress
from ms_pixelcnn_tf.training.replicas import Replicas
from ms_pixelcnn_tf.training.step import copy_weights, make_train_step
from ms_pixelcnn_tf.types import AnyPath

BAD_BATCH = "bad_batch.npz"


def train(
    run: RunConfig,
    workdir: AnyPath,
    source: Source | None = None,
    replicas: Replicas | None = None,
    progress: Callable[[int, int], Progress] = Progress,
) -> MultiscalePixelCNN | VideoPixelCNN:
    """Trains a run to its last step; resumes the run in `workdir` if there is one.

    The random state of Python, NumPy and the backend is left as it was.

    Args:
        run: a `RunConfig`.
        workdir: the run folder (its files: see `runs.checkpoint`); several workers must all see it.
        source: the data set; by default the one that `run` names.
        replicas: the `Replicas` of this process; by default made here.
        progress: makes the progress display from the steps taken and the total of steps.

    Returns:
        The model with the averaged weights.

    Raises:
        UserError: for a configuration that does not fit the data or the folder, a folder in which
            another process trains, too many steps in a row that were not finite, a checkpoint that
            cannot be saved, or a worker that is gone. The last checkpoint stays as it was.
        Interrupted: after SIGINT or SIGTERM, with the state saved unless the last step was
            skipped.
    """
    replicas = replicas or Replicas()
    if run.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    source = source or load_source(run)
    run = fit_to_source(run, source)
    check_path(workdir)
    replicas.rows(run.train.batch_size)  # raises before anything is written
    with contextlib.ExitStack() as stack:
        old = None
        if replicas.is_chief:
            stack.enter_context(training_in(workdir))
            if latest_checkpoint(workdir):
                check_same_data(workdir, source)
            old = claim(workdir, run)
            write_datasheet(workdir, source)
        stack.enter_context(replicas.reporting_lost_workers())
        stack.enter_context(reporting_a_full_disk(workdir))
        session = _Session(run, workdir, source, replicas)
        stack.enter_context(session.monitor)
        line = stack.enter_context(progress(session.state.step, run.train.steps))
        if old and old.train.steps != run.train.steps:
            line.say(
                f"from {old.train.steps} to {run.train.steps} steps: the learning rate follows the "
                "longer schedule"
            )
        with InterruptGuard(line.say) as interrupt:
            session.run(line, interrupt)
        replicas.wait_for_all()
    return session.averaged


def batches_of(
    run: RunConfig, source: Source, rows: tuple[int, int] | None = None, start_step: int = 0
) -> tf.data.Dataset:
    """The endless batches that a run trains on (see `training_batches`).

    Args:
        run: a `RunConfig` that fits the source (`fit_to_source`).
        source: the data set.
        rows: `(first, stop)`, the rows to take of each batch; None: all.
        start_step: the step of the first batch.
    """
    config, model = run.train, run.model
    return training_batches(
        source,
        batch_size=config.batch_size,
        rows=rows,
        seed=config.seed,
        start_step=start_step,
        flip=config.flip,
        random_crop=config.random_crop,
        augment=config.augmentations,
        map_dropout=config.map_dropout,
        maps_from=config.maps_from,
        map_noise=config.map_noise,
        past_samples=config.past_samples,
        max_damaged=config.max_damaged_examples,
        num_levels=model.num_levels,
        fields=("frames" if source.is_video else "image", *model.conditions),
    )


class _Session:
    """Trains from a checkpoint, or the start, to the last step or an interruption."""

    def __init__(self, run, workdir, source, replicas):
        self._run, self._workdir = run, pathlib.Path(workdir)
        self._source, self._replicas = source, replicas
        self._first_reason = None  # why the first of several steps in a row was skipped
        config = run.train
        if replicas.workers > 1:
            agreed = dataclasses.replace(run, data=dataclasses.replace(run.data, data_dir=""))
            replicas.check_agreement("configuration", agreed.to_json())
            replicas.check_agreement("data", source.fingerprint())
            replicas.check_agreement("checkpoint", str(latest_step(workdir)))
        with _seeded(config.seed), replicas.strategy.scope():
            self._model = self.averaged = make_model(run.model)
            if run.model.starts_at_marginal and not latest_checkpoint(workdir):
                self._model.start_at_marginal(level_histogram(source, run.model))
            if config.ema_decay:
                self.averaged = make_model(run.model)
                copy_weights(self._model, self.averaged)
            optimizer = build_optimizer(config)
            optimizer.build(self._model.trainable_variables)
            self._checkpoints = Checkpoints(
                workdir, self._model, self.averaged, optimizer, config.checkpoints_kept
            )
        self._train_step = make_train_step(self._model, self.averaged, optimizer, config, replicas)
        self.state = self._checkpoints.restore()
        if replicas.workers > 1:  # one may have had to read an older checkpoint
            replicas.check_agreement("checkpoint", str(self.state.step))
        examples = "clips" if source.is_video else "images"
        monitor = Monitor if replicas.is_chief else NoMonitor
        self.monitor: Any = monitor(workdir, self.state.step, examples)
        if self.state.step == 0:
            self.monitor.begin(run, self._model)
        rows = replicas.rows(config.batch_size)
        self._batches = batches_of(run, source, rows, self.state.step)
        if self.monitor.evaluated_step == self.state.step:  # the validation followed the save
            self._forget_recent()

    def run(self, progress, interrupt):
        config, state = self._run.train, self.state
        if state.step:
            progress.say(f"going on from step {state.step}")
            self._look(progress, interrupt)  # the last session may have stopped before it
        alone = self._replicas.workers == 1
        logged_step, logged_seconds = state.step, state.seconds
        due = False  # whether a checkpoint waits for a step that is not skipped
        with contextlib.closing(iterate(self._batches)) as batches:
            while state.step < config.steps:
                stop = interrupt.requested
                if (alone and stop) or not self._take_step(batches, stop, progress):
                    self._stop(stop)
                metrics = self._metrics
                progress.update(state.step, metrics["bits"])
                last = state.step == config.steps
                if last or state.step % config.log_every == 0:
                    examples = (state.step - logged_step) * config.batch_size
                    rate = examples / max(state.seconds - logged_seconds, 1e-9)
                    self.monitor.train(state.step, metrics, state.skipped_steps, rate)
                    logged_step, logged_seconds = state.step, state.seconds
                # Save first: sampling and validation may take long, or fail.
                due = due or last or state.step % config.checkpoint_every == 0
                if due and self._save():
                    due = False
                self._look(progress, interrupt)
        if due:
            progress.say(
                f"the last step was skipped, so that it is not saved; {self._last_saved()}"
            )
        if self.monitor.evaluated_step != state.step and alone:  # stopped while it validated
            self._stop(interrupt.requested)

    def _take_step(self, batches, stop, progress):
        """Takes one step and keeps its metrics as floats. Returns False, without a step, if any
        process was asked to stop."""
        state = self.state
        started = time.perf_counter(), time.process_time()
        batch = next(batches)
        metrics = self._train_step(batch, tf.constant(state.step, tf.int64), stop)
        self._metrics = metrics = tf.nest.map_structure(float, metrics)
        if metrics["stop"]:
            return False
        state.seconds += time.perf_counter() - started[0]
        state.cpu_seconds += time.process_time() - started[1]
        state.step += 1
        if metrics["skipped"]:
            self._skip(batch, progress)
        else:
            state.skipped_in_a_row = 0
            state.recent_bits += metrics["bits"]
            state.recent_steps += 1
        return True

    def _skip(self, batch, progress):
        """Counts a step that changed nothing; raises UserError after too many in a row."""
        state, limit = self.state, self._run.train.max_skipped_steps
        state.skipped_steps += 1
        state.skipped_in_a_row += 1
        reason = f"{_not_finite(self._metrics)} at step {state.step}"
        if state.skipped_in_a_row == 1:
            self._first_reason = reason
        if state.skipped_in_a_row < limit:
            progress.say(f"{reason}: the step is skipped")
            return
        worker = self._replicas.worker
        path = self._workdir / (f"worker{worker}_{BAD_BATCH}" if worker else BAD_BATCH)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, step=state.step, **{k: v.numpy() for k, v in batch.items()})
        raise UserError(
            f"{self._first_reason or reason}, and {limit} steps in a row were skipped; the last "
            f"one's batch is in {path}, {self._last_saved()}: lower learning_rate, or set "
            "gradient_clip_norm, and use a new --workdir"
        )

    def _save(self):
        """Saves, except after a skipped step; returns whether it did. The weights may have diverged
        by then, and would replace sound checkpoints. Nothing is lost: a run that resumes from the
        last checkpoint repeats the same steps."""
        if self.state.skipped_in_a_row:
            return False
        if self._replicas.is_chief:
            self.monitor.flush()
            self._checkpoints.save(self.state)
        return True

    def _last_saved(self):
        step = latest_step(self._workdir)
        if not step:
            return "no checkpoint was saved before them"
        return f"the last checkpoint, of step {step}, was saved before them"

    def _look(self, progress, interrupt):
        """Samples and validates if due and not done yet. If the run is asked to stop, it gives up
        and leaves them to the next session."""
        config, step = self._run.train, self.state.step
        if self.monitor.evaluated_step == step:
            return
        # The other workers wait for the last validation and would not learn that it was given up.
        waited_for = self._replicas.workers > 1 and step == config.steps
        give_up = (lambda: None) if waited_for else interrupt.raise_if_requested
        shown = config.sample_every and self._run.model.scale == "all"
        with contextlib.suppress(Interrupted):
            give_up()
            if shown and step % config.sample_every == 0 and self._replicas.is_chief:
                self.monitor.shown(step, show(self.averaged, self._source, config.seed))
            if step % config.evaluate_every == 0 or step == config.steps:
                self._validate(progress, give_up)

    def _validate(self, progress, give_up):
        config, state = self._run.train, self.state
        if self._replicas.is_chief:
            evaluation = evaluate(
                self.averaged,
                self._source,
                "validation",
                config.examples_at_once,
                limit=config.evaluation_examples,
                before_batch=give_up,
            )
            if evaluation.bits_per_dim < self.monitor.best_bits:
                self._checkpoints.save_best(state)
            self.monitor.validation(state, evaluation, examples=state.step * config.batch_size)
            nats = f" ({evaluation.nats_per_dim:.4f} nats)" if self._source.is_video else ""
            progress.say(
                f"step {state.step}: validation {evaluation.bits_per_dim:.4f} bits/sub-pixel{nats}"
            )
        self._forget_recent()

    def _forget_recent(self):
        self.state.recent_bits, self.state.recent_steps = 0.0, 0

    def _stop(self, number):
        saved = "saved" if self._save() else f"which was skipped; {self._last_saved()}"
        raise Interrupted(
            f"stopped after step {self.state.step}, {saved}; the same command goes on",
            number or signal.SIGTERM,  # 0: another process was asked to stop
        )


@contextlib.contextmanager
def _seeded(seed):
    """Seeds Python's generator, from which Keras draws the seeds of initial weights, and restores
    it afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def _not_finite(metrics):
    """The first fault of a skipped step, such as "term base is nan"."""
    for name, bits in metrics["terms"].items():
        if not math.isfinite(bits):
            return f"term {name} is {bits}"
    norm = metrics["gradient_norm"]
    if math.isfinite(norm):
        return "the updated weights are not finite, though terms and gradient are,"
    return f"the gradient's norm is {norm}, though the terms are finite,"
