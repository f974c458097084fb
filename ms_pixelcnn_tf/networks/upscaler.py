"""Upscalers of types A and B: a group of a scale, given the groups before it.

Both read the context, the groups already known, in space-to-depth layout: `[B, H, W, C·(g-1)]` at
the lower scale's size. In a video the four groups of the previous frame may come before them, and
group 1 may have these alone as its context, or only the conditioning. A residual trunk without
masks turns the context into features, once per group. The types differ in how the group's own
pixels depend on one another, given the features:

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

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import (
    ChannelHead,
    Constant,
    DistributionLayer,
    output_kernel,
    with_prediction,
)
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.networks.trunk import Trunk
from ms_pixelcnn_tf.pixels import from_patches, pixel_features, to_patches
from ms_pixelcnn_tf.types import Shape, Tensor


class Upscaler(DistributionLayer, keras.layers.Layer):
    """The base class of all upscalers.

    Args:
        distribution: the distribution of a pixel, from `distributions`.
        group, num_blocks, features, conditioning_features, previous, prediction_path, pixel_inputs,
            residual_block: as for the trunk (`networks.trunk.Trunk`).
        head_features: width of the layer before the output.
    """

    trunk: Any  # (context, conditioning) → the encoded context
    channel_by_channel = False  # whether one channel of all pixels is generated before the next

    def __init__(
        self,
        distribution: Distribution,
        group: int,
        num_blocks: int,
        features: int,
        head_features: int,
        conditioning_features: int = 0,
        previous: bool = False,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.trunk_arguments = {
            "group": group,
            "num_blocks": num_blocks,
            "features": features,
            "conditioning_features": conditioning_features,
            "previous": previous,
            "prediction_path": prediction_path,
            "pixel_inputs": pixel_inputs,
            "residual_block": residual_block,
        }
        self.arguments = {**self.trunk_arguments, "head_features": head_features}
        self.features, self.conditioning_features = features, conditioning_features
        self.prediction_path, self.pixel_inputs = prediction_path, pixel_inputs
        self.context_channels = distribution.channels * (group - 1 + 4 * previous)

    def make_trunk(self) -> Trunk:
        """The network that turns the context into features."""
        law = self.distribution
        return Trunk(
            law.num_levels,
            law.channels,
            **self.trunk_arguments,
            dtype=self.dtype_policy,
            name="trunk",
        )

    def scored(self, encoded: Any, levels: Tensor, cut: Callable) -> Tensor:
        """The parameters of the pixels that `cut` keeps.

        Only the trunk runs on whole maps: a pixel's parameters see nothing of the group outside its
        own patch (type A: pixel), which `cut` must keep whole.

        Args:
            encoded: from the trunk.
            levels: `[B, H, W, C]`, the group itself.
            cut: crops a map `[B, H, W, ·]`, and returns None for None.
        """
        return self([cut(maps) for maps in encoded], cut(levels))

    def channel_params(self, encoded: Any) -> Callable:
        """For decoding: a function `(channel, levels [..., C]) → parameters`."""
        raise NotImplementedError

    def decode(self, encoded: Any, uniforms: Tensor, sampler: Any) -> tuple[Tensor, Tensor | None]:
        """The group's levels by inverse CDF; type A decodes one channel of all pixels at once.

        Args:
            encoded: from the trunk.
            uniforms: `[B, H, W, C]` in [0, 1).
            sampler: a `sampling.samplers.CachedSampler`.

        Returns:
            `[B, H, W, C]` int32 levels, and their log-probabilities (nats) or None.
        """
        return sampler.pixels(self.distribution, self.channel_params(encoded), uniforms)


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class UpscalerA(Upscaler):
    """Type A: the group's pixels are independent given the context.

    `trunk(context, conditioning)` returns the encoded context: features, and a prediction or None.
    The layer, called with those and the group's own levels, returns the parameters,
    `[B, H, W, distribution.num_params]`.

    Args:
        distribution, group, num_blocks, features, and further keyword arguments: as for `Upscaler`.
        head_features: width of each channel's hidden layer, or of the only one if the distribution
            does not order the channels.
    """

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
        self.trunk, policy = self.make_trunk(), self.dtype_policy
        if distribution.channel_autoregressive:
            self.head = ChannelHead(
                distribution,
                features,
                head_features,
                self.prediction_path,
                self.pixel_inputs,
                dtype=policy,
                name="head",
            )
        else:
            self.hidden = keras.layers.Dense(
                head_features, activation="relu", dtype=policy, name="hidden"
            )
            self.head = keras.layers.Dense(
                distribution.num_params,
                kernel_initializer=output_kernel(
                    self.prediction_path, distribution.prediction_rows()
                ),
                bias_initializer=Constant(distribution.initial_params()),
                dtype=policy.variable_dtype,
                name="head",
            )

    def build(self, encoded_shape: Any = None, levels_shape: Shape = None) -> None:
        self.trunk.build()
        if self.distribution.channel_autoregressive:
            self.head.build()
        else:
            self.hidden.build((None, self.features))
            predicted = 0 if self.trunk.prediction is None else self.distribution.channels
            self.head.build((None, predicted + self.hidden.units))

    def call(self, encoded: Sequence[Tensor | None], levels: Tensor) -> Tensor:
        """The parameters of the group's pixels.

        Args:
            encoded: from the trunk.
            levels: `[B, H, W, C]`, the group itself. Parameters of channel c see channels before c.
        """
        maps, prediction = encoded
        if self.distribution.channel_autoregressive:
            return self.head(maps, prediction, self.pixel_features(levels))
        return self.head(with_prediction(prediction, self.hidden(maps)))

    def channel_params(self, encoded: Sequence[Tensor | None]) -> Callable:
        """For decoding: a function `(channel, levels [..., C]) → parameters`. The trunk's share is
        computed once, before the function is called."""
        if not self.distribution.channel_autoregressive:
            params = self(encoded, None)
            return lambda channel, levels: params
        maps, prediction = encoded
        reading = self.head.reading(maps)
        return lambda channel, levels: self.head.channel(
            reading, prediction, self.pixel_features(levels), channel
        )

    def pixel_features(self, levels: Tensor) -> Tensor:
        """`[..., C]` levels → `[..., pixel features]`."""
        count = self.distribution.num_levels
        return pixel_features(levels, count, self.compute_dtype, self.pixel_inputs)

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.head.bias


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class UpscalerB(Upscaler):
    """Type B: the group's pixels are autoregressive within M×M patches.

    Args:
        distribution, group, num_blocks, features, head_features, and further keyword arguments: as
            for `Upscaler`.
        patch_size: `(h, w)` of a patch; it divides the size of the group's map.
        decoder_layers, decoder_features, gated_kernel: of the shallow Gated PixelCNN.
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
        gated_kernel: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(distribution, group, num_blocks, features, head_features, **kwargs)
        self.arguments |= {
            "patch_size": tuple(patch_size),
            "decoder_layers": decoder_layers,
            "decoder_features": decoder_features,
            "gated_kernel": gated_kernel,
        }
        self.patch_size = patch_size
        self.trunk = self.make_trunk()
        self.decoder = GatedPixelCNN(
            distribution,
            decoder_layers,
            decoder_features,
            head_features,
            first_kernel=2 * max(patch_size) - 1 if max(patch_size) > 1 else 3,
            conditioning_features=features,
            predicted=True,
            prediction_path=self.prediction_path,
            pixel_inputs=self.pixel_inputs,
            gated_kernel=gated_kernel,
            dtype=self.dtype_policy,
            name="decoder",
        )

    def build(self, encoded_shape: Any = None, levels_shape: Shape = None) -> None:
        self.trunk.build()
        self.decoder.build()

    def call(self, encoded: Sequence[Tensor | None], levels: Tensor) -> Tensor:
        """As for type A, but a pixel's parameters also see the earlier pixels of its patch."""
        params = self.decoder(to_patches(levels, self.patch_size), *self.patches(encoded))
        return from_patches(params, levels.shape[1:3])

    def patches(self, encoded: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The trunk's features and prediction (or None), patches folded into the batch."""
        return [None if maps is None else to_patches(maps, self.patch_size) for maps in encoded]

    def decode(
        self, encoded: Sequence[Tensor | None], uniforms: Tensor, sampler: Any
    ) -> tuple[Tensor, Tensor | None]:
        """As `Upscaler.decode`. Patches are folded into the batch, so that the few steps through
        one patch serve the whole image."""
        drawn, size = to_patches(uniforms, self.patch_size), uniforms.shape[1:3]
        levels, log_probs = sampler.raster(self.decoder, drawn, *self.patches(encoded))
        levels = from_patches(levels, size)
        return levels, None if log_probs is None else from_patches(log_probs, size)

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.decoder.output_bias
