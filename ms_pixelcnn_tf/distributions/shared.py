"""What the laws share: casts, counts over the last axis, and how colours start."""

from keras import ops

from ms_pixelcnn_tf.types import Tensor


def at_least_float32(params: Tensor) -> Tensor:
    """The dtype that a CDF is evaluated in."""
    return params if params.dtype == "float64" else ops.cast(params, "float32")


def count_holding(passed: Tensor) -> Tensor:
    """How many of the last axis hold, `[..., 1]` int32; other backends sum to int64."""
    return ops.cast(ops.sum(ops.cast(passed, "int32"), axis=-1, keepdims=True), "int32")


def following(channels: int) -> float:
    """Where channels are colours, they start out following one another: tanh(1) = 0.76."""
    return 1.0 if channels == 3 else 0.0
