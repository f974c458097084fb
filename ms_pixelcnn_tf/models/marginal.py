"""Starts a softmax with a tent at the levels' frequencies in the data."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.configs.shared import DensityConfig
from ms_pixelcnn_tf.types import Array


def start_at_marginal(
    config: DensityConfig, biases: Iterable[keras.Variable], histogram: Array
) -> None:
    """Sets the free logits of a softmax with a tent to the data's marginal.

    Other distributions stay unchanged: a DMOL starts at its own spread, and a softmax without a
    tent at the uniform distribution.

    Args:
        config: the model's configuration.
        biases: variables: the bias of each network's output parameters, channel by channel.
        histogram: `[C, L]` counts of each channel's levels.
    """
    if not config.starts_at_marginal:
        return
    counts = np.asarray(histogram, "float64") + 1.0
    logits = np.log(counts / counts.sum(axis=1, keepdims=True))
    for variable in biases:
        bias = np.array(ops.convert_to_numpy(variable)).reshape(config.channels, -1)
        bias[:, : config.num_levels] = logits
        variable.assign(bias.reshape(variable.shape))
