"""What a run leaves to look at: metrics.jsonl (the validation curve) and TensorBoard logs."""

import json
import pathlib

import tensorflow as tf

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"


def read_metrics(workdir):
    """The lines of metrics.jsonl as a list of dicts; empty if there is none.

    Each holds "step", "seconds" (training time so far: steps and waiting for data, over all
    sessions, without validation), "cpu_seconds" (the same, of the process on all its cores),
    "examples" (seen), "train_bits" (mean since the line before),
    "validation_bits" and "validation_terms" (bits per sub-pixel, in total and of each term), and
    "validation_nats" (the total in nats per sub-pixel).
    """
    path = pathlib.Path(workdir) / METRICS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # A line that a crash cut short has no newline.
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; remove the lines that are no JSON") from error


class Monitor:
    """Writes the metrics of a run that starts, or goes on, at `step`.

    Args:
        workdir: the run's folder.
        step: steps taken at the checkpoint that it goes on from.
        examples: what an example is called: "images" or "clips".
    """

    def __init__(self, workdir, step, examples="images"):
        workdir = pathlib.Path(workdir)
        self._path = workdir / METRICS
        # Steps after the restored checkpoint are about to be taken again.
        kept = [line for line in read_metrics(workdir) if line["step"] <= step]
        self.evaluated_step = kept[-1]["step"] if kept else None
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._examples = examples
        self._writer = tf.summary.create_file_writer(str(workdir / TENSORBOARD))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._writer.close()

    def train(self, step, metrics, examples_per_second):
        """Scalars of a training step, from `make_train_step`."""
        with self._writer.as_default(step):
            tf.summary.scalar("train/bits", metrics["bits"])
            for name, bits in metrics["terms"].items():
                tf.summary.scalar(f"train/terms/{name}", bits)
            tf.summary.scalar("train/learning_rate", metrics["learning_rate"])
            tf.summary.scalar("train/gradient_norm", metrics["gradient_norm"])
            tf.summary.scalar(f"train/{self._examples}_per_second", examples_per_second)

    def validation(self, state, evaluation, examples):
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
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.evaluated_step = step
        with self._writer.as_default(step):
            tf.summary.scalar("validation/bits", evaluation.bits_per_dim)
            tf.summary.scalar("validation/nats", evaluation.nats_per_dim)
            for name, bits in terms.items():
                tf.summary.scalar(f"validation/terms/{name}", bits)
        self._writer.flush()

    def samples(self, step, picture):
        """A picture, uint8 `[H, W, 3]`."""
        with self._writer.as_default(step):
            tf.summary.image("samples", picture[None])
        self._writer.flush()
