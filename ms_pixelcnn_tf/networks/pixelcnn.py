"""Gated PixelCNN: the full-size baseline, the base of a pyramid, and type B's shallow decoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers import (
    Constant,
    DistributionLayer,
    GatedLayer,
    MaskedDense,
    with_prediction,
)
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.networks.ordered import channel_groups, make_logits
from ms_pixelcnn_tf.pixels import pixel_features
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class GatedPixelCNN(DistributionLayer, keras.layers.Layer):
    """Parameters of every sub-pixel from the sub-pixels before it, in raster order, R → G → B.

    Args:
        distribution: the distribution of a pixel, from `distributions`. If it is
            `channel_autoregressive`, the features form one channel group per channel, so logits of
            G see R at the same pixel, and those of B see R and G. Otherwise one evaluation
            parametrises the whole pixel.
        num_layers: gated layers, the first of kernel `first_kernel`, the rest of `gated_kernel`.
        features: width F of both stacks.
        head_features: width of the masked 1x1 layer before the output.
        first_kernel: odd.
        conditioning_features: width E of the conditioning; 0 for none.
        predicted: whether calls pass a prediction of the pixels. If not, the network makes its own,
            linear in the pixels to the left and above.
        prediction_path: "linear": the prediction goes straight to the output layer, and the
            distribution starts centred on it, so that much about a pixel is known from the first
            training step (a departure from the paper). "none": no prediction.
        pixel_inputs: inputs per pixel, "features" or "values"; see `pixels.pixel_features`.
        gated_kernel: odd.

    Call arguments:
        levels: `[B, H, W, C]` integer levels (or floats holding them).
        conditioning: `[B, 1 or H, 1 or W, E]`, a vector or a map, or None.
        prediction: `[B, H, W, C]` on [-1, 1], if `predicted` and the path is linear.

    Returns:
        `[B, H, W, distribution.num_params]`.

    Reference: van den Oord et al. (2016b), section 2; conditioning by a vector or a map, section
    2.3.
    """

    def __init__(
        self,
        distribution: Distribution,
        num_layers: int,
        features: int,
        head_features: int,
        first_kernel: int = 7,
        conditioning_features: int = 0,
        predicted: bool = False,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        gated_kernel: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.arguments = {
            "num_layers": num_layers,
            "features": features,
            "head_features": head_features,
            "first_kernel": first_kernel,
            "conditioning_features": conditioning_features,
            "predicted": predicted,
            "prediction_path": prediction_path,
            "pixel_inputs": pixel_inputs,
            "gated_kernel": gated_kernel,
        }
        self.features = features
        self.conditioning_features = conditioning_features
        channels = distribution.channels
        self.num_groups, inputs = channel_groups(distribution, pixel_inputs)
        policy = self.dtype_policy

        hidden = feature_groups(features, self.num_groups)
        head = feature_groups(head_features, self.num_groups)
        self.layers = []
        for index in range(num_layers):
            first = index == 0
            self.layers.append(
                GatedLayer(
                    inputs if first else hidden,
                    features,
                    self.num_groups,
                    first_kernel if first else gated_kernel,
                    first,
                    dtype=policy,
                    name=f"gated{index}",
                )
            )
        self.head = MaskedDense(hidden, head, dtype=policy, name="head")
        self.neighbours: Any = None
        if prediction_path == "linear" and not predicted:
            self.neighbours = keras.layers.Dense(
                channels,
                use_bias=False,
                dtype=policy.variable_dtype,
                name="neighbours",
                kernel_initializer=Constant(np.tile(0.5 * np.eye(channels), (2, 1))),
            )
        self.logits = make_logits(distribution, head, self.num_groups, prediction_path, policy)
        self.conditioning_projection = None
        if conditioning_features:
            self.conditioning_projection = keras.layers.Dense(
                4 * features * num_layers, use_bias=False, dtype=policy, name="conditioning"
            )

    def build(
        self,
        levels_shape: Shape = None,
        conditioning_shape: Shape = None,
        prediction_shape: Shape = None,
    ) -> None:
        for layer in self.layers:
            layer.build()
        if self.neighbours is not None:
            self.neighbours.build((None, 2 * self.distribution.channels))
        self.head.build()
        self.logits.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def call(
        self, levels: Tensor, conditioning: Tensor | None = None, prediction: Tensor | None = None
    ) -> Tensor:
        pixels = vertical = horizontal = self.pixel_features(levels)
        if self.neighbours is not None:
            prediction = self.predict(pixels)
        for layer, projection in zip(self.layers, self.project(conditioning), strict=True):
            vertical, horizontal = layer(vertical, horizontal, projection)
        head = ops.relu(self.head(ops.relu(horizontal)))
        return self.logits(with_prediction(prediction, head))

    def predict(self, pixels: Tensor) -> Tensor:
        """`[B, H, W, C]` linear prediction from the raw values to the left and above."""
        values = pixels[..., : self.distribution.channels]
        left = ops.pad(values, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
        above = ops.pad(values, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
        return self.neighbours(ops.concatenate([left, above], axis=-1))

    def pixel_features(self, levels: Tensor) -> Tensor:
        """`[..., C]` levels → `[..., pixel features]`, in float32 at least, as the prediction."""
        inputs = self.arguments["pixel_inputs"]
        return pixel_features(levels, self.distribution.num_levels, self.variable_dtype, inputs)

    def project(self, conditioning: Tensor | None) -> Sequence[Tensor | None]:
        """The conditioning's share of each layer's gates: a list of `[B, ·, ·, 4F]` or Nones."""
        if self.conditioning_projection is None:
            return [None] * len(self.layers)
        return ops.split(self.conditioning_projection(conditioning), len(self.layers), axis=-1)

    @property
    def output_bias(self) -> keras.Variable:
        """The bias of the distribution's parameters."""
        return self.logits.bias
