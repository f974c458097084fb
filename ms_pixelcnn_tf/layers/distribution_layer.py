"""A mixin and helpers for layers that output the parameters of a distribution."""

from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.initializers import GivenRows
from ms_pixelcnn_tf.types import Tensor


class DistributionLayer:
    """Mixin for a layer whose first constructor argument is `distribution`: serialises it.

    Keras does not cast the call arguments of such a layer, so a prediction stays in float32 in
    mixed precision. The inner layers cast their own inputs.

    Attributes:
        arguments: the other constructor arguments by name, such as Keras can serialise; set by the
            layer.
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
    """The input of an output layer, `[..., ·]`: the prediction, unless None, and the features."""
    return features if prediction is None else ops.concatenate([prediction, features], axis=-1)


def output_kernel(
    prediction_path: str, rows: np.ndarray, drawn: Any = "glorot_uniform"
) -> keras.initializers.Initializer:
    """The initialiser of an output layer's kernel.

    Args:
        prediction_path: "linear": the given rows come first and read the prediction; "none": all
            rows are drawn.
        rows: `[..., given inputs, outputs]`, such as a law's `prediction_rows()`.
        drawn: the initialiser of the other rows, in any form that Keras accepts.
    """
    return GivenRows(rows if prediction_path == "linear" else rows[..., :0, :], drawn)
