"""1x1 and 3x3 convolutions whose kernels are masked between channel groups."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masks import channel_mask
from ms_pixelcnn_tf.types import Groups, Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MaskedDense(keras.layers.Layer):
    """A dense layer over the last axis whose outputs see only the groups that the mask allows.

    The mask multiplies the kernel in every call, so causality holds before, during and after
    training. A 1x1 convolution needs no spatial mask.

    Args:
        input_groups, output_groups: the group of each input and output feature (`layers.masks`).
        mask_type: "A" or "B".
        kernel_initializer, bias_initializer: in any form that Keras accepts.

    Call arguments:
        inputs: `[..., len(input_groups)]`.

    Returns:
        `[..., len(output_groups)]`.
    """

    kernel_size: tuple[int, ...] = ()

    def __init__(
        self,
        input_groups: Groups,
        output_groups: Groups,
        mask_type: str = "B",
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_groups = [int(g) for g in input_groups]
        self.output_groups = [int(g) for g in output_groups]
        self.mask_type = mask_type
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.mask = channel_mask(input_groups, output_groups, mask_type)

    def build(self, input_shape: Shape = None) -> None:
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, *self.mask.shape),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=self.mask.shape[1:], initializer=self.bias_initializer, name="bias"
        )

    def masked_kernel(self) -> Tensor:
        """The masked kernel, `[inputs, outputs]`; for 3x3 `[3, 3, inputs, outputs]`."""
        return ops.cast(self.kernel, self.compute_dtype) * ops.cast(self.mask, self.compute_dtype)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.matmul(inputs, self.masked_kernel()) + ops.cast(self.bias, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "input_groups": self.input_groups,
            "output_groups": self.output_groups,
            "mask_type": self.mask_type,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ChannelMaskedConvolution(MaskedDense):
    """A 3x3 convolution with the mask of `MaskedDense` at all nine taps.

    It has no spatial mask: an output sees the groups that its mask allows, at its own pixel and at
    the eight around it. Arguments as for `MaskedDense`.

    Call arguments:
        inputs: `[B, H, W, len(input_groups)]`.

    Returns:
        `[B, H, W, len(output_groups)]`; inputs beyond the border count as zeros.
    """

    kernel_size = (3, 3)

    def call(self, inputs: Tensor) -> Tensor:
        maps = ops.conv(inputs, self.masked_kernel(), padding="same")
        return maps + ops.cast(self.bias, self.compute_dtype)
