"""A 1x1 convolution whose kernel is masked between channel groups."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masks import channel_mask
from ms_pixelcnn_tf.types import Groups, Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MaskedDense(keras.layers.Layer):
    """Dense over the last axis; outputs see only the groups their mask allows.

    The mask multiplies the kernel in every call, so causality holds before, during and after
    training. A 1x1 convolution carries no spatial mask.

    Args:
        input_groups, output_groups: the group of each input and output feature (`layers.masks`).
        mask_type: "A" or "B".
        kernel_initializer, bias_initializer: as Keras takes them.

    Call arguments:
        inputs: `[..., len(input_groups)]`.

    Returns:
        `[..., len(output_groups)]`.
    """

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
        shape = self.mask.shape
        self.kernel = self.add_weight(
            shape=shape, initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=shape[1:], initializer=self.bias_initializer, name="bias")

    def masked_kernel(self) -> Tensor:
        """`[inputs, outputs]`, the kernel as the call uses it."""
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
