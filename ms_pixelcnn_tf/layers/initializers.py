"""Initialisers with given values, for a whole variable or for the first rows of a kernel."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Array, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Constant(keras.initializers.Initializer):
    """Initialises a variable to a given array.

    Args:
        values: array, which is reshaped to the variable's shape.
    """

    def __init__(self, values: Array) -> None:
        self.values = np.asarray(values, "float32")

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        return ops.convert_to_tensor(self.values.reshape(shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values.tolist()}


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class GivenRows(keras.initializers.Initializer):
    """Initialises the first input rows of a kernel to given values and draws the rest.

    Args:
        rows: `[..., given inputs, outputs]`.
        drawn: the initialiser of the other rows, in any form that Keras accepts.
    """

    def __init__(self, rows: Array, drawn: Any) -> None:
        self.rows = np.asarray(rows, "float32")
        self.drawn = keras.initializers.get(drawn)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        given = self.rows.shape[-2]
        drawn = self.drawn((*shape[:-2], shape[-2] - given, shape[-1]), dtype)
        return ops.concatenate([ops.cast(self.rows, drawn.dtype), drawn], axis=-2)

    def get_config(self) -> dict[str, Any]:
        return {"rows": self.rows.tolist(), "drawn": keras.initializers.serialize(self.drawn)}
