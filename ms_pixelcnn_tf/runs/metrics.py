"""metrics.jsonl: the validation curve of a run."""

import json
import pathlib
from typing import Any

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import AnyPath

METRICS = "metrics.jsonl"


def read_metrics(workdir: AnyPath) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl as a list of dicts; empty if there is none.

    Each line holds "step", "seconds" (wall time of training so far: steps and waiting for data,
    over all sessions, without validation), "cpu_seconds" (the same in CPU time of the process on
    all its cores), "examples" (training examples so far), "train_bits" (mean bits per sub-pixel
    since the previous line; None without steps), "validation_bits" and "validation_terms" (bits per
    sub-pixel, in total and of each term), "validation_nats" (the total in nats per sub-pixel) and
    "validation_examples" (how many were scored).

    Raises:
        UserError: if the file is damaged.
    """
    path = pathlib.Path(workdir) / METRICS
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        # A line that a crash cut short has no newline.
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; remove the lines that are no JSON") from error
