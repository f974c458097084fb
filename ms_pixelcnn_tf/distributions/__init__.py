"""The output laws of a sub-pixel: a softmax over levels, and discretised logistics (DMOL).

Each has two main methods. `log_prob` scores whole pixels. `decode_channel` turns one uniform into
one sub-pixel by inverse CDF, given the pixel's earlier channels. Decoded values are integer levels,
so later sub-pixels see exactly the values that `log_prob` will score.

The CDF is evaluated in the parameters' dtype, at least float32. All log-probabilities are in nats.
"""

from typing import TypeAlias

from ms_pixelcnn_tf.distributions.dmol import DiscretizedLogisticMixture
from ms_pixelcnn_tf.distributions.softmax import Categorical, FreeCategorical
from ms_pixelcnn_tf.errors import UserError

OUTPUTS = ("softmax", "dmol")
SOFTMAX_LAWS = {"tent": Categorical, "free": FreeCategorical}
Distribution: TypeAlias = FreeCategorical | DiscretizedLogisticMixture
__all__ = [
    "OUTPUTS",
    "SOFTMAX_LAWS",
    "Categorical",
    "DiscretizedLogisticMixture",
    "Distribution",
    "FreeCategorical",
    "make_distribution",
]


def make_distribution(
    output: str, num_levels: int, channels: int, num_mixtures: int, softmax_law: str = "tent"
) -> Distribution:
    """The distribution named `output`. Only "dmol" uses `num_mixtures`; only "softmax" uses
    `softmax_law` ("tent" or "free").

    Raises:
        UserError: for an unknown `output`.
    """
    if output == "softmax":
        return SOFTMAX_LAWS[softmax_law](num_levels, channels)
    if output == "dmol":
        return DiscretizedLogisticMixture(num_levels, channels, num_mixtures)
    raise UserError(f"unknown output {output!r}; valid: {', '.join(OUTPUTS)}")
