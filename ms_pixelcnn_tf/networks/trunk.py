"""The trunk of an upscaler: context → features, and a first prediction of the group."""

from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers import ResidualBlock
from ms_pixelcnn_tf.pixels import feature_channels, pixel_features
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Trunk(keras.layers.Layer):
    """Residual network from the context's pixels to features.

    Args:
        num_levels: levels of the pixels.
        channels: image channels C.
        group: 2, 3 or 4; or 1, whose context is the previous frame (`previous`) or nothing. Without
            a context the trunk reads the conditioning, a map, in its place, and `prediction_path`
            must be "none".
        num_blocks: residual blocks.
        features: width F.
        conditioning_features: width E of the conditioning; 0 for none.
        previous: whether the context starts with the four groups of the previous frame.
        prediction_path: "linear", or "none" for no prediction.
        pixel_inputs: inputs per pixel, "features" or "values"; see `pixels.pixel_features`.
        residual_block: kind of the blocks (`layers.ResidualBlock`).

    Call arguments:
        context: `[B, H, W, C·(g-1)]`, with `previous` `[B, H, W, C·(g+3)]`, integer levels (or
            floats holding them).
        conditioning: `[B, 1 or H, 1 or W, E]`, a vector or a map, or None.

    Returns:
        `[B, H, W, F]` features, and a prediction of the group `[B, H, W, C]` on [-1, 1], or None.
        The prediction is linear in the context. It starts as the mean of the known groups at the
        same position or, with `previous`, as the same group of the previous frame. It goes straight
        to the output layer, and the distribution starts centred on it, so that much about a pixel
        is known from the first training step (a departure from the paper).
    """

    def __init__(
        self,
        num_levels: int,
        channels: int,
        group: int,
        num_blocks: int,
        features: int,
        conditioning_features: int = 0,
        previous: bool = False,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_levels, self.pixel_inputs = num_levels, pixel_inputs
        self.context_channels = channels * (group - 1 + 4 * previous)
        self.conditioning_features = conditioning_features
        policy = self.dtype_policy
        self.entry = keras.layers.Conv2D(features, 3, padding="same", dtype=policy, name="entry")
        self.prediction = make_prediction(prediction_path, channels, group, previous, policy)
        self.blocks = [
            ResidualBlock(features, residual_block, dtype=policy, name=f"block{index}")
            for index in range(num_blocks)
        ]
        self.conditioning_projection = None
        if conditioning_features:
            self.conditioning_projection = keras.layers.Dense(
                features * num_blocks, use_bias=False, dtype=policy, name="conditioning"
            )

    def build(self, context_shape: Shape = None, conditioning_shape: Shape = None) -> None:
        inputs = len(feature_channels(self.context_channels, self.pixel_inputs))
        if not self.context_channels:
            inputs = self.conditioning_features
        self.entry.build((None, None, None, inputs))
        if self.prediction is not None:
            self.prediction.build((None, None, None, self.context_channels))
        for block in self.blocks:
            block.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def call(
        self, context: Tensor, conditioning: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        pixels = pixel_features(context, self.num_levels, self.variable_dtype, self.pixel_inputs)
        prediction = None
        if self.prediction is not None:
            prediction = self.prediction(pixels[..., : self.context_channels])  # the raw values
        maps = self.entry(pixels if self.context_channels else conditioning)
        shares = project(self.conditioning_projection, conditioning, len(self.blocks))
        for block, share in zip(self.blocks, shares, strict=True):
            maps = block(maps, *share)
        return ops.relu(maps), prediction


def project(
    projection: keras.layers.Layer | None, conditioning: Tensor | None, num_blocks: int
) -> list[tuple[Tensor, ...]]:
    """The further arguments of each block's call: its share of the projected conditioning,
    `[B, ·, ·, F]`, or nothing. (A block that is recomputed cannot be called with None.)"""
    if projection is None:
        return [()] * num_blocks
    return list(zip(ops.split(projection(conditioning), num_blocks, axis=-1)))


def make_prediction(
    path: str, channels: int, group: int, previous: bool, policy: keras.DTypePolicy
) -> keras.layers.Conv2D | None:
    """The layer that predicts a group from the raw values of its context.

    It maps `[B, H, W, ·]` → `[B, H, W, C]` in float32 at least. With "linear" it is a 3x3
    convolution; with "none" it is None. It starts as the mean of the known groups at the same
    position or, with `previous`, as the same group of the previous frame.
    """
    if path == "none":
        return None
    return keras.layers.Conv2D(
        channels,
        3,
        padding="same",
        dtype=policy.variable_dtype,
        name="prediction",
        kernel_initializer=_same_group(group) if previous else _mean_of_groups,
    )


def _mean_of_groups(shape, dtype=None):
    """The initialiser of a kernel that averages the known groups at the same position."""
    _, _, inputs, channels = shape
    kernel = np.zeros(shape)
    kernel[1, 1] = np.tile(np.eye(channels), (inputs // channels, 1)) * channels / inputs
    return ops.convert_to_tensor(kernel, dtype)


def _same_group(group):
    """The initialiser of a kernel that copies a pixel of one group of the previous frame."""

    def initializer(shape, dtype=None):
        kernel, channels = np.zeros(shape), shape[-1]
        kernel[1, 1, channels * (group - 1) : channels * group] = np.eye(channels)
        return ops.convert_to_tensor(kernel, dtype)

    return initializer
