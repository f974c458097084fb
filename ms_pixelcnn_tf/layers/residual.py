"""The residual block of the upscalers' trunks."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ResidualBlock(keras.layers.Layer):
    """x + 1x1(relu(3x3(x) + conditioning)), without normalisation.

    The last convolution starts at zero, so a deep trunk starts as the identity and needs no batch
    norm to train.

    Args:
        features: width F.

    Call arguments:
        inputs: `[B, H, W, F]`.
        conditioning: `[B, 1 or H, 1 or W, F]`, or None.

    Returns:
        `[B, H, W, F]`.

    Reference: He et al. (2016); Reed et al. (2017), section 3.1, names a ResNet and leaves the
    block open.
    """

    def __init__(self, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features = features
        policy = self.dtype_policy
        self.spatial = keras.layers.Conv2D(
            features,
            3,
            padding="same",
            kernel_initializer="he_normal",
            dtype=policy,
            name="spatial",
        )
        self.pointwise = keras.layers.Dense(
            features, kernel_initializer="zeros", dtype=policy, name="pointwise"
        )

    def build(self, inputs_shape: Shape = None, conditioning_shape: Shape = None) -> None:
        shape = (None, None, None, self.features)
        self.spatial.build(shape)
        self.pointwise.build(shape)

    def call(self, inputs: Tensor, conditioning: Tensor | None = None) -> Tensor:
        maps = self.spatial(inputs)
        if conditioning is not None:
            maps = maps + conditioning
        return inputs + self.pointwise(ops.relu(maps))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"features": self.features}
