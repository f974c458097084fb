"""The context of a frame at a network's size: the ConvLSTM's state and the previous frame."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.encoders.frames import stack_blocks
from ms_pixelcnn_tf.encoders.resize import resize
from ms_pixelcnn_tf.layers import Constant
from ms_pixelcnn_tf.types import Shape, Tensor


class Conditioning(keras.layers.Layer):
    """Resizes the ConvLSTM's state to the size of a network's maps; its width stays the same.

    If both sides of the maps are smaller by the same integer factor `step`, a linear layer turns
    each block of positions into one: an average would lose where in the block something is. (The
    layer has step² F² weights: 4 million for the 8x8 maps of the paper's 64x64 frames.) Otherwise
    the state is resized bilinearly.

    Args:
        features: width F of the state.
        own_size, size: `(height, width)` of the state and of the maps.

    Call arguments:
        hidden: `[N, h, w, F]`.

    Returns:
        `[N, height, width, F]`.
    """

    def __init__(
        self, features: int, own_size: Sequence[int], size: Sequence[int], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.features, self.size = features, tuple(size)
        steps = {
            own // side if own % side == 0 else 0 for own, side in zip(own_size, size, strict=True)
        }
        self.step = steps.pop() if len(steps) == 1 else 0
        self.reduce = None
        if self.step > 1:
            self.reduce = keras.layers.Dense(features, dtype=self.dtype_policy, name="reduce")

    def build(self, hidden_shape: Shape = None) -> None:
        if self.reduce is not None:
            self.reduce.build((None, None, None, self.features * self.step**2))

    def call(self, hidden: Tensor) -> Tensor:
        if self.reduce is None:
            return resize(hidden, self.size)
        return self.reduce(stack_blocks(hidden, self.step))


def make_conditioning(config: VideoConfig, size: Sequence[int]) -> Conditioning:
    """The `Conditioning` of a video model for maps of `size`."""
    own = [side // config.frame_stride for side in config.image_size]
    return Conditioning(config.lstm_features, own, size, dtype=config.dtype, name="conditioning")


class PreviousFrame(keras.layers.Layer):
    """The past at a network's size: the hidden state and the previous frame.

    Reading the previous frame is a departure from the paper.

    Args:
        num_levels: levels of the pixels.
        channels: image channels C.
        stride: side of a frame over the side of the hidden state's maps.
        prediction_path: "linear", or "none" for no prediction.
        pixel_inputs: "features" or "values"; see `pixels.pixel_features`.

    Call arguments:
        previous: `[N, H, W, C]` levels.
        hidden: `[N, H/stride, W/stride, F]`, the hidden state.

    Returns:
        `[N, H/stride, W/stride, F + features]`, the state and behind it the pixel features, and a
        prediction `[N, H, W, C]` on [-1, 1], or None. The prediction is linear in the pixels of a
        3x3 window. It starts as the pixel itself, because a frame mostly repeats the previous one.
    """

    def __init__(
        self,
        num_levels: int,
        channels: int,
        stride: int = 1,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_levels, self.channels, self.stride = num_levels, channels, stride
        self.prediction_path, self.pixel_inputs = prediction_path, pixel_inputs
        self.prediction: Any = None
        if prediction_path == "linear":
            identity = np.zeros((3, 3, channels, channels))
            identity[1, 1] = np.eye(channels)
            self.prediction = keras.layers.Conv2D(
                channels,
                3,
                padding="same",
                kernel_initializer=Constant(identity),
                dtype=self.variable_dtype,
                name="prediction",
            )

    @property
    def features(self) -> int:
        """Number of pixel features per position of the hidden state."""
        return self.stride**2 * len(pixels.feature_channels(self.channels, self.pixel_inputs))

    def build(self, previous_shape: Shape = None, hidden_shape: Shape = None) -> None:
        if self.prediction is not None:
            self.prediction.build((None, None, None, self.channels))

    def call(self, previous: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        features = pixels.pixel_features(
            previous, self.num_levels, self.variable_dtype, self.pixel_inputs
        )
        prediction = None
        if self.prediction is not None:
            prediction = self.prediction(features[..., : self.channels])  # from the raw values
        features = stack_blocks(ops.cast(features, self.compute_dtype), self.stride)
        return ops.concatenate([hidden, features], axis=-1), prediction


class NoPreviousFrame:
    """Replaces `PreviousFrame` where a network sees only the hidden state, as in the paper."""

    features, prediction_path = 0, "none"

    def build(self) -> None:
        """Does nothing: it has no variables."""

    def __call__(self, previous: Tensor, hidden: Tensor) -> tuple[Tensor, None]:
        return hidden, None


def make_previous_frame(config: VideoConfig, stride: int = 1) -> PreviousFrame | NoPreviousFrame:
    """The `PreviousFrame` of a video model for maps of that stride, or a `NoPreviousFrame`."""
    if not config.sees_previous:
        return NoPreviousFrame()
    return PreviousFrame(
        config.num_levels,
        config.channels,
        stride,
        **config.pixel_arguments,
        dtype=config.dtype,
        name="previous",
    )
