"""Upscalers: one group of a scale from the groups before it. Type A and type B.

Both read the context, the groups already known, in space-to-depth layout: `[B, H, W, C·(g-1)]` at
the lower scale's size. In a video the four groups of the frame before stand ahead of them, and
group 1 may come from those alone. A residual trunk without masks turns the context into features,
once a group. The types differ in how the group's own pixels depend on one another given those:

* type A: not at all; only the channels of one pixel are ordered, by a masked 1x1 head;
* type B: within contiguous M×M patches, in raster order, by a shallow Gated PixelCNN whose weights
  all patches share. Patches do not see one another.

Departure: with a softmax the paper evaluates type A once per channel, with a channel-masked network
(`masked_upscaler`, for `type_a_colour="masked"`). In this module the trunk runs once per group, and
the 1x1 head orders the channels. That is a third of the work and a smaller class of models: in the
head a channel sees the earlier channels of its own pixel only; in the paper's network it also sees
those of the neighbouring pixels of the same group.

Reference: Reed et al. (2017), section 3.1 and Figure 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import ChannelHead, Constant, GivenRows, OfDistribution, ResidualBlock
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.pixels import FEATURES_PER_CHANNEL, from_patches, pixel_features, to_patches
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Trunk(keras.layers.Layer):
    """Residual network from the context's pixels to features.

    Args:
        num_levels: levels of the pixels.
        channels: image channels C.
        group: 2, 3 or 4; with `previous` also 1.
        num_blocks: residual blocks.
        features: width F.
        conditioning_features: width E of the conditioning; 0 for none.
        previous: whether the context starts with the four groups of the frame before.
        residual_block: kind of the blocks (`layers.ResidualBlock`).

    Call arguments:
        context: `[B, H, W, C·(g-1)]`, with `previous` `[B, H, W, C·(g+3)]`, integer levels (or
            floats holding them).
        conditioning: `[B, 1 or H, 1 or W, E]`, a vector or a map, or None.

    Returns:
        `[B, H, W, F]` features, and `[B, H, W, C]` a prediction of the group on [-1, 1], linear in
        the context, which starts as the mean of the groups known at the same place, or as the same
        group of the frame before. It goes straight to the output layer, which starts by centring
        the law on it: much of what there is to know is there from the first step.
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
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_levels = num_levels
        self.context_channels = channels * (group - 1 + 4 * previous)
        self.conditioning_features = conditioning_features
        policy = self.dtype_policy
        self.entry = keras.layers.Conv2D(features, 3, padding="same", dtype=policy, name="entry")
        self.prediction = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            dtype=policy.variable_dtype,
            name="prediction",
            kernel_initializer=same_group(group) if previous else mean_of_groups,
        )
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
        inputs = self.context_channels * FEATURES_PER_CHANNEL + 1
        self.entry.build((None, None, None, inputs))
        self.prediction.build((None, None, None, self.context_channels))
        for block in self.blocks:
            block.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def call(self, context: Tensor, conditioning: Tensor | None = None) -> tuple[Tensor, Tensor]:
        pixels = pixel_features(context, self.num_levels, self.variable_dtype)
        prediction = self.prediction(pixels[..., : self.context_channels])  # the raw values
        maps = self.entry(pixels)
        projections = [None] * len(self.blocks)
        if self.conditioning_projection is not None:
            projection = self.conditioning_projection(conditioning)
            projections = ops.split(projection, len(self.blocks), axis=-1)
        for block, projection in zip(self.blocks, projections, strict=True):
            maps = block(maps, projection)
        return ops.relu(maps), prediction


