"""All conditions of a model → what its networks are conditioned on."""

from typing import Any, NamedTuple

import keras
from keras import ops

from ms_pixelcnn_tf.encoders.resize import resize
from ms_pixelcnn_tf.encoders.spatial import SpatialEncoder
from ms_pixelcnn_tf.encoders.text import TextEncoder

SPATIAL = ("keypoints", "segmentation")


class Code(NamedTuple):
    """What an `Encoder` made of the conditions; either part may be None."""

    vector: Any  # [B, 1, 1, ·]: the label's and the caption's
    maps: Any  # [B, 32, 32, ·]: the keypoints' and the segmentation's

    def at(self, size):
        """The conditioning of a network whose maps are of `size`: the spatial features resized
        bilinearly to it, and behind them in depth the vector, tiled; the vector alone if there are
        no maps. None without conditions."""
        if self.maps is None:
            return self.vector
        maps = resize(self.maps, size)
        if self.vector is None:
            return maps
        tiled = ops.broadcast_to(self.vector, (*ops.shape(maps)[:3], self.vector.shape[-1]))
        return ops.concatenate([maps, tiled], axis=-1)


class Encoder(keras.layers.Layer):
    """One encoder for any subset of conditions.

    Args:
        config: a `configs.ModelConfig`; its `num_classes`, `text`, `num_keypoints` and
            `num_segments` say which.

    Call arguments:
        conditions: dict: "label" `[B]`, "text" `[B, 201]` codes, "keypoints" `[B, 32, 32, P]`,
            "segmentation" `[B, 32, 32, S]`; those that the configuration names.

    Returns:
        A `Code`.

    Reference: Reed et al. (2017), section 3.2.
    """

    def __init__(self, config, **kwargs):
        super().__init__(dtype=config.dtype, **kwargs)
        policy = self.dtype_policy
        self.vectors, self.maps = {}, {}
        if config.num_classes:
            self.vectors["label"] = keras.layers.Embedding(
                config.num_classes, config.label_features, dtype=policy, name="label"
            )
        if config.text:
            self.vectors["text"] = TextEncoder(
                config.text_features, config.text_width, dtype=policy, name="text"
            )
        for name, inputs in zip(SPATIAL, (config.num_keypoints, config.num_segments)):
            if inputs:
                self.maps[name] = SpatialEncoder(
                    inputs, config.spatial_features, config.spatial_blocks, dtype=policy, name=name
                )

    def build(self, conditions_shape=None):
        for layer in (*self.vectors.values(), *self.maps.values()):
            layer.build((None,))

    def call(self, conditions):
        vectors = [layer(conditions[name]) for name, layer in self.vectors.items()]
        maps = [layer(conditions[name]) for name, layer in self.maps.items()]
        return Code(
            ops.concatenate(vectors, axis=-1)[:, None, None] if vectors else None,
            ops.concatenate(maps, axis=-1) if maps else None,
        )
