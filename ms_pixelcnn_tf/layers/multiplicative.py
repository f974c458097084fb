"""Multiplicative units and residual multiplicative blocks, the parts of a Video Pixel Network."""

from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.masked_convolution import MaskedConvolution
from ms_pixelcnn_tf.layers.masked_dense import MaskedDense
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.types import Shape, Tensor


def multiplicative(inputs: Tensor, maps: Tensor) -> Tensor:
    """g₁ ⊙ tanh(g₂ ⊙ inputs + g₃ ⊙ u), from `[..., c]` inputs and `[..., 4c]` maps that hold the
    three gates (before their sigmoid) and the update u (before its tanh)."""
    gates, update = ops.split(maps, [3 * inputs.shape[-1]], axis=-1)
    output, keep, write = ops.split(ops.sigmoid(gates), 3, axis=-1)
    return output * ops.tanh(keep * inputs + write * ops.tanh(update))


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MultiplicativeUnit(keras.layers.Layer):
    """A convolutional LSTM cell without its memory: the inputs take the place of the cell state.

    One 3x3 convolution of the inputs computes the gates and the update.

    Args:
        features: width c.
        num_groups: number of channel groups, for a unit that is causal in raster order (1: channels
            unordered); None for a plain 3x3, which sees every neighbour.
        dilation: of the plain 3x3, in pixels from tap to tap.

    Call arguments:
        inputs: `[B, H, W, c]`.

    Returns:
        `[B, H, W, c]`.

    Reference: Kalchbrenner et al. (2016b), Video Pixel Networks, "Multiplicative Units".
    """

    def __init__(
        self, features: int, num_groups: int | None = None, dilation: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.num_groups = num_groups
        self.dilation = dilation
        arguments = {"dtype": self.dtype_policy, "name": "convolution"}
        if num_groups is None:
            self.convolution = keras.layers.Conv2D(
                4 * features, 3, padding="same", dilation_rate=dilation, **arguments
            )
        else:
            groups = feature_groups(features, num_groups)
            self.convolution = MaskedConvolution(groups, np.tile(groups, 4), **arguments)

    def build(self, input_shape: Shape = None) -> None:
        self.convolution.build((None, None, None, self.features))

    def call(self, inputs: Tensor) -> Tensor:
        return multiplicative(inputs, self.convolution(inputs))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "num_groups": self.num_groups,
            "dilation": self.dilation,
        }


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ResidualMultiplicativeBlock(keras.layers.Layer):
    """x + widen(MU(MU(narrow(x) + conditioning))): 1x1 from 2c to c, two units, 1x1 back to 2c.

    The last 1x1 starts at zero, so a deep stack starts as the identity (the paper does not state
    its initialisation).

    Args:
        features: width c of the units; inputs and outputs have 2c.
        num_groups: as for the units; None for a block that sees every neighbour.
        dilation: of both units.

    Call arguments:
        inputs: `[B, H, W, 2c]`.
        conditioning: `[B, 1 or H, 1 or W, c]`, or None.

    Returns:
        `[B, H, W, 2c]`.

    Reference: Kalchbrenner et al. (2016b), "Residual Multiplicative Blocks".
    """

    def __init__(
        self, features: int, num_groups: int | None = None, dilation: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.num_groups = num_groups
        self.dilation = dilation
        policy = self.dtype_policy
        self.narrow = self._pointwise(2 * features, features, name="narrow")
        self.units = [
            MultiplicativeUnit(features, num_groups, dilation, dtype=policy, name=f"unit{index}")
            for index in range(2)
        ]
        self.widen = self._pointwise(
            features, 2 * features, kernel_initializer="zeros", name="widen"
        )

    def build(self, inputs_shape: Shape = None, conditioning_shape: Shape = None) -> None:
        self.narrow.build((None, None, None, 2 * self.features))
        for unit in self.units:
            unit.build()
        self.widen.build((None, None, None, self.features))

    def call(self, inputs: Tensor, conditioning: Tensor | None = None) -> Tensor:
        maps = self.narrow(inputs)
        if conditioning is not None:
            maps = maps + conditioning
        for unit in self.units:
            maps = unit(maps)
        return inputs + self.widen(maps)

    def _pointwise(self, inputs, outputs, **arguments):
        """A 1x1 convolution, masked between channel groups if `num_groups` is set."""
        arguments["dtype"] = self.dtype_policy
        if self.num_groups is None:
            return keras.layers.Dense(outputs, **arguments)
        groups = [feature_groups(width, self.num_groups) for width in (inputs, outputs)]
        return MaskedDense(*groups, **arguments)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "num_groups": self.num_groups,
            "dilation": self.dilation,
        }
