"""The residual block of the upscalers' trunks and of the spatial encoder."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masked_dense import ChannelMaskedConvolution, MaskedDense
from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ResidualBlock(keras.layers.Layer):
    """Two convolutions with ReLUs, added to the input, without normalisation.

    The paper names a ResNet and leaves the block open. We offer two kinds:

    * `3x3_3x3`, our reading of the paper: x + 3x3(relu(3x3(relu(x)) + conditioning)), the block of
      He et al. (2016), Figure 4e, without its batch norm. Both convolutions have the usual He
      initialisation, so at the start each block about doubles the variance of its input;
    * `3x3_1x1`, ours: x + 1x1(relu(3x3(x) + conditioning)). The last convolution starts at zero, so
      a deep trunk starts as the identity and needs no batch norm to train.

    Args:
        features: width F.
        kind: "3x3_3x3" or "3x3_1x1".
        num_groups: number of channel groups; each group sees itself and those before it (mask B).
            0 masks nothing.

    Call arguments:
        inputs: `[B, H, W, F]`.
        conditioning: `[B, 1 or H, 1 or W, F]`, or None.

    Returns:
        `[B, H, W, F]`.

    Reference: He et al. (2016), Identity Mappings in Deep Residual Networks; Reed et al. (2017),
    section 3.1.
    """

    def __init__(
        self, features: int, kind: str = "3x3_1x1", num_groups: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.kind = kind
        self.num_groups = num_groups
        self.spatial = self._convolution(3, "he_normal", "spatial")
        if kind == "3x3_3x3":
            self.second = self._convolution(3, "he_normal", "second")
        else:
            self.pointwise = self._convolution(1, "zeros", "pointwise")

    def _convolution(self, side, start, name):
        given = {"kernel_initializer": start, "dtype": self.dtype_policy, "name": name}
        if self.num_groups:
            groups = feature_groups(self.features, self.num_groups)
            masked = MaskedDense if side == 1 else ChannelMaskedConvolution
            return masked(groups, groups, **given)
        if side == 1:
            return keras.layers.Dense(self.features, **given)
        return keras.layers.Conv2D(self.features, side, padding="same", **given)

    def build(self, inputs_shape: Shape = None, conditioning_shape: Shape = None) -> None:
        for layer in (self.spatial, self._last()):
            layer.build((None, None, None, self.features))

    def call(self, inputs: Tensor, conditioning: Tensor | None = None) -> Tensor:
        maps = self.spatial(ops.relu(inputs) if self.kind == "3x3_3x3" else inputs)
        if conditioning is not None:
            maps = maps + conditioning
        return inputs + self._last()(ops.relu(maps))

    def _last(self):
        return self.second if self.kind == "3x3_3x3" else self.pointwise

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "kind": self.kind,
            "num_groups": self.num_groups,
        }
