"""The training loop. It is our own: `keras.Model.fit` cannot run a step on several workers.

The state after step s depends on the configuration and the data alone, so a resumed run equals one
that was never interrupted.
"""

import contextlib
import dataclasses
import math
import time

import keras
import tensorflow as tf

from ms_pixelcnn_tf.data.pipeline import iterate, training_batches
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation import evaluate
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.checkpoint import Checkpoints, claim, latest_checkpoint
from ms_pixelcnn_tf.training.datasheet import check_same_data, write_datasheet
from ms_pixelcnn_tf.training.fitting import fit_to_source, level_histogram, load_source
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from ms_pixelcnn_tf.training.monitor import Monitor
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.progress import Progress
from ms_pixelcnn_tf.training.samples import sample_picture
from ms_pixelcnn_tf.training.step import copy_weights, make_train_step

def train(run, workdir, source=None):
    """Trains a run to its last step, or goes on with the one in `workdir`.

    Args:
        run: a `RunConfig`.
        workdir: folder of the run (see `checkpoint.py` for what it holds).
        source: the data set; by default the one `run` names.

    Returns:
        The model that holds the averaged weights.

    Raises:
        UserError: for a configuration that does not fit the data or the folder, or if a term or a
            gradient is not finite. The last checkpoint is then left as it was.
        Interrupted: after SIGINT or SIGTERM, with the state saved.
    """
    source = source or load_source(run)
    run = fit_to_source(run, source)
    if latest_checkpoint(workdir):
        check_same_data(workdir, source)
    old = claim(workdir, run)
    write_datasheet(workdir, source)
    session = _Session(run, workdir, source)
    with session.monitor, Progress(session.state.step, run.train.steps) as progress:
        if old and old.train.steps != run.train.steps:
            progress.say(
                f"from {old.train.steps} to {run.train.steps} steps: the learning rate follows the "
                "longer schedule"
            )
        session.run(progress)
    return session.averaged


class _Session:
    """From a checkpoint, or the start, to the last step or an interruption."""

    def __init__(self, run, workdir, source):
        self._run, self._source = run, source
        config = run.train
        keras.utils.set_random_seed(config.seed)
        self._model = self.averaged = make_model(run.model)
        if run.model.output == "softmax" and not latest_checkpoint(workdir):
            self._model.start_at_marginal(level_histogram(source, run.model))
        if config.ema_decay:
            self.averaged = make_model(run.model)
            copy_weights(self._model, self.averaged)
        optimizer = build_optimizer(config)
        optimizer.build(self._model.trainable_variables)
        self._train_step = make_train_step(self._model, self.averaged, optimizer, config)
        self._checkpoints = Checkpoints(workdir, self._model, self.averaged, optimizer)
        self.state = self._checkpoints.restore()
        self.monitor = Monitor(
            workdir, self.state.step, "clips" if source.is_video else "images"
        )
        if self.monitor.evaluated_step == self.state.step:  # validated after it was saved
            self._forget_recent()

    def run(self, progress):
        config, state = self._run.train, self.state
        if state.step:
            progress.say(f"going on from step {state.step}")
            if self._validation_is_due():  # the run was stopped before it
                self._validate(progress)
        batches = iterate(
            training_batches(
                self._source,
                batch_size=config.batch_size,
                seed=config.seed,
                start_step=state.step,
                flip=config.flip,
                random_crop=config.random_crop,
                augment=config.augmentations,
                map_dropout=config.map_dropout,
                num_levels=self._run.model.num_levels,
                fields=(self._model.example_field, *self._run.model.conditions),
            )
        )
        logged_step, logged_seconds = state.step, state.seconds
        with InterruptGuard(progress.say) as interrupt, contextlib.closing(batches):
            while state.step < config.steps:
                metrics = self._take_step(batches)
                progress.update(state.step, metrics["bits"])
                last = state.step == config.steps
                if last or state.step % config.log_every == 0:
                    examples = (state.step - logged_step) * config.batch_size
                    rate = examples / max(state.seconds - logged_seconds, 1e-9)
                    self.monitor.train(state.step, metrics, rate)
                    logged_step, logged_seconds = state.step, state.seconds
                if interrupt.requested:
                    self._stop()
                # First of all: what comes after may take long, or fail.
                if last or state.step % config.checkpoint_every == 0:
                    self._checkpoints.save(state)
                if self._validation_is_due():
                    self._validate(progress)
                shown = config.sample_every and self._run.model.scale == "all"
                if shown and state.step % config.sample_every == 0:
                    self._show_samples()
                if interrupt.requested:
                    self._stop()
        if self.monitor.evaluated_step != state.step:
            self._validate(progress)

    def _take_step(self, batches):
        """One step; returns its metrics as floats."""
        state = self.state
        started = time.perf_counter(), time.process_time()
        metrics = self._train_step(next(batches), tf.constant(state.step, tf.int64))
        metrics = tf.nest.map_structure(float, metrics)
        state.seconds += time.perf_counter() - started[0]
        state.cpu_seconds += time.process_time() - started[1]
        state.step += 1
        _check_finite(metrics, state.step)
        state.recent_bits += metrics["bits"]
        state.recent_steps += 1
        return metrics

    def _validation_is_due(self):
        due = self.state.step % self._run.train.evaluate_every == 0
        return due and self.monitor.evaluated_step != self.state.step

    def _validate(self, progress):
        config, state = self._run.train, self.state
        evaluation = evaluate(
            self.averaged,
            self._source,
            "validation",
            config.examples_at_once,
            limit=config.evaluation_examples,
        )
        self.monitor.validation(
            state,
            evaluation,
            examples=state.step * config.batch_size,
        )
        self._forget_recent()
        nats = f" ({evaluation.nats_per_dim:.4f} nats)" if self._source.is_video else ""
        progress.say(
            f"step {state.step}: validation {evaluation.bits_per_dim:.4f} bits/sub-pixel{nats}"
        )

    def _forget_recent(self):
        self.state.recent_bits, self.state.recent_steps = 0.0, 0

    def _show_samples(self):
        picture = sample_picture(self.averaged, self._source, self._run.train.seed)
        self.monitor.samples(self.state.step, picture)

    def _stop(self):
        self._checkpoints.save(self.state)
        raise Interrupted(f"stopped after step {self.state.step}, saved; the same command goes on")


def _check_finite(metrics, step):
    """Raises UserError naming the first term that is not finite."""
    for name, bits in metrics["terms"].items():
        if not math.isfinite(bits):
            raise UserError(
                f"term {name} is {bits} at step {step}; the checkpoint before it is kept: "
                "lower learning_rate or gradient_clip_norm and use a new --workdir"
            )
    if not math.isfinite(metrics["gradient_norm"]):
        raise UserError(
            f"the gradient is not finite at step {step}, the terms are; the checkpoint before it "
            "is kept: lower learning_rate and use a new --workdir"
        )
