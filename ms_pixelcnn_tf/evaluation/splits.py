"""Evaluates a model in one exact pass over a split: every example once, sums in float64.

Each example has the same weight. With captions, an image comes once with each of its captions.
Image models are scored by `log_prob_terms`, video models by `log_prob_by_frame`, which also
separates the frames.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.pixels import bits_per_dim


@dataclasses.dataclass(frozen=True)
class TermResult:
    """The result of one term of the likelihood, one scale or one frame.

    Attributes:
        nats: nats per image or clip.
        bits_per_dim, nats_per_dim: bits and nats per sub-pixel *of this term*.
    """

    nats: float
    bits_per_dim: float
    nats_per_dim: float


@dataclasses.dataclass(frozen=True)
class FrameResult(TermResult):
    """The result of one predicted frame of the clips.

    Attributes:
        frame: its number; the first frame of a clip is 0.
        terms: its terms by name.
    """

    frame: int
    terms: dict[str, TermResult]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of one pass.

    Attributes:
        description: the source's description of its pixels; compare bits per sub-pixel only if it
            is the same.
        split: name of the split.
        examples: number of images or clips scored; an image counts once per caption.
        nats: mean of −log p over them, in nats per image or clip. Given frames are not counted.
        bits_per_dim, nats_per_dim: the same in bits and in nats per sub-pixel.
        terms: the terms by name; their nats add up to `nats`.
        scales: the sum of each scale's terms, by the part of their names before "/"; empty if every
            scale has one term.
        frames: the predicted frames of videos; their nats add up to `nats`.
    """

    description: str
    split: str
    examples: int
    nats: float
    bits_per_dim: float
    nats_per_dim: float
    terms: dict[str, TermResult]
    scales: dict[str, TermResult] = dataclasses.field(default_factory=dict)
    frames: tuple[FrameResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and numbers, for JSON."""
        return dataclasses.asdict(self)


def evaluate(
    model: Any,
    source: Source,
    split: str,
    batch_size: int,
    limit: int | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Scores a split exactly.

    Args:
        model: has `config`, `example_field`, `term_dims` and `log_prob_terms(images, conditions)`
            for images or `log_prob_by_frame(frames, conditions)` for videos.
        source: the `data.Source`.
        split: one of its splits.
        batch_size: examples per batch; the last batch may be smaller.
        limit: score only the first `limit` examples; None or 0: all.
        before_batch: called before each batch; an exception from it ends the pass.

    Returns:
        An `Evaluation`.

    Raises:
        UserError: for an unknown or empty split.
    """
    field, conditions = model.example_field, model.config.conditions
    score = model.log_prob_by_frame if field == "frames" else model.log_prob_terms
    batches = pipeline.evaluation_batches(
        source,
        split=split,
        batch_size=batch_size,
        num_levels=model.config.num_levels,
        fields=(field, *conditions),
        limit=limit,
    )
    examples, totals = 0, dict.fromkeys(model.term_dims, 0.0)
    for batch in pipeline.iterate(batches):
        before_batch()
        examples += int(batch[field].shape[0])
        terms = score(batch[field], {name: batch[name] for name in conditions})
        for name, log_prob in terms.items():
            totals[name] = totals[name] - np.sum(np.asarray(log_prob, np.float64), axis=0)
    nats = {name: total / examples for name, total in totals.items()}  # for videos, of each frame
    totals = {name: float(np.sum(term)) for name, term in nats.items()}
    terms = {
        name: TermResult(**_units(totals[name], dims)) for name, dims in model.term_dims.items()
    }
    whole = _units(math.fsum(totals.values()), sum(model.term_dims.values()))
    scales = _scales(model, totals)
    frames = _frames(model, nats) if field == "frames" else ()
    return Evaluation(
        source.description, split, examples, **whole, terms=terms, scales=scales, frames=frames
    )


def _scales(model, nats):
    """`Evaluation.scales`, from the nats of each term."""
    terms = {}
    for name in model.term_dims:
        terms.setdefault(name.split("/")[0], []).append(name)
    if len(terms) == len(model.term_dims):
        return {}
    return {
        scale: TermResult(
            **_units(
                math.fsum(nats[name] for name in names),
                sum(model.term_dims[name] for name in names),
            )
        )
        for scale, names in terms.items()
    }


def _frames(model, nats):
    """`FrameResult`s of the predicted frames, from the nats of each term, float64 `[frames]`."""
    config, results = model.config, []
    for index in range(config.predicted_frames):
        dims = {name: dims // config.predicted_frames for name, dims in model.term_dims.items()}
        terms = {name: TermResult(**_units(float(nats[name][index]), dims[name])) for name in dims}
        total = math.fsum(term.nats for term in terms.values())
        results.append(
            FrameResult(
                **_units(total, sum(dims.values())), frame=config.given_frames + index, terms=terms
            )
        )
    return tuple(results)


def _units(nats, num_subpixels):
    """The fields of a `TermResult`."""
    return {
        "nats": nats,
        "bits_per_dim": bits_per_dim(nats, num_subpixels),
        "nats_per_dim": nats / num_subpixels,
    }
