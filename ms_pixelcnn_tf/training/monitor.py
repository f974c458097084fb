"""Writes a run's metrics: metrics.jsonl (the validation curve) and TensorBoard's files."""

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
TRAIN = "train/"  # prefix of the scalars that are written before a step's checkpoint


@contextlib.contextmanager
def reporting_a_full_disk(workdir: AnyPath) -> Iterator[None]:
    """Turns errors from writing to a full disk into a UserError."""
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
    """Writes the metrics of a run that starts or resumes at `step`.

    It first removes the metrics of later steps, which the run will repeat. It also removes those
    written after the checkpoint of `step`, unless metrics.jsonl has a line of that step: the line
    is written last, so all others are there.

    Args:
        workdir: the run folder.
        step: steps taken at the checkpoint from which the run resumes.
        examples: the word for examples: "images" or "clips".

    Attributes:
        evaluated_step: the step of the last line; None without one.
        best_bits: the lowest finite "validation_bits" of all lines; infinite without one.
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
        """Writes scalars of a step: `metrics` of `make_train_step`, and `skipped_steps` so far."""
        with self._writer.as_default(step):
            tf.summary.scalar(TRAIN + "bits", metrics["bits"])
            tf.summary.scalar(TRAIN + "skipped_steps", skipped_steps)
            for name, bits in metrics["terms"].items():
                tf.summary.scalar(f"{TRAIN}terms/{name}", bits)
            tf.summary.scalar(TRAIN + "learning_rate", metrics["learning_rate"])
            tf.summary.scalar(TRAIN + "gradient_norm", metrics["gradient_norm"])
            tf.summary.scalar(f"{TRAIN}{self._examples}_per_second", examples_per_second)

    def flush(self) -> None:
        """Returns once everything written so far is in the files."""
        self._writer.flush()

    def validation(self, state: State, evaluation: Evaluation, examples: int) -> None:
        """Writes one line of metrics.jsonl, and its validation bits and nats as scalars.

        Args:
            state: the run's `checkpoint.State`.
            evaluation: the `Evaluation` on the split validation.
            examples: training examples so far.
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
        with self._path.open("a", encoding="utf-8") as file:  # last: it marks the step as complete
            file.write(json.dumps(line) + "\n")
        self.evaluated_step = step
        if evaluation.bits_per_dim < self.best_bits:  # false if not finite
            self.best_bits = evaluation.bits_per_dim

    def begin(self, run: RunConfig, model: keras.Model) -> None:
        """Writes a run's hyperparameters and the graph of its likelihood, at its start.

        TensorBoard compares the validation bits of several runs by their hyperparameters.

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
        """Writes a `showcase.Shown`: its pictures, and histograms of its levels and the data's."""
        with self._writer.as_default(step):
            for name, picture in shown.pictures.items():
                tf.summary.image(name, picture[None])
            for name, levels in (("sampled", shown.sampled), ("real", shown.real)):
                tf.summary.histogram(f"levels/{name}", levels.astype("float32").ravel())
        self.flush()


class NoMonitor:
    """Replaces `Monitor` in workers that write nothing."""

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
