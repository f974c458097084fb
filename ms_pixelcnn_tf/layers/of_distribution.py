"""Layers that are made for an output law: how Keras writes them down."""

import keras


class OfDistribution:
    """Mixed into a layer whose first argument is `distribution`.

    Attributes:
        arguments: the others by name, set by the layer: numbers, or tuples of such.
    """

    def get_config(self):
        law = keras.saving.serialize_keras_object(self.distribution)
        return keras.layers.Layer.get_config(self) | {"distribution": law} | self.arguments

    @classmethod
    def from_config(cls, config):
        law = keras.saving.deserialize_keras_object(config["distribution"])
        return cls(**(config | {"distribution": law}))
