"""Writes a run folder's configuration and checkpoints; `run.Run` reads them back.

config.json            the whole `RunConfig`
data.json              a description of the data (`datasheet`)
checkpoints/step-N     model, averaged weights, optimizer and the counts of `State`, by
                       `tf.train.Checkpoint`; variables by name. The last few are kept
best/step-N            the averaged weights of the best validation, and its `State`
metrics.jsonl          the validation curve
scales/                in place of all this: scales trained apart (`scales`)
tensorboard/           scalars and sample grids
training.lock          held by the process that trains; training.lock.owner names it (`lock`)
"""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.runs.folder import BEST, CHECKPOINTS, CONFIG, latest_checkpoint
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.snapshots import by_name
from ms_pixelcnn_tf.types import AnyPath

GLOB = "*?[]\\"  # TensorFlow reads a path with one of these as a pattern
# Fields that may change when a run resumes: no weight depends on them, except that the last one
# changes the order of sums, and so their rounding.
FREE_FIELDS = (
    "data_dir",
    "log_every",
    "evaluate_every",
    "checkpoint_every",
    "checkpoints_kept",
    "sample_every",
    "max_skipped_steps",
    "max_damaged_examples",
    "micro_batch_size",
)


def latest_step(workdir: AnyPath) -> int:
    """The step of the newest checkpoint; 0 without one."""
    there = snapshots.steps(pathlib.Path(workdir) / CHECKPOINTS)
    return there[-1] if there else 0


def check_path(workdir: AnyPath) -> None:
    """Raises UserError if TensorFlow would read the path as a pattern."""
    if set(str(pathlib.Path(workdir).absolute())) & set(GLOB):
        raise UserError(
            f"workdir {workdir}: TensorFlow does not find checkpoints in a folder whose path has "
            f"any of {' '.join(GLOB)}; give another --workdir"
        )


def claim(workdir: AnyPath, run: RunConfig) -> RunConfig | None:
    """Writes a run's configuration into its folder, after a check that a run there is the same.

    More `steps` than before are allowed: the run continues to them, and its learning rate follows
    the longer schedule. The `FREE_FIELDS` may change, too. A folder without a checkpoint takes any
    configuration, and loses its best/.

    Returns:
        The earlier `RunConfig` of a resumed run; None for a new run.

    Raises:
        UserError: if the folder holds a run with another configuration, checkpoints without a
            config.json, or a config.json that is not a run's.
    """
    path = pathlib.Path(workdir) / CONFIG
    old = Run(workdir).config if path.exists() else None  # raises for a file that is not ours
    goes_on = latest_checkpoint(workdir) is not None
    if goes_on and old is None:
        raise UserError(f"{workdir} has checkpoints but no {CONFIG}; give another --workdir")
    if goes_on:
        _check_same_run(workdir, old, run)
    write_text(path, run.to_json())
    if not goes_on:
        shutil.rmtree(pathlib.Path(workdir) / BEST, ignore_errors=True)  # of an earlier run
    return old if goes_on else None


def _check_same_run(workdir, old, new):
    """Raises UserError, naming the first fields that differ."""
    if new.train.steps >= old.train.steps:
        old = dataclasses.replace(old, train=dataclasses.replace(old.train, steps=new.train.steps))
    old_fields, new_fields = (
        {
            field: value
            for part in json.loads(config.to_json()).values()
            for field, value in part.items()
        }
        for config in (old, new)
    )
    changes = [
        f"{field} was {old_fields[field]!r}, now {value!r}"
        for field, value in new_fields.items()
        if old_fields[field] != value and field not in FREE_FIELDS
    ]
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise UserError(
            f"{workdir} holds a run with another configuration: {'; '.join(changes[:3])}{more}; "
            "give another --workdir, or the old values to go on"
        )


@dataclasses.dataclass
class State:
    """The counts of a run, over all its sessions.

    Attributes:
        step: steps taken, including skipped ones.
        seconds: wall time of training so far, without validation and sampling.
        cpu_seconds: the same in CPU time of the process on all its cores; compare this on a machine
            with other work.
        recent_bits: sum of bits per sub-pixel over the steps since the last validation, without
            skipped ones.
        recent_steps: the number of these steps.
        skipped_steps: steps skipped because a term, the gradient or an updated weight was not
            finite.
        skipped_in_a_row: how many steps were skipped in a row up to the last one.
    """

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    recent_bits: float = 0.0
    recent_steps: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0


class Checkpoints:
    """Saves and restores the whole state of a run.

    Args:
        workdir: the run folder.
        model, averaged: models of the same configuration.
        optimizer: a Keras optimizer, built.
        kept: how many of the last checkpoints to keep.
    """

    def __init__(
        self,
        workdir: AnyPath,
        model: keras.Model,
        averaged: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        kept: int = 3,
    ) -> None:
        self._folder = pathlib.Path(workdir) / CHECKPOINTS
        self._best_folder = pathlib.Path(workdir) / BEST
        self._kept = kept
        self._held = (
            *model.trainable_variables,
            *averaged.trainable_variables,
            *optimizer.variables,
        )
        self._counts = {
            name: tf.Variable(count, dtype=tf.float64, trainable=False)
            for name, count in dataclasses.asdict(State()).items()
        }
        self._saved_step = None
        parts_of_it = {
            "averaged": by_name(averaged.trainable_variables),
            "state": tf.train.Checkpoint(**self._counts),
        }
        self._best = tf.train.Checkpoint(**parts_of_it)
        self._checkpoint = tf.train.Checkpoint(
            model=by_name(model.trainable_variables),
            optimizer=by_name(optimizer.variables, skip=1),
            **parts_of_it,
        )

    def restore(self) -> State:
        """Restores the newest sound checkpoint; returns its `State`, or a new one if there is none.

        Raises:
            UserError: as `snapshots.read_newest`.
        """
        if snapshots.read_newest(self._checkpoint, self._folder) is None:
            return State()
        state = State(
            **{
                name: type(count)(self._counts[name].numpy())
                for name, count in dataclasses.asdict(State()).items()
            }
        )
        self._saved_step = state.step
        return state

    def save(self, state: State) -> None:
        """Saves a checkpoint, unless that step is saved already.

        Raises:
            UserError: if a variable is not finite; as `snapshots.write`. Earlier checkpoints stay.
        """
        if state.step == self._saved_step:
            return
        self._check_finite(state.step)
        self._count(state)
        snapshots.write(self._checkpoint, self._folder, state.step, self._kept)
        self._saved_step = state.step

    def save_best(self, state: State) -> None:
        """Saves the averaged weights as the best so far. Raises UserError as `save`."""
        self._check_finite(state.step)
        self._count(state)
        snapshots.write(self._best, self._best_folder, state.step, kept=1)

    def _check_finite(self, step):
        for variable in self._held:
            if not np.isfinite(variable.numpy()).all():
                there = snapshots.steps(self._folder)
                left = f"that of step {there[-1]} is as it was" if there else "there is none before"
                raise UserError(
                    f"{variable.path} is not finite after step {step}, which is not saved; {left}: "
                    "lower learning_rate, or set gradient_clip_norm, and use a new --workdir"
                )

    def _count(self, state):
        for name, variable in self._counts.items():
            variable.assign(getattr(state, name))