def mean_of_groups(shape: Sequence[int], dtype: str | None = None) -> Tensor:
    """Kernel of a convolution that averages the groups known at the same place."""
    _, _, inputs, channels = shape
    kernel = np.zeros(shape)
    kernel[1, 1] = np.tile(np.eye(channels), (inputs // channels, 1)) * channels / inputs
    return ops.convert_to_tensor(kernel, dtype)


def same_group(group: int) -> Callable:
    """The initialiser of a kernel that picks one group of the frame before, at the same place."""

    def initializer(shape, dtype=None):
        kernel, channels = np.zeros(shape), shape[-1]
        kernel[1, 1, channels * (group - 1) : channels * group] = np.eye(channels)
        return ops.convert_to_tensor(kernel, dtype)

    return initializer


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class UpscalerA(OfDistribution, keras.layers.Layer):
    """Type A: the group's pixels are independent given the context.

    Args:
        distribution: the law of a pixel, from `distributions`.
        group, num_blocks, features, conditioning_features, previous, residual_block: of the trunk.
        head_features: width of the head's hidden layer (a channel).

    `trunk(context, conditioning)` gives what is known of the group: features and a prediction.
    Calling the layer with those and the group's own levels gives the parameters,
    `[B, H, W, distribution.num_params]`.
    """

    def __init__(
        self,
        distribution: Distribution,
        group: int,
        num_blocks: int,
        features: int,
        head_features: int,
        conditioning_features: int = 0,
        previous: bool = False,
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.arguments = {
            "group": group,
            "num_blocks": num_blocks,
            "features": features,
            "head_features": head_features,
            "conditioning_features": conditioning_features,
            "previous": previous,
            "residual_block": residual_block,
        }
        self.features = features
        policy = self.dtype_policy
        self.trunk = Trunk(
            distribution.num_levels,
            distribution.channels,
            group,
            num_blocks,
            features,
            conditioning_features,
            previous,
            residual_block,
            dtype=policy,
            name="trunk",
        )
        if distribution.channel_autoregressive:
            self.head = ChannelHead(
                distribution, features, head_features, dtype=policy, name="head"
            )
        else:
            self.hidden = keras.layers.Dense(
                head_features, activation="relu", dtype=policy, name="hidden"
            )
            self.head = keras.layers.Dense(
                distribution.num_params,
                kernel_initializer=GivenRows(distribution.prediction_rows(), "glorot_uniform"),
                bias_initializer=Constant(distribution.initial_params()),
                dtype=policy.variable_dtype,
                name="head",
            )

    def build(self, known_shape: Any = None, levels_shape: Shape = None) -> None:
        self.trunk.build()
        if self.distribution.channel_autoregressive:
            self.head.build()
        else:
            self.hidden.build((None, self.features))
            self.head.build((None, self.distribution.channels + self.hidden.units))

    def call(self, known: Sequence[Tensor], levels: Tensor) -> Tensor:
        """Args:
        known: from the trunk.
        levels: `[B, H, W, C]`, the group itself. Parameters of channel c see channels before c.
        """
        maps, prediction = known
        if self.distribution.channel_autoregressive:
            return self.head(maps, prediction, self.read(levels))
        return self.head(ops.concatenate([prediction, self.hidden(maps)], axis=-1))

    def channel_params(self, known: Sequence[Tensor]) -> Callable:
        """For decoding: a function `(channel, levels [..., C]) → parameters`, the trunk's share of
        which is computed here, once."""
        if not self.distribution.channel_autoregressive:
            params = self(known, None)
            return lambda channel, levels: params
        maps, prediction = known
        reading = self.head.reading(maps)
        return lambda channel, levels: self.head.channel(
            reading, prediction, self.read(levels), channel
        )

    def read(self, levels: Tensor) -> Tensor:
        """`[..., C]` levels → `[..., pixel features]`."""
        return pixel_features(levels, self.distribution.num_levels, self.compute_dtype)

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.head.bias


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class UpscalerB(OfDistribution, keras.layers.Layer):
    """Type B: the group's pixels are autoregressive within M×M patches.

    Args:
        distribution, group, num_blocks, features, conditioning_features, residual_block: as for
            type A.
        head_features: width of the decoder's layer before its output.
        patch_size: `(h, w)` of a patch, dividing the size of the group's map.
        decoder_layers, decoder_features: of the shallow Gated PixelCNN.
    """

    def __init__(
        self,
        distribution: Distribution,
        group: int,
        num_blocks: int,
        features: int,
        head_features: int,
        patch_size: tuple[int, int],
        decoder_layers: int,
        decoder_features: int,
        conditioning_features: int = 0,
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.arguments = {
            "group": group,
            "num_blocks": num_blocks,
            "features": features,
            "head_features": head_features,
            "patch_size": tuple(patch_size),
            "decoder_layers": decoder_layers,
            "decoder_features": decoder_features,
            "conditioning_features": conditioning_features,
            "residual_block": residual_block,
        }
        self.features = features
        self.patch_size = patch_size
        policy = self.dtype_policy
        self.trunk = Trunk(
            distribution.num_levels,
            distribution.channels,
            group,
            num_blocks,
            features,
            conditioning_features,
            residual_block=residual_block,
            dtype=policy,
            name="trunk",
        )
        self.decoder = GatedPixelCNN(
            distribution,
            decoder_layers,
            decoder_features,
            head_features,
            first_kernel=2 * max(patch_size) - 1 if max(patch_size) > 1 else 3,
            conditioning_features=features,
            predicted=True,
            dtype=policy,
            name="decoder",
        )

    def build(self, known_shape: Any = None, levels_shape: Shape = None) -> None:
        self.trunk.build()
        self.decoder.build()

    def call(self, known: Sequence[Tensor], levels: Tensor) -> Tensor:
        """As for type A; parameters of a pixel see the earlier pixels of its patch too."""
        params = self.decoder(to_patches(levels, self.patch_size), *self.patches(known))
        return from_patches(params, levels.shape[1:3])

    def patches(self, known: Sequence[Tensor]) -> list[Tensor]:
        """The trunk's features and prediction, patches folded into the batch."""
        return [to_patches(maps, self.patch_size) for maps in known]

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.decoder.output_bias
