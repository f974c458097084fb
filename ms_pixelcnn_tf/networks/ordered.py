"""Where every network that orders pixels begins and ends: its inputs' groups, its output layer."""

import keras

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import Constant, MaskedDense, output_kernel
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.pixels import feature_channels
from ms_pixelcnn_tf.types import Groups


def channel_groups(distribution: Distribution) -> tuple[int, list[int]]:
    """Channel groups that the features come in, and the group of each pixel feature: one a channel
    if the law orders its channels, else one for all."""
    groups = feature_channels(distribution.channels)
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
    """The masked output layer. Unless `prediction_path` is "none", it reads the prediction,
    `[..., C]`, which all groups see and the law is centred on at first, before the head's features.
    In mixed precision it computes in float32: rounded, the centre would be off by a part of a
    level."""
    predicted = [-1] * distribution.channels if prediction_path == "linear" else []
    return MaskedDense(
        predicted + list(head_groups),
        feature_groups(distribution.num_params, num_groups),
        kernel_initializer=output_kernel(prediction_path, distribution.prediction_rows()),
        bias_initializer=Constant(distribution.initial_params()),
        dtype=policy.variable_dtype,
        name="logits",
    )
