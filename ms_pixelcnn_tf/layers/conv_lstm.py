"""The convolutional LSTM, whose state is a map: the memory of a video model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.initializers import Constant
from ms_pixelcnn_tf.types import Shape, Tensor


def make_norm(kind: str, name: str, dtype: Any, center: bool = True) -> keras.layers.Layer:
    """A normalisation layer: "layer", over the features of one place, or "none", the identity."""
    if kind == "none":
        return keras.layers.Identity(dtype=dtype, name=name)
    return keras.layers.LayerNormalization(epsilon=1e-5, center=center, dtype=dtype, name=name)


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ConvLSTM(keras.layers.Layer):
    """One time step: [i, f, u, o] = N(kernel * inputs) + N(recurrent * hidden) + bias, and

        cell ← σ(f) ⊙ cell + σ(i) ⊙ tanh(u),    hidden ← σ(o) ⊙ tanh(cell).

    Both convolutions keep the maps' size. N is a layer normalisation over the features of one
    place. Without it a few hundred steps of Adam saturate the gates, and the state carries little
    information (a departure from the papers). The inputs' share of the gates does not depend on the
    state, so `input_gates` can compute it for all known frames at once; `step` does the rest. The
    bias of the forget gate starts at 1.

    In mixed precision only the convolutions are bfloat16; gates and cell are float32. With the 8
    significant bits of bfloat16 the cell would lose updates below a 256th of it and stop growing.

    Args:
        features: width F of the state.
        inputs: width I of the inputs.
        kernel_size: odd.
        norms: kind of N, "layer" or "none" (as in the papers).

    Call arguments:
        inputs: `[B, h, w, I]`.
        state: `(hidden, cell)`, each `[B, h, w, F]`: hidden in the compute dtype, cell in the
            variables' dtype.

    Returns:
        The state after the step.

    Reference: Shi et al. (2015), without its peepholes; Kalchbrenner et al. (2016b), "Resolution
    Preserving CNN Encoders"; the normalisation as in Ba et al. (2016), equation 20.
    """

    def __init__(
        self, features: int, inputs: int, kernel_size: int = 3, norms: str = "layer", **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # the cell must not be rounded
        self.features = features
        self.inputs = inputs
        self.kernel_size = kernel_size
        self.norms = norms
        self.read_norm, self.recurrent_norm = (
            make_norm(norms, name, self.variable_dtype, center=False)
            for name in ("read_norm", "recurrent_norm")
        )

    def build(self, inputs_shape: Shape = None, state_shape: Any = None) -> None:
        size, features = (self.kernel_size, self.kernel_size), self.features
        self.kernel = self.add_weight(
            shape=(*size, self.inputs, 4 * features), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(*size, features, 4 * features), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=(4 * features,),
            initializer=Constant(np.repeat([0, 1, 0, 0], features)),
            autocast=False,
            name="bias",
        )
        for norm in (self.read_norm, self.recurrent_norm):
            norm.build((None, None, None, 4 * features))

    def call(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.step(self.input_gates(inputs), state)

    def initial_state(self, batch: int | Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """`(hidden, cell)` before the first frame: zeros.

        Args:
            batch: B, an int or a scalar tensor.
            size: `(h, w)` of the maps.
        """
        shape = (batch, *size, self.features)
        return ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.variable_dtype)

    def input_gates(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates: `[N, h, w, I]` → `[N, h, w, 4F]`, for any N frames."""
        return self.read_norm(self._conv(inputs, self.kernel)) + self.bias

    def step(self, read: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state after a frame.

        Args:
            read: `[B, h, w, 4F]`, the frame's share of the gates, from `input_gates`.
            state: `(hidden, cell)` before the frame.
        """
        hidden, cell = state
        gates = read + self.recurrent_norm(self._conv(hidden, self.recurrent_kernel))
        write, keep, update, output = ops.split(gates, 4, axis=-1)
        cell = ops.sigmoid(keep) * cell + ops.sigmoid(write) * ops.tanh(update)
        return ops.cast(ops.sigmoid(output) * ops.tanh(cell), self.compute_dtype), cell

    def _conv(self, maps, kernel):
        maps, kernel = (ops.cast(values, self.compute_dtype) for values in (maps, kernel))
        return ops.conv(maps, kernel, padding="same")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "inputs": self.inputs,
            "kernel_size": self.kernel_size,
            "norms": self.norms,
        }
