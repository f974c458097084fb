"""Shared parts of the masked networks: channel groups of the inputs, and the output layer."""

import keras

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import Constant, MaskedDense, output_kernel
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.pixels import feature_channels
from ms_pixelcnn_tf.types import Groups


def channel_groups(distribution: Distribution, pixel_inputs: str) -> tuple[int, list[int]]:
    """The number of channel groups of the features, and the channel group of each pixel feature:
    one per channel if the distribution orders its channels, else one for all."""
    groups = feature_channels(distribution.channels, pixel_inputs)
    if distribution.channel_autoregressive:
        return distribution.channels, groups
    return 1, [min(group, 0) for group in groups]


def make_logits(
    distribution: Distribution,
    head_groups: Groups,
    num_groups: int,
    prediction_path: str,
    policy: keras.DTypePolicy,
) -> MaskedDense:
    """The masked output layer.

    Unless `prediction_path` is "none", its inputs are the prediction, `[..., C]`, then the head's
    features. All channel groups see the prediction, and the distribution starts centred on it. In
    mixed precision the layer computes in float32: rounding would shift the centre by a fraction of
    a level.
    """
    predicted = [-1] * distribution.channels if prediction_path == "linear" else []
    return MaskedDense(
        predicted + list(head_groups),
        feature_groups(distribution.num_params, num_groups),
        kernel_initializer=output_kernel(prediction_path, distribution.prediction_rows()),
        bias_initializer=Constant(distribution.initial_params()),
        dtype=policy.variable_dtype,
        name="logits",
    )
