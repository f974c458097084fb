"""The encoder of captions, a char-CNN-GRU: each caption → one vector."""

from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.captions import ALPHABET
from ms_pixelcnn_tf.types import Shape, Tensor

KERNEL = 4  # width of each convolution
POOL = 3


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class TextEncoder(keras.layers.Layer):
    """Three convolutions over the characters, then a GRU whose states are averaged over time.

    The paper leaves open which steps are averaged; we read it as "all". "caption" departs from it:
    the mean leaves out the steps that lie wholly behind the end of the caption. So the padding to
    201 characters does not dilute the code of a short caption, and an empty caption has the code 0.

    Args:
        features: width of the code.
        width: width of the second convolution, 512 in the paper; the first has 3/4 of it.
        average: the steps to average, "caption" or "all".

    Call arguments:
        codes: `[B, 201]` integers, 0 (behind the end) to 70, from `captions.encode`.

    Returns:
        `[B, features]`.

    Reference: Reed et al. (2016), Learning deep representations of fine-grained visual
    descriptions, section 4; Reed et al. (2017), section 3.2.
    """

    def __init__(
        self, features: int, width: int = 512, average: str = "caption", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.width = width
        self.average = average
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv1D(
                filters,
                KERNEL,
                activation="relu",
                kernel_initializer="he_normal",
                dtype=policy,
                name=f"conv{index}",
            )
            for index, filters in enumerate((3 * width // 4, width, features))
        ]
        self.pool = keras.layers.MaxPooling1D(POOL, dtype=policy)
        self.recurrent = keras.layers.GRU(
            features,
            return_sequences=True,
            dtype=policy,
            name="gru",
            use_cudnn=False,  # so that a graph traced with a GPU runs without one
        )

    def build(self, codes_shape: Shape = None) -> None:
        inputs = len(ALPHABET)
        for layer in self.convolutions:
            layer.build((None, None, inputs))
            inputs = layer.filters
        self.recurrent.build((None, None, inputs))

    def call(self, codes: Tensor) -> Tensor:
        maps = ops.one_hot(codes - 1, len(ALPHABET), dtype=self.compute_dtype)  # 0 → no character
        for layer in self.convolutions[:2]:
            maps = self.pool(layer(maps))
        states = self.recurrent(self.convolutions[2](maps))
        return self.mean_state(codes, states) if self.average == "caption" else ops.mean(states, 1)

    def mean_state(self, codes: Tensor, states: Tensor) -> Tensor:
        """`[B, features]`: mean of the states `[B, T, features]` over steps with text."""
        length = ops.sum(ops.cast(codes > 0, "int32"), axis=1, keepdims=True)
        seen = ops.cast(ops.arange(states.shape[1])[None] * POOL**2 < length, states.dtype)
        total = ops.sum(states * seen[..., None], axis=1)
        return total / ops.maximum(ops.sum(seen, axis=1, keepdims=True), 1)

    def get_config(self) -> dict[str, Any]:
        own = {"features": self.features, "width": self.width, "average": self.average}
        return super().get_config() | own
