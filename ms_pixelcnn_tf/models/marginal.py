"""The first guess of a softmax with a tent: the levels' frequencies in the data."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.configs.shared import DensityConfig
from ms_pixelcnn_tf.types import Array


def start_at_marginal(
    config: DensityConfig, biases: Iterable[keras.Variable], histogram: Array
) -> None:
    """Sets a softmax's free logits to the data's marginal, on which its tent is laid.

    Args:
        config: the model's configuration.
        biases: variables, the bias of each network's parameters, channel by channel.
        histogram: `[C, L]` counts of each channel's levels. A DMOL starts at a spread of its own,
            and a softmax without a tent at the uniform law: both are left alone.
    """
    if not config.starts_at_marginal:
        return
    counts = np.asarray(histogram, "float64") + 1.0
    logits = np.log(counts / counts.sum(axis=1, keepdims=True))
    for variable in biases:
        bias = np.array(ops.convert_to_numpy(variable)).reshape(config.channels, -1)
        bias[:, : config.num_levels] = logits
        variable.assign(bias.reshape(variable.shape))
