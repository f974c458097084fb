"""The output laws of a sub-pixel: a softmax over levels, and discretised logistics (DMOL).

All offer the same verbs. `log_prob` scores whole pixels; `decode_channel` turns one uniform into
one sub-pixel by inverse CDF, given the channels of the pixel decoded before it. A decoded value is
an integer level, so what later sub-pixels see is exactly what `log_prob` will score.

The CDF is evaluated in the parameters' dtype, float32 at least. All log-probabilities are in nats.
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
    """The distribution named `output`; `num_mixtures` counts only for "dmol", `softmax_law` ("tent"
    or "free") only for "softmax".

    Raises:
        UserError: for an unknown name.
    """
    if output == "softmax":
        return SOFTMAX_LAWS[softmax_law](num_levels, channels)
    if output == "dmol":
        return DiscretizedLogisticMixture(num_levels, channels, num_mixtures)
    raise UserError(f"unknown output {output!r}; valid: {', '.join(OUTPUTS)}")
