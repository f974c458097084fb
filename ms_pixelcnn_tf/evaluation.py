"""One exact pass over a split: every example once, weighted by example, sums in float64.

Image models and video models that score a whole clip at once share it: both offer `log_prob_terms`.
"""

import dataclasses
import math

import numpy as np

from ms_pixelcnn_tf.data import pipeline
from ms_pixelcnn_tf.pixels import bits_per_dim


@dataclasses.dataclass(frozen=True)
class TermResult:
    """One named term of the likelihood: nats per image, bits per sub-pixel *of this term*."""

    nats: float
    bits_per_dim: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one pass found.

    Attributes:
        description: what exactly the pixels are; bits per sub-pixel compare only within it.
        split: name of the split.
        examples: number of images scored.
        nats: mean of −log p over the images, in nats per image.
        bits_per_dim: the same in bits per sub-pixel.
        terms: the terms by name; their nats add up to `nats`.
    """

    description: str
    split: str
    examples: int
    nats: float
    bits_per_dim: float
    terms: dict[str, TermResult]

    def to_dict(self):
        """Plain dicts and numbers, for JSON."""
        return dataclasses.asdict(self)


def evaluate(model, source, split, batch_size, limit=None):
    """Scores a split exactly.

    Args:
        model: offers `config`, `term_dims` and `log_prob_terms(images, conditions)`.
        source: the `data.Source`.
        split: one of its splits.
        batch_size: examples a batch; the last batch may be smaller.
        limit: score only the first `limit` examples; None or 0: all.

    Returns:
        An `Evaluation`.

    Raises:
        UserError: for an unknown or empty split.
    """
    fields = model.config.conditions
    batches = pipeline.evaluation_batches(
        source,
        split=split,
        batch_size=batch_size,
        num_levels=model.config.num_levels,
        fields=("image", *fields),
        limit=limit,
    )
    examples, totals = 0, dict.fromkeys(model.term_dims, 0.0)
    for batch in pipeline.iterate(batches):
        examples += int(batch["image"].shape[0])
        terms = model.log_prob_terms(batch["image"], {field: batch[field] for field in fields})
        for name, log_prob in terms.items():
            totals[name] -= float(np.sum(np.asarray(log_prob, np.float64)))
    terms = {
        name: _result(total / examples, model.term_dims[name]) for name, total in totals.items()
    }
    nats = math.fsum(term.nats for term in terms.values())
    whole = _result(nats, sum(model.term_dims.values()))
    return Evaluation(source.description, split, examples, nats, whole.bits_per_dim, terms)


def _result(nats, num_subpixels):
    return TermResult(nats, bits_per_dim(nats, num_subpixels))
