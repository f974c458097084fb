"""Scores and samples many examples in small batches."""

import numpy as np


def in_batches(num, size):
    """Yields slices of `size` rows that cover `num` rows in order; the last may be smaller."""
    for start in range(0, num, size):
        yield slice(start, min(start + size, num))


def mean_nats(model, examples, conditions, batch_size):
    """Mean −log p, in nats per example."""
    total = 0.0
    for rows in in_batches(len(examples), batch_size):
        own = {name: values[rows] for name, values in conditions.items()}
        total -= float(np.sum(np.asarray(model.log_prob(examples[rows], own), "float64")))
    return total / len(examples)
