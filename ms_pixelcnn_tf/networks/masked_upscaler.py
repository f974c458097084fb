"""The paper's upscaler of type A: a channel-masked network, evaluated once per channel.

The features form one channel group per channel. All of them read the context. They read the group's
own pixels through 3x3 convolutions that are masked between channel groups but not in space. So
channel c of a pixel sees the channels before c of its own pixel and of the pixels around it, as far
as the network reaches, and no other sub-pixel of its group. Sampling decodes channel c of all
pixels at once, then evaluates the network again for channel c + 1. A group of an RGB image takes
three evaluations to sample and one to score.

A mixture of logistics parametrises all channels of a pixel at once, so it has no order to mask.

Reference: Reed et al. (2017), section 3.1; masks: van den Oord et al. (2016a), section 3.4.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import (
    ChannelMaskedConvolution,
    MaskedDense,
    ResidualBlock,
    with_prediction,
)
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.networks.ordered import make_logits
from ms_pixelcnn_tf.networks.trunk import make_prediction, project
from ms_pixelcnn_tf.networks.upscaler import Upscaler, UpscalerA
from ms_pixelcnn_tf.pixels import feature_channels, pixel_features
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MaskedUpscalerA(Upscaler):
    """Type A: the group's pixels are generated together, one channel after another.

    `trunk(context, conditioning)` returns the encoded context, as in `UpscalerA`. The layer, called
    with that and the group's own levels, returns the parameters,
    `[B, H, W, distribution.num_params]`.

    Args:
        distribution: the distribution of a pixel, from `distributions`; it must order the channels.
        group, num_blocks, features, head_features, and further keyword arguments: as for
            `Upscaler`. The features form C channel groups.
    """

    channel_by_channel = True

    def __init__(
        self,
        distribution: Distribution,
        group: int,
        num_blocks: int,
        features: int,
        head_features: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(distribution, group, num_blocks, features, head_features, **kwargs)
        channels, policy = distribution.channels, self.dtype_policy
        given = len(feature_channels(self.context_channels, self.pixel_inputs))
        if not self.context_channels:
            given = self.conditioning_features
        inputs = [-1] * given + feature_channels(channels, self.pixel_inputs)
        hidden = feature_groups(features, channels)
        head = feature_groups(head_features, channels)

        self.prediction = make_prediction(
            self.prediction_path, channels, group, self.trunk_arguments["previous"], policy
        )
        self.entry = ChannelMaskedConvolution(inputs, hidden, "A", dtype=policy, name="entry")
        kind = self.trunk_arguments["residual_block"]
        self.blocks = [
            ResidualBlock(features, kind, channels, dtype=policy, name=f"block{index}")
            for index in range(num_blocks)
        ]
        self.head = MaskedDense(hidden, head, dtype=policy, name="head")
        self.logits = make_logits(distribution, head, channels, self.prediction_path, policy)
        self.conditioning_projection = None
        if self.conditioning_features:
            self.conditioning_projection = keras.layers.Dense(
                features * num_blocks, use_bias=False, dtype=policy, name="conditioning"
            )

    def build(self, encoded_shape: Any = None, levels_shape: Shape = None) -> None:
        if self.prediction is not None:
            self.prediction.build((None, None, None, self.context_channels))
        for layer in (self.entry, *self.blocks, self.head, self.logits):
            layer.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def trunk(self, context: Tensor, conditioning: Tensor | None = None) -> tuple:
        """The encoded context. No block runs yet: all of them read the group's own pixels.

        Args:
            context: `[B, H, W, C·(g-1)]`, with `previous` `[B, H, W, C·(g+3)]`, integer levels (or
                floats holding them).
            conditioning: `[B, 1 or H, 1 or W, E]`, a vector or a map, or None.

        Returns:
            The pixel features of the context (without a context: the conditioning, a map), the
            prediction as in `networks.trunk.Trunk` or None, and each block's share of the
            conditioning (`networks.trunk.project`).
        """
        pixels, prediction = self.pixel_features(context), None
        if self.prediction is not None:
            prediction = self.prediction(pixels[..., : self.context_channels])  # the raw values
        shares = project(self.conditioning_projection, conditioning, len(self.blocks))
        return pixels if self.context_channels else conditioning, prediction, shares

    def call(self, encoded: Sequence[Any], levels: Tensor) -> Tensor:
        """The parameters of the group's pixels.

        Args:
            encoded: from `trunk`.
            levels: `[B, H, W, C]`, the group itself. Parameters of channel c see channels before c.
        """
        given, prediction, shares = encoded
        maps = self.entry(ops.concatenate([given, self.pixel_features(levels)], axis=-1))
        for block, share in zip(self.blocks, shares, strict=True):
            maps = block(maps, *share)
        head = ops.relu(self.head(ops.relu(maps)))
        return self.logits(with_prediction(prediction, head))

    def scored(self, encoded: Sequence[Any], levels: Tensor, cut: Callable) -> Tensor:
        """As `Upscaler.scored`, but computed on the whole map: pixels see those around them."""
        return cut(self(encoded, levels))

    def pixel_features(self, levels: Tensor) -> Tensor:
        """`[..., C]` levels → `[..., pixel features]`."""
        count = self.distribution.num_levels
        return pixel_features(levels, count, self.variable_dtype, self.pixel_inputs)

    def channel_params(self, encoded: Sequence[Any]) -> Callable:
        """For decoding: a function `(channel, levels [..., C]) → parameters` that evaluates the
        whole network on the channels decoded so far."""
        size = self.distribution.num_params // self.distribution.channels
        return lambda channel, levels: self(encoded, levels)[
            ..., channel * size : (channel + 1) * size
        ]

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.logits.bias


TypeA: TypeAlias = UpscalerA | MaskedUpscalerA


def make_type_a(colour: str, distribution: Distribution, **arguments: Any) -> TypeA:
    """A new upscaler of type A.

    Args:
        colour: how a softmax orders the channels: "head" or "masked"; no effect on a distribution
            that does not order them.
        distribution, **arguments: as for the class.
    """
    masked = colour == "masked" and distribution.channel_autoregressive
    return (MaskedUpscalerA if masked else UpscalerA)(distribution, **arguments)
