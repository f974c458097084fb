"""What a run leaves to look at: metrics.jsonl (the validation curve) and TensorBoard's files."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.drawing.showcase import Shown
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.splits import Evaluation
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.models.compiling import graph_of
from ms_pixelcnn_tf.runs.checkpoint import State
from ms_pixelcnn_tf.runs.metrics import METRICS, read_metrics
from ms_pixelcnn_tf.training import events
from ms_pixelcnn_tf.types import AnyPath

TENSORBOARD = "tensorboard"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRAIN = "train/"  # scalars of steps, which are written before a checkpoint


@contextlib.contextmanager
def told_of_a_full_disk(workdir: AnyPath) -> Iterator[None]:
    """Turns the errors of writing to a disk that is full into a UserError."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        reason = str(error)
        if not any(os.strerror(number) in reason for number in FULL):
            raise
        raise UserError(
            f"nothing more can be written in {workdir}: {' '.join(reason.split())[:200]}; the last "
            "checkpoint is as it was: make room and run the same command again"
        ) from error


class Monitor:
    """Writes the metrics of a run that starts, or goes on, at `step`.

    What was written of later steps, which will be taken again, is removed first; so is what was
    written after that step's checkpoint, unless the line in metrics.jsonl, which comes last, says
    that it is all there.

    Args:
        workdir: the run's folder.
        step: steps taken at the checkpoint that it goes on from.
        examples: what an example is called: "images" or "clips".

    Attributes:
        evaluated_step: of the last line; None without one.
        best_bits: the lowest "validation_bits" of all lines; infinite without one.
    """

    def __init__(self, workdir: AnyPath, step: int, examples: str = "images") -> None:
        workdir = pathlib.Path(workdir)
        self._path = workdir / METRICS
        kept = [line for line in read_metrics(workdir) if line["step"] <= step]
        self.evaluated_step = kept[-1]["step"] if kept else None
        self.best_bits = min(
            filter(math.isfinite, (line["validation_bits"] for line in kept)), default=math.inf
        )
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        complete = self.evaluated_step == step
        events.cut(
            workdir / TENSORBOARD,
            lambda at, tag: at < step or at == step and (complete or tag.startswith(TRAIN)),
        )
        self._examples = examples
        self._writer = tf.summary.create_file_writer(str(workdir / TENSORBOARD))

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def train(
        self, step: int, metrics: dict[str, Any], skipped_steps: int, examples_per_second: float
    ) -> None:
        """Scalars of a training step, from `make_train_step`; `skipped_steps` so far."""
        with self._writer.as_default(step):
            tf.summary.scalar(TRAIN + "bits", metrics["bits"])
            tf.summary.scalar(TRAIN + "skipped_steps", skipped_steps)
            for name, bits in metrics["terms"].items():
                tf.summary.scalar(f"{TRAIN}terms/{name}", bits)
            tf.summary.scalar(TRAIN + "learning_rate", metrics["learning_rate"])
            tf.summary.scalar(TRAIN + "gradient_norm", metrics["gradient_norm"])
            tf.summary.scalar(f"{TRAIN}{self._examples}_per_second", examples_per_second)

    def flush(self) -> None:
        """Returns when all that was given stands in the files."""
        self._writer.flush()

    def validation(self, state: State, evaluation: Evaluation, examples: int) -> None:
        """One line of metrics.jsonl and the same as scalars.

        Args:
            state: the run's `checkpoint.State`.
            evaluation: an `Evaluation`.
            examples: training examples seen.
        """
        step = state.step
        train_bits = state.recent_bits / state.recent_steps if state.recent_steps else None
        terms = {name: term.bits_per_dim for name, term in evaluation.terms.items()}
        line = {
            "step": step,
            "seconds": round(state.seconds, 3),
            "cpu_seconds": round(state.cpu_seconds, 3),
            "examples": examples,
            "train_bits": train_bits,
            "validation_bits": evaluation.bits_per_dim,
            "validation_terms": terms,
            "validation_nats": evaluation.nats_per_dim,
            "validation_examples": evaluation.examples,
        }
        with self._writer.as_default(step):
            tf.summary.scalar("validation/bits", evaluation.bits_per_dim)
            tf.summary.scalar("validation/nats", evaluation.nats_per_dim)
            for name, bits in terms.items():
                tf.summary.scalar(f"validation/terms/{name}", bits)
        self.flush()
        with self._path.open("a", encoding="utf-8") as file:  # last: it says that all is there
            file.write(json.dumps(line) + "\n")
        self.evaluated_step = step
        if evaluation.bits_per_dim < self.best_bits:  # false of one that is not finite
            self.best_bits = evaluation.bits_per_dim

    def begin(self, run: RunConfig, model: keras.Model) -> None:
        """Writes what a run is, at its start: its hyperparameters, beside which TensorBoard sets
        the validation bits of several runs, and the graph of its likelihood.

        Args:
            run: the `RunConfig`.
            model: the model.
        """
        fields = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for part in (run.data, run.model, run.train)
            for name, value in dataclasses.asdict(part).items()
        }
        with self._writer.as_default(0):
            hparams.hparams(fields, start_time_secs=0)
            graph = graph_of(model.graphs.likelihood)
            if graph is not None:
                tf.summary.graph(graph)
        self.flush()

    def shown(self, step: int, shown: Shown) -> None:
        """A `showcase.Shown`: its pictures, and its levels beside the data's as histograms."""
        with self._writer.as_default(step):
            for name, picture in shown.pictures.items():
                tf.summary.image(name, picture[None])
            for name, levels in (("sampled", shown.sampled), ("real", shown.real)):
                tf.summary.histogram(f"levels/{name}", levels.astype("float32").ravel())
        self.flush()


class NoMonitor:
    """Stands in for a `Monitor` in workers that write nothing."""

    evaluated_step = None

    def __init__(self, workdir: AnyPath, step: int, examples: str = "images") -> None:
        del workdir, step, examples

    def __enter__(self) -> "NoMonitor":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def begin(self, run: RunConfig, model: keras.Model) -> None:
        pass

    def train(
        self, step: int, metrics: dict[str, Any], skipped_steps: int, examples_per_second: float
    ) -> None:
        pass
