"""Helpers of the distributions: casts, counts, and the initial coupling of colours."""

from keras import ops

from ms_pixelcnn_tf.types import Tensor


def at_least_float32(params: Tensor) -> Tensor:
    """Casts to float32, but leaves float64: the dtype in which a CDF is evaluated."""
    return params if params.dtype == "float64" else ops.cast(params, "float32")


def count_holding(passed: Tensor) -> Tensor:
    """Number of true entries along the last axis, `[..., 1]`; int32, though a sum may be int64."""
    return ops.cast(ops.sum(ops.cast(passed, "int32"), axis=-1, keepdims=True), "int32")


def following(channels: int) -> float:
    """Initial coefficient of an earlier channel, before its tanh: for colours tanh(1) = 0.76."""
    return 1.0 if channels == 3 else 0.0
