"""Masked layers cut by channel group, for samplers that decode one channel at a time."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers import MaskedDense
from ms_pixelcnn_tf.types import Groups, Tensor


def group_ends(groups: Groups, num_groups: int) -> list[int]:
    """The end of each channel group in `groups`, the contiguous groups of all features."""
    return [int(np.searchsorted(groups, group, side="right")) for group in range(num_groups)]


def group_slices(groups: Groups, num_groups: int) -> list[tuple[int, int]]:
    """`[(start, end)]` of each channel group in `groups`, the contiguous groups of all features."""
    ends = group_ends(groups, num_groups)
    return list(zip([0, *ends[:-1]], ends, strict=True))


def cut_dense(dense: MaskedDense, num_groups: int) -> list[tuple[Tensor, Tensor]]:
    """Kernel, `[inputs seen, own outputs]`, and bias of a `MaskedDense`, per channel group."""
    kernel, bias = dense.masked_kernel(), ops.cast(dense.bias, dense.compute_dtype)
    visible = group_ends(dense.input_groups, num_groups)
    return [
        (kernel[:end, first:last], bias[first:last])
        for end, (first, last) in zip(
            visible, group_slices(dense.output_groups, num_groups), strict=True
        )
    ]


def rows_first(prediction: Tensor | None, dtype: str) -> list[Tensor]:
    """The given prediction, `[B, H, W, C]` → `[H, W, B, C]`, in a list; empty without one."""
    if prediction is None:
        return []
    return [ops.transpose(ops.cast(prediction, dtype), (1, 2, 0, 3))]


def join(groups: Sequence[Tensor]) -> Tensor:
    """Concatenates the features of channel groups, in order."""
    return groups[0] if len(groups) == 1 else ops.concatenate(groups, axis=-1)
