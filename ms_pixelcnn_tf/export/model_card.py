"""The card of an exported model: facts for programs, and a page for people."""

import datetime
import importlib.metadata
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from ms_pixelcnn_tf.runs import card, datasheet, scales, snapshots
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import CHOICES
from ms_pixelcnn_tf.types import AnyPath

PAGE = "MODEL_CARD.md"
PACKAGES = ("ms_pixelcnn_tf", "tensorflow", "keras", "numpy")
VERDICTS = {
    "log_prob": "nats of each image or video: log p",
    "log_prob_terms": "the same as named terms, which add up to it",
    "decode": "images or frames from one uniform a sub-pixel",
    "sample": "images or frames of a seed",
    "upscale": "larger images or frames of which the given ones are the sub-sampled part",
}


def facts(
    model: MultiscalePixelCNN | VideoPixelCNN,
    run: RunConfig,
    workdir: AnyPath,
    checkpoint: str = "last",
    source: Source | None = None,
    splits: Sequence[str] = (),
    limit: int | None = None,
) -> dict[str, Any]:
    """The facts about a trained model, as a dict for JSON.

    Args:
        model: the model.
        run: its `RunConfig`.
        workdir: its folder.
        checkpoint: "last" or "best", the checkpoint that the weights are from.
        source: the `data.Source` to score the model on, or None.
        splits: splits of the source to score. If empty, the run's own validation is reported.
        limit: score only the first `limit` examples of each split.
    """
    before = card.read(workdir) or {}  # if `workdir` is an export or a shipped model
    sheet = datasheet.read(workdir)
    description = (
        source.description if source else sheet["description"] if sheet else run.data.dataset
    )
    if run.data.source_size and not source:
        step = run.data.source_size // max(run.model.image_size)
        description += f"; every {step}. pixel of each row and column"
    step, bits = _validated(workdir, checkpoint)
    if splits:
        bits = [
            _scored(model, source, split, run.train.examples_at_once, limit) for split in splits
        ]
    return {
        "made": datetime.date.today().isoformat(),
        "dataset": run.data.dataset,
        "data": before.get("data", description),
        "variant": run.model.variant,
        "conditions": list(run.model.conditions),
        "missing_scales": list(run.model.missing_scales),
        "parameters": int(model.count_params()),
        "step": before.get("step", step),
        "bits_per_dim": bits or before.get("bits_per_dim", []),
        "seed": run.train.seed,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }


def _scored(model, source, split, batch_size, limit):
    result = evaluate(model, source, split, batch_size, limit=limit)
    return {"split": split, "examples": result.examples, "bits_per_dim": result.bits_per_dim}


def _validated(workdir, checkpoint):
    """The step of a run's checkpoint, and the validation at that step: a list of one dict, or empty
    if there was none. For scales trained apart: the highest step, and an empty list."""
    apart = scales.parts(workdir)
    found = [
        there[-1]
        for folder in (apart or [workdir])
        if (there := snapshots.steps(pathlib.Path(folder) / CHOICES[checkpoint]))
    ]
    step = max(found, default=0)
    lines = [] if apart else [line for line in read_metrics(workdir) if line["step"] == step]
    return step, [
        {
            "split": "validation",
            "examples": line.get("validation_examples"),
            "bits_per_dim": line["validation_bits"],
        }
        for line in lines
    ]


def page(facts: dict[str, Any]) -> str:
    """The facts as Markdown."""
    lines = [
        f"# {facts['variant']} of {facts['dataset']}, version {facts['version']}",
        "",
        "A density model with exact likelihoods: the parallel multiscale PixelCNN of Reed et al. "
        "(2017).",
        "",
        f"- Data: {facts['data']}.",
        f"- Conditions: {', '.join(facts['conditions']) or 'none'}.",
        f"- Parameters: {facts['parameters']:,}; training steps: {facts['step']:,}; "
        f"seed {facts['seed']}.",
        f"- Exported {facts['made']} with "
        + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
        + ".",
    ]
    if facts["missing_scales"]:
        lines.append(f"- Scales not trained, and not here: {', '.join(facts['missing_scales'])}.")
    lines += ["", "## Likelihood", ""]
    if facts["bits_per_dim"]:
        lines += ["| split | examples | bits per sub-pixel |", "|:--|--:|--:|"]
        lines += [
            f"| {row['split']} | {row['examples'] or '–'} | {row['bits_per_dim']:.4f} |"
            for row in facts["bits_per_dim"]
        ]
        lines += [
            "",
            "They compare with other figures only on the very same pixels, as named above.",
        ]
    else:
        lines.append("Not measured.")
    lines += ["", "## Signatures", ""]
    for name, graph in facts["signatures"].items():
        lines.append(f"- `{name}`: {VERDICTS[name]}")
        for kind in ("inputs", "outputs"):
            shown = ", ".join(
                f"`{key}` {dtype} [{', '.join('·' if n is None else str(n) for n in shape)}]"
                for key, (dtype, shape) in sorted(graph[kind].items())
            )
            lines.append(f"  - {kind}: {shown}")
    lines += [
        "",
        "A SavedModel is a program, which TensorFlow runs with your rights: load it only from",
        "people you trust. `ms_pixelcnn_tf.load` reads the configuration and the weights alone,",
        "and compares all files with the hashes in card.json.",
        "",
        "Its likelihoods rank images by how well they are predicted; simple images score high",
        "whatever they show. Samples repeat what the training data hold, their biases included.",
        "",
    ]
    return "\n".join(lines)
