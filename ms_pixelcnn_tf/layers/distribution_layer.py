"""Layers that are made for an output law: how Keras writes them down, what it may not round, and
the way of a prediction to the output layer."""

from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.initializers import GivenRows
from ms_pixelcnn_tf.types import Tensor


class DistributionLayer:
    """Mixed into a layer whose first argument is `distribution`.

    Keras does not cast what such a layer is called with: in mixed precision a prediction stays in
    float32. The layers inside cast what they take.

    Attributes:
        arguments: the others by name, set by the layer: numbers, or tuples of such.
    """

    distribution: Any
    arguments: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"autocast": False}))

    def get_config(self) -> dict[str, Any]:
        law = keras.saving.serialize_keras_object(self.distribution)
        return keras.layers.Layer.get_config(self) | {"distribution": law} | self.arguments

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistributionLayer":
        law = keras.saving.deserialize_keras_object(config["distribution"])
        return cls(**(config | {"distribution": law}))


def with_prediction(prediction: Tensor | None, features: Tensor) -> Tensor:
    """What an output layer reads, `[..., ·]`: the prediction, if there is one, and the features."""
    return features if prediction is None else ops.concatenate([prediction, features], axis=-1)


def output_kernel(
    prediction_path: str, rows: np.ndarray, drawn: Any = "glorot_uniform"
) -> keras.initializers.Initializer:
    """The initialiser of an output layer's kernel.

    Args:
        prediction_path: "linear": the prediction is read first, by the given rows; "none": all rows
            are drawn.
        rows: `[..., given inputs, outputs]`, such as a law's `prediction_rows()`.
        drawn: the initialiser of the other rows, as Keras takes it.
    """
    return GivenRows(rows if prediction_path == "linear" else rows[..., :0, :], drawn)
