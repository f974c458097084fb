"""A layer of the Gated PixelCNN, with a vertical and a horizontal stack."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masked_dense import MaskedDense
from ms_pixelcnn_tf.layers.masks import channel_mask, feature_groups
from ms_pixelcnn_tf.types import Groups, Shape, Tensor


def gate(maps: Tensor) -> Tensor:
    """tanh(first half) ⊙ σ(second half) of the features."""
    signal, opening = ops.split(maps, 2, axis=-1)
    return ops.tanh(signal) * ops.sigmoid(opening)


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class GatedLayer(keras.layers.Layer):
    """Gated vertical stack (all rows above) and horizontal stack (the row so far), linked by a 1x1.

    The inputs that a position (·) sees with kernel size 3, in the first layer and in later layers:

        first, vertical   first, horizontal      later, vertical   later, horizontal
           x x x               . . .                 x x x               . . .
           . · .               x A .                 x · x               x B .
           . . .               . . .                 . . .               . . .

    The vertical kernel has no mask; padding and cropping hide the rows below. The first layer is
    shifted by one row, so it sees only rows strictly above. Later layers may see the position's own
    row, because its features already come from rows above. A and B mask the channels at the current
    pixel (`layers.masks`). The vertical → horizontal link is taken before the gate. The horizontal
    stack is residual, except in the first layer, where the residual would leak the pixel.

    Args:
        input_groups: channel group of each horizontal input feature.
        features: width F of both stacks.
        num_groups: channel groups of the horizontal stack (1: channels unordered, as for DMOL).
        kernel_size: odd.
        first: whether this is the first layer (mask A, shifted, not residual).

    Call arguments:
        vertical, horizontal: `[B, H, W, ·]`, the two stacks (both the input image if `first`).
        conditioning: `[B, 1 or H, 1 or W, 4F]`, added before the gates of the two stacks, or None.

    Returns:
        The two stacks, `[B, H, W, F]` each.

    Reference: van den Oord et al. (2016b), section 2.2 and Figure 2.
    """

    def __init__(
        self,
        input_groups: Groups,
        features: int,
        num_groups: int,
        kernel_size: int = 3,
        first: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_groups = [int(g) for g in input_groups]
        self.features = features
        self.num_groups = num_groups
        self.kernel_size = kernel_size
        self.first = first
        self.groups = feature_groups(features, num_groups)
        self.rows = kernel_size // 2 + (0 if first else 1)  # rows the vertical kernel spans
        self.reach = kernel_size // 2  # pixels to the left that the horizontal kernel spans
        self.current_mask = channel_mask(
            self.input_groups, [*self.groups, *self.groups], "A" if first else "B"
        )
        self.mixing = MaskedDense(self.groups, self.groups, dtype=self.dtype_policy, name="mixing")

    def build(
        self,
        vertical_shape: Shape = None,
        horizontal_shape: Shape = None,
        conditioning_shape: Shape = None,
    ) -> None:
        inputs, gates = len(self.input_groups), 2 * self.features
        add = self.add_weight
        self.vertical_kernel = add(
            shape=(self.rows, self.kernel_size, inputs, gates),
            initializer="glorot_uniform",
            name="vertical_kernel",
        )
        self.vertical_bias = add(shape=(gates,), initializer="zeros", name="vertical_bias")
        self.link_kernel = add(shape=(gates, gates), initializer="glorot_uniform", name="link")
        self.left_kernel = add(
            shape=(self.reach, inputs, gates), initializer="glorot_uniform", name="left_kernel"
        )
        self.current_kernel = add(
            shape=(inputs, gates), initializer="glorot_uniform", name="current_kernel"
        )
        self.horizontal_bias = add(shape=(gates,), initializer="zeros", name="horizontal_bias")
        self.mixing.build()

    def call(
        self, vertical: Tensor, horizontal: Tensor, conditioning: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        height = horizontal.shape[1]
        side, above = self.reach, self.kernel_size // 2
        padded = ops.pad(vertical, ((0, 0), (above, 0), (side, side), (0, 0)))
        if self.first:
            padded = padded[:, : height + above - 1]
        vertical_gates = self.vertical_gates(padded)
        vertical_conditioning, horizontal_conditioning = self.split_conditioning(conditioning)

        left = ops.pad(horizontal, ((0, 0), (0, 0), (side, 0), (0, 0)))
        kernel = ops.concatenate(
            [self._cast(self.left_kernel), self.masked_current_kernel()[None]], axis=0
        )
        horizontal_gates = ops.conv(left, kernel[None])
        horizontal_gates = horizontal_gates + self.link(vertical_gates) + horizontal_conditioning
        result = self.mixing(gate(horizontal_gates))
        if not self.first:
            result = result + horizontal
        return gate(vertical_gates + vertical_conditioning), result

    def vertical_gates(self, padded: Tensor) -> Tensor:
        """Convolves padded rows vertically: `[B, H+rows-1, W+2·reach, ·]` → `[B, H, W, 2F]`."""
        return ops.conv(padded, self._cast(self.vertical_kernel)) + self._cast(self.vertical_bias)

    def link(self, vertical_gates: Tensor) -> Tensor:
        """1x1 from the vertical gates (before their non-linearity), plus the horizontal bias."""
        linked = ops.matmul(vertical_gates, self._cast(self.link_kernel))
        return linked + self._cast(self.horizontal_bias)

    def masked_current_kernel(self) -> Tensor:
        """`[inputs, 2F]`: the horizontal kernel at the current pixel, masked."""
        return self._cast(self.current_kernel) * self._cast(self.current_mask)

    def split_conditioning(self, conditioning: Tensor | None) -> Sequence[Tensor]:
        """Splits the conditioning between the vertical and the horizontal gates; zeros for None."""
        if conditioning is None:
            return 0.0, 0.0
        return ops.split(conditioning, 2, axis=-1)

    def _cast(self, weight):
        return ops.cast(weight, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "input_groups": self.input_groups,
            "features": self.features,
            "num_groups": self.num_groups,
            "kernel_size": self.kernel_size,
            "first": self.first,
        }
