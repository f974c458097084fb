"""A 3x3 convolution that sees only earlier pixels in raster order and a masked current pixel."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masks import channel_mask
from ms_pixelcnn_tf.types import Groups, Shape, Tensor

ABOVE = 3  # taps in the row above; the left and the current tap follow


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MaskedConvolution(keras.layers.Layer):
    """A causal 3x3 convolution, with the five taps that a raster-order mask leaves:

        x x x
        x m .
        . . .

    m masks the channels at the current pixel (`layers.masks`). The mask applies in every call, so
    causality holds before, during and after training. `from_above` computes the share of the row
    above before the current row exists, as a cached sampler needs it.

    A stack of n such layers sees n rows up and n columns to the left, but k rows up it sees at most
    k columns to the right: the blind spot of a single stack (van den Oord et al., 2016b, Figure 1).

    Args:
        input_groups, output_groups: the channel group of each input and output feature.
        mask_type: "A" or "B".
        kernel_initializer: in any form that Keras accepts.

    Call arguments:
        inputs: `[B, H, W, len(input_groups)]`.

    Returns:
        `[B, H, W, len(output_groups)]`.

    Reference: van den Oord et al. (2016a), section 3.4.
    """

    def __init__(
        self,
        input_groups: Groups,
        output_groups: Groups,
        mask_type: str = "B",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_groups = [int(g) for g in input_groups]
        self.output_groups = [int(g) for g in output_groups]
        self.mask_type = mask_type
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.mask = channel_mask(input_groups, output_groups, mask_type)

    def build(self, input_shape: Shape = None) -> None:
        self.kernel = self.add_weight(
            shape=(ABOVE + 2, *self.mask.shape), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=self.mask.shape[1:], initializer="zeros", name="bias")

    def call(self, inputs: Tensor) -> Tensor:
        above = ops.pad(inputs, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
        kernel_above, kernel_of_row = self.kernels()
        return self.from_above(above, kernel_above) + self.from_row(inputs, kernel_of_row)

    def kernels(self) -> tuple[Tensor, Tensor]:
        """The masked kernels of `from_above` and `from_row`."""
        row = ops.stack([self.left_kernel(), self.current_kernel()])
        return self._cast(self.kernel[:ABOVE])[None], row[None]

    def from_above(self, rows: Tensor, kernel: Tensor) -> Tensor:
        """The share of the row above each position, plus the bias. `rows`, `[B, H, W, ·]`, holds
        the row above each output row."""
        padded = ops.pad(rows, ((0, 0), (0, 0), (1, 1), (0, 0)))
        return ops.conv(padded, kernel) + self._cast(self.bias)

    def from_row(self, rows: Tensor, kernel: Tensor) -> Tensor:
        """The share of each position's own row: the pixel to the left and the current one."""
        return ops.conv(ops.pad(rows, ((0, 0), (0, 0), (1, 0), (0, 0))), kernel)

    def left_kernel(self) -> Tensor:
        """`[inputs, outputs]`: the kernel at the pixel to the left."""
        return self._cast(self.kernel[ABOVE])

    def current_kernel(self) -> Tensor:
        """`[inputs, outputs]`: the masked kernel at the current pixel."""
        return self._cast(self.kernel[ABOVE + 1]) * self._cast(self.mask)

    def _cast(self, weight):
        return ops.cast(weight, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "input_groups": self.input_groups,
            "output_groups": self.output_groups,
            "mask_type": self.mask_type,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
