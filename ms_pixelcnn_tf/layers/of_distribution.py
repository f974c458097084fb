"""Layers that are made for an output law: how Keras writes them down, and what it may not round."""

from typing import Any

import keras


class OfDistribution:
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
    def from_config(cls, config: dict[str, Any]) -> "OfDistribution":
        law = keras.saving.deserialize_keras_object(config["distribution"])
        return cls(**(config | {"distribution": law}))
