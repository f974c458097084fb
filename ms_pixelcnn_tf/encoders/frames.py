"""The frame encoder of the video models: each past frame by itself → features."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers import ResidualMultiplicativeBlock
from ms_pixelcnn_tf.pixels import feature_channels, pixel_features
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class FrameEncoder(keras.layers.Layer):
    """Residual multiplicative blocks over a frame.

    The dilation doubles from block to block up to `max_dilation`, then starts again at 1. We read
    the paper as 1, 2, 4, 8, 1, 2, 4, 8, with the same dilation in both units of a block.

    Args:
        num_levels: levels of the pixels.
        channels: image channels C.
        features: width c of the units in a block; the blocks' inputs and outputs have 2c.
        num_blocks: residual multiplicative blocks; the paper has 8.
        stride: 1 keeps the frame's size, as in the paper. Above 1, stride×stride blocks of pixels
            are first stacked in depth (no pixel is lost), and the blocks cost stride² times less.
        pixel_inputs: inputs per pixel, "features" or "values"; see `pixels.pixel_features`.
        max_dilation: a power of two, in positions; the paper's is 8.

    Call arguments:
        frames: `[N, H, W, C]` integer levels (or floats holding them); time is folded into the
            batch.

    Returns:
        `[N, H/stride, W/stride, 2c]`.

    Reference: Kalchbrenner et al. (2016b), "Resolution Preserving CNN Encoders".
    """

    def __init__(
        self,
        num_levels: int,
        channels: int,
        features: int,
        num_blocks: int = 8,
        stride: int = 1,
        pixel_inputs: str = "features",
        max_dilation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_levels = num_levels
        self.channels = channels
        self.features = features
        self.stride = stride
        self.pixel_inputs = pixel_inputs
        self.max_dilation = max_dilation
        policy = self.dtype_policy
        self.entry = keras.layers.Conv2D(
            2 * features, 3, padding="same", dtype=policy, name="entry"
        )
        self.blocks = [
            ResidualMultiplicativeBlock(
                features,
                dilation=2 ** (index % max_dilation.bit_length()),
                dtype=policy,
                name=f"block{index}",
            )
            for index in range(num_blocks)
        ]

    def build(self, frames_shape: Shape = None) -> None:
        inputs = len(feature_channels(self.channels, self.pixel_inputs)) * self.stride**2
        self.entry.build((None, None, None, inputs))
        for block in self.blocks:
            block.build()

    def call(self, frames: Tensor) -> Tensor:
        pixels = pixel_features(frames, self.num_levels, self.compute_dtype, self.pixel_inputs)
        maps = self.entry(stack_blocks(pixels, self.stride))
        for block in self.blocks:
            maps = block(maps)
        return maps

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_levels": self.num_levels,
            "channels": self.channels,
            "features": self.features,
            "num_blocks": len(self.blocks),
            "stride": self.stride,
            "pixel_inputs": self.pixel_inputs,
            "max_dilation": self.max_dilation,
        }


def stack_blocks(maps: Tensor, size: int) -> Tensor:
    """`[N, H, W, F]` → `[N, H/size, W/size, size²·F]`: each block's pixels in depth, row by row."""
    if size == 1:
        return maps
    _, height, width, features = maps.shape
    maps = ops.reshape(maps, (-1, height // size, size, width // size, size, features))
    maps = ops.transpose(maps, (0, 1, 3, 2, 4, 5))
    return ops.reshape(maps, (-1, height // size, width // size, size * size * features))
