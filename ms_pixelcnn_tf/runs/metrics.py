"""The validation curve of a run, metrics.jsonl in its folder."""

import json
import pathlib
from typing import Any

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import AnyPath

METRICS = "metrics.jsonl"


def read_metrics(workdir: AnyPath) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl as a list of dicts; empty if there is none.

    Each holds "step", "seconds" (training time so far: steps and waiting for data, over all
    sessions, without validation), "cpu_seconds" (the same, of the process on all its cores),
    "examples" (seen), "train_bits" (mean since the line before),
    "validation_bits" and "validation_terms" (bits per sub-pixel, in total and of each term), and
    "validation_nats" (the total in nats per sub-pixel) and "validation_examples" (how many were
    scored).
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
