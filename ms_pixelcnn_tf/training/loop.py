"""The training loop. It is our own: `keras.Model.fit` cannot run a step on several workers.

The state after step s depends on the configuration and the data alone, so a resumed run equals one
that was never interrupted.
"""

import contextlib
import dataclasses
import math
import time

import keras
import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf import data, pictures, pixels
from ms_pixelcnn_tf.data.pipeline import evaluation_batches, iterate, training_batches
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.training.checkpoint import Checkpoints, claim, latest_checkpoint
from ms_pixelcnn_tf.training.datasheet import check_same_data, write_datasheet
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from ms_pixelcnn_tf.training.monitor import Monitor
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.progress import Progress
from ms_pixelcnn_tf.training.step import copy_weights, make_train_step

SAMPLES = 16  # images in a sample grid
SAMPLE_MAGNIFICATION = 2
HISTOGRAM_EXAMPLES = 1000


def load_source(run, data_dir=None):
    """The data set of a `RunConfig`, from `data_dir` if that is given."""
    return data.load(
        run.data.dataset,
        image_size=run.model.image_size,
        channels=run.model.channels,
        data_dir=data_dir or run.data.data_dir or None,
        seed=run.data.data_seed,
        labels=run.data.labels,
        validation_fraction=run.data.validation_fraction,
    )


def fit_to_source(run, source):
    """`run` with what conditions the model filled in from the data, checked against it.

    Raises:
        UserError: if the model's images or conditions are not the data's.
    """
    if source.is_video:
        raise UserError(
            f"{source.name} is a data set of videos, variant {run.model.variant} a model of images"
        )
    for split in ("train", "validation"):
        if not source.size(split):
            raise UserError(f"{source.name} has no {split} images; add more images")
    model = _with_conditions(run, source)
    if (*model.image_size, model.channels) != (*source.image_size, source.channels):
        raise UserError(
            f"the model is of {format_size(model.image_size)} with {model.channels} "
            f"channels, {source.name} of {format_size(source.image_size)} with "
            f"{source.channels}"
        )
    return dataclasses.replace(run, model=model)


def _with_conditions(run, source):
    """The model's configuration, conditioned on what `run.data.conditions` names."""
    held = {
        "num_classes": ("label", source.num_classes),
        "text": ("text", bool(source.num_captions)),
        "num_keypoints": ("keypoints", source.num_keypoints),
        "num_segments": ("segmentation", source.num_segments),
    }
    model = run.model
    for field, (condition, value) in held.items():
        if condition in run.data.condition_names and not getattr(model, field):
            if not value:
                raise UserError(f"conditions name {condition}, which {source.name} does not have")
            model = dataclasses.replace(model, **{field: value})
        if getattr(model, field) not in (0, value):
            raise UserError(
                f"{field} is {getattr(model, field)}, but {source.name} has {value}; "
                f"valid: 0 (unconditional){f' or {value}' * bool(value)}"
            )
    return model


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
        self._model = self.averaged = MultiscalePixelCNN(run.model)
        if run.model.output == "softmax" and not latest_checkpoint(workdir):
            self._model.start_at_marginal(level_histogram(source, run.model))
        if config.ema_decay:
            self.averaged = MultiscalePixelCNN(run.model)
            copy_weights(self._model, self.averaged)
        optimizer = build_optimizer(config)
        optimizer.build(self._model.trainable_variables)
        self._train_step = make_train_step(self._model, self.averaged, optimizer, config)
        self._checkpoints = Checkpoints(workdir, self._model, self.averaged, optimizer)
        self.state = self._checkpoints.restore()
        self.monitor = Monitor(workdir, self.state.step)
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
                num_levels=self._run.model.num_levels,
                fields=("image", *self._run.model.conditions),
            )
        )
        logged_step, logged_seconds = state.step, state.seconds
        with InterruptGuard(progress.say) as interrupt, contextlib.closing(batches):
            while state.step < config.steps:
                metrics = self._take_step(batches)
                progress.update(state.step, metrics["bits"])
                last = state.step == config.steps
                if last or state.step % config.log_every == 0:
                    images = (state.step - logged_step) * config.batch_size
                    rate = images / max(state.seconds - logged_seconds, 1e-9)
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
            config.batch_size,
            limit=config.evaluation_examples,
        )
        self.monitor.validation(
            state,
            evaluation,
            examples=state.step * config.batch_size,
        )
        self._forget_recent()
        progress.say(f"step {state.step}: validation {evaluation.bits_per_dim:.4f} bits/sub-pixel")

    def _forget_recent(self):
        self.state.recent_bits, self.state.recent_steps = 0.0, 0

    def _show_samples(self):
        levels = self.averaged.sample(
            SAMPLES, self._sample_conditions(), seed=self._run.train.seed
        )
        images = pixels.dequantise(levels, self._run.model.num_levels)
        self.monitor.samples(self.state.step, pictures.grid(images, scale=SAMPLE_MAGNIFICATION))

    def _sample_conditions(self):
        """Labels in turn; other conditions as the first validation examples have them."""
        config = self._run.model
        wanted = [name for name in config.conditions if name != "label"]
        conditions = {}
        if wanted:
            examples = evaluation_batches(
                self._source, split="validation", batch_size=SAMPLES,
                fields=tuple(wanted), limit=SAMPLES,
            )
            batch = next(iterate(examples))
            rows = np.arange(SAMPLES) % len(batch[wanted[0]])
            conditions = {name: np.asarray(batch[name])[rows] for name in wanted}
        if config.num_classes:
            conditions["label"] = np.arange(SAMPLES, dtype="int32") % config.num_classes
        return conditions

    def _stop(self):
        self._checkpoints.save(self.state)
        raise Interrupted(f"stopped after step {self.state.step}, saved; the same command goes on")


def level_histogram(source, config):
    """int64 `[C, L]`: how often each level stands in each channel, over examples evenly spaced in
    the training split."""
    indices = np.linspace(0, source.size("train") - 1, HISTOGRAM_EXAMPLES).astype("int64")
    images = source.examples("train", np.unique(indices), ("image",))["image"]
    levels = pixels.quantise(images, config.num_levels)
    return np.stack(
        [np.bincount(levels[..., c].ravel(), minlength=config.num_levels)
         for c in range(config.channels)]
    )


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
