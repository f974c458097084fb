"""The encoder of keypoints or a segmentation: maps → maps of features."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers import ResidualBlock
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class SpatialEncoder(keras.layers.Layer):
    """A residual network that keeps the size of the maps.

    Args:
        inputs: number P of input maps.
        features: width F.
        num_blocks: residual blocks; we read the paper's "12-layer ResNet" as 12 residual blocks, as
            in the upscalers.
        residual_block: kind of the blocks (`layers.ResidualBlock`).

    Call arguments:
        maps: `[B, M, M, P]`, 0 to 1.

    Returns:
        `[B, M, M, F]`.

    Reference: Reed et al. (2017), section 3.2.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        num_blocks: int = 12,
        residual_block: str = "3x3_1x1",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs = inputs
        self.features = features
        self.residual_block = residual_block
        policy = self.dtype_policy
        self.entry = keras.layers.Conv2D(features, 3, padding="same", dtype=policy, name="entry")
        self.blocks = [
            ResidualBlock(features, residual_block, dtype=policy, name=f"block{index}")
            for index in range(num_blocks)
        ]

    def build(self, maps_shape: Shape = None) -> None:
        self.entry.build((None, None, None, self.inputs))
        for block in self.blocks:
            block.build()

    def call(self, maps: Tensor) -> Tensor:
        maps = self.entry(ops.cast(maps, self.compute_dtype))
        for block in self.blocks:
            maps = block(maps)
        return ops.relu(maps)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "inputs": self.inputs,
            "features": self.features,
            "num_blocks": len(self.blocks),
            "residual_block": self.residual_block,
        }
