"""The decoder of the Video Pixel Network: a frame in raster order, given the past."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import (
    DistributionLayer,
    MaskedConvolution,
    MaskedDense,
    ResidualMultiplicativeBlock,
    with_prediction,
)
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.networks.ordered import channel_groups, make_logits
from ms_pixelcnn_tf.pixels import pixel_features
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MultiplicativePixelCNN(DistributionLayer, keras.layers.Layer):
    """Parameters of every sub-pixel from the sub-pixels before it, in raster order, R → G → B.

    The network is a masked convolution (mask A) of the frame's own pixels, masked residual
    multiplicative blocks (mask B), and a masked 1x1 head. Within the frame, a pixel sees as much as
    a single stack does: with n = 1 + 2·`num_blocks` convolutions, n rows and columns back, and in
    the k-th row above at most k columns to the right. The conditioning makes up for that blind spot
    with features of the past.

    Args:
        distribution: the distribution of a pixel, from `distributions`; if it is
            `channel_autoregressive`, the features form one channel group per channel, as in
            `GatedPixelCNN`.
        num_blocks: residual multiplicative blocks, at least 1.
        features: width c of the units in a block; the blocks' inputs and outputs have 2c.
        head_features: width of the masked 1x1 layer before the output.
        conditioning_features: width E of the conditioning; 0 for none.
        prediction_path: as for `GatedPixelCNN`; with "none", calls pass no prediction.
        pixel_inputs: as for `GatedPixelCNN`.

    Call arguments:
        levels: `[B, H, W, C]` integer levels (or floats holding them) of the frame itself.
        conditioning: `[B, 1 or H, 1 or W, E]`, features of the past, or None. A 1x1 convolution of
            it is added at the entry and in each block.
        prediction: `[B, H, W, C]` on [-1, 1], such as the previous frame, or None.

    Returns:
        `[B, H, W, distribution.num_params]`.

    Reference: Kalchbrenner et al. (2016b), "PixelCNN Decoders"; Reed et al. (2017), section 4.3.
    """

    def __init__(
        self,
        distribution: Distribution,
        num_blocks: int,
        features: int,
        head_features: int,
        conditioning_features: int = 0,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.arguments = {
            "num_blocks": num_blocks,
            "features": features,
            "head_features": head_features,
            "conditioning_features": conditioning_features,
            "prediction_path": prediction_path,
            "pixel_inputs": pixel_inputs,
        }
        self.features = features
        self.conditioning_features = conditioning_features
        self.num_groups, inputs = channel_groups(distribution, pixel_inputs)
        policy = self.dtype_policy

        carried = feature_groups(2 * features, self.num_groups)
        head = feature_groups(head_features, self.num_groups)
        self.entry = MaskedConvolution(inputs, carried, "A", dtype=policy, name="entry")
        self.blocks = [
            ResidualMultiplicativeBlock(
                features, self.num_groups, dtype=policy, name=f"block{index}"
            )
            for index in range(num_blocks)
        ]
        self.head = MaskedDense(carried, head, dtype=policy, name="head")
        self.logits = make_logits(distribution, head, self.num_groups, prediction_path, policy)
        self.conditioning_projection = None
        if conditioning_features:
            self.conditioning_projection = keras.layers.Dense(
                (2 + num_blocks) * features, use_bias=False, dtype=policy, name="conditioning"
            )

    def build(
        self,
        levels_shape: Shape = None,
        conditioning_shape: Shape = None,
        prediction_shape: Shape = None,
    ) -> None:
        for layer in (self.entry, *self.blocks, self.head, self.logits):
            layer.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def call(
        self, levels: Tensor, conditioning: Tensor | None = None, prediction: Tensor | None = None
    ) -> Tensor:
        maps = self.entry(self.pixel_features(levels))
        at_entry, in_blocks = self.project(conditioning)
        if at_entry is not None:
            maps = maps + at_entry
        for block, projection in zip(self.blocks, in_blocks, strict=True):
            maps = block(maps, projection)
        head = ops.relu(self.head(ops.relu(maps)))
        return self.logits(with_prediction(prediction, head))

    def pixel_features(self, levels: Tensor) -> Tensor:
        """`[..., C]` levels → `[..., pixel features]`."""
        inputs = self.arguments["pixel_inputs"]
        return pixel_features(levels, self.distribution.num_levels, self.compute_dtype, inputs)

    def project(self, conditioning: Tensor | None) -> tuple[Tensor | None, list[Tensor | None]]:
        """The conditioning's share of the entry's outputs, `[B, ·, ·, 2c]`, and of each block's
        inner features, a list of `[B, ·, ·, c]`; Nones without conditioning."""
        if self.conditioning_projection is None:
            return None, [None] * len(self.blocks)
        parts = ops.split(self.conditioning_projection(conditioning), 2 + len(self.blocks), axis=-1)
        return ops.concatenate(parts[:2], axis=-1), parts[2:]

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.logits.bias
