"""Initial values that are computed, not drawn."""

import keras
import numpy as np
from keras import ops


class Constant(keras.initializers.Initializer):
    """An initialiser that returns a given array. Serialises as a list."""

    def __init__(self, values):
        self.values = np.asarray(values, "float32")

    def __call__(self, shape, dtype=None):
        return ops.convert_to_tensor(self.values.reshape(shape), dtype)

    def get_config(self):
        return {"values": self.values.tolist()}

