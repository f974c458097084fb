"""What is sampled follows the law that `log_prob` states."""

import numpy as np
import pytest
import tensorflow as tf

from support.cases import fast
from support.models import random_model, randomise
from support.proofs import all_images, probabilities

ON = {"variant": "ON"}
A = {"variant": "OlogN", "upscaler": "A"}
B = {"variant": "OlogN", "upscaler": "B"}


def chi_square_p_value(counts, expected, least=10.0):
    """p-value of counts against their expectation; cells expected below `least` are pooled."""
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    cells = np.floor(np.cumsum(expected) / least).astype(int)  # rare outcomes share a cell
    counts, expected = np.bincount(cells, counts), np.bincount(cells, expected)
    counts, expected = counts[expected > 0], expected[expected > 0]
    if expected[-1] < least:
        counts[-2:], expected[-2:] = counts[-2:].sum(), expected[-2:].sum()
        counts, expected = counts[:-1], expected[:-1]
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = np.float64(len(counts) - 1)
    assert freedom > 50
    return float(tf.math.igammac(freedom / 2, statistic / 2))


def test_chi_square_p_value():
    """Uniform over draws from the law itself, and small for another law."""
    generator = np.random.default_rng(0)
    law = generator.dirichlet(np.full(300, 0.5))
    values = [chi_square_p_value(generator.multinomial(5000, law), 5000 * law) for _ in range(400)]
    np.testing.assert_allclose(np.quantile(values, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.06)
    other = 0.7 * law + 0.3 / 300
    assert chi_square_p_value(generator.multinomial(5000, other), 5000 * law) < 1e-9


@pytest.mark.parametrize(
    "overrides",
    fast(
        [
            ON | {"image_size": 2, "channels": 3, "output": "softmax"},
            ON | {"image_size": 2, "channels": 3, "output": "dmol"},
            A | {"image_size": 2, "base_size": 1, "channels": 3, "output": "softmax"},
            A | {"image_size": 2, "base_size": 1, "channels": 3, "output": "dmol"},
            B | {"image_size": (2, 4), "base_size": (1, 2), "output": "softmax"},
            B | {"image_size": (2, 4), "base_size": (1, 2), "num_levels": 3, "output": "dmol"},
        ]
    ),
    ids=["ON-softmax", "ON-dmol", "A-softmax", "A-dmol", "B-softmax", "B-dmol"],
)
def test_200_000_samples_follow_the_models_own_probabilities(overrides):
    num = 200_000
    model = random_model(7, 0.3, **overrides)
    everything = all_images(model)
    powers = model.config.num_levels ** np.arange(everything[0].size)
    samples = model.sample(num, seed=8).reshape(num, -1) @ powers  # the index in `everything`
    counts = np.bincount(samples, minlength=len(everything))
    law = probabilities(model, everything)
    assert chi_square_p_value(counts, num * law / law.sum()) > 1e-3

    randomise(model, 7, 0.33)  # the same weights, a tenth larger, are another law
    other = probabilities(model, everything)
    assert chi_square_p_value(counts, num * other / other.sum()) < 1e-6
