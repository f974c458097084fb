"""The encoder of all conditions of an image model, and the code that it returns."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from ms_pixelcnn_tf.configs import ModelConfig, replace
from ms_pixelcnn_tf.encoders.resize import resize
from ms_pixelcnn_tf.encoders.spatial import SpatialEncoder
from ms_pixelcnn_tf.encoders.text import TextEncoder
from ms_pixelcnn_tf.types import Tensor

SPATIAL = ("keypoints", "segmentation")


class Code(NamedTuple):
    """The encoded conditions, from an `Encoder`; each part may be None."""

    vector: Any = None  # [B, 1, 1, ·]: features of the label and the caption
    maps: Any = None  # [B, 32, 32, F]: features of the keypoints and the segmentation
    product: bool = False  # whether the two are multiplied; else they are concatenated

    def at(
        self, size: Sequence[int], places: Sequence[Tensor | None] = (None, None), **resizing: Any
    ) -> Tensor:
        """The conditioning of a network whose maps are of `size`.

        It is the vector, or the maps resized bilinearly, or both: the vector concatenated behind
        the resized maps at every position, or multiplied by them (see `Encoder`).

        Args:
            size: `(height, width)` in pixels.
            places: the rows and columns to compute, each `[B, n]`, as for `resize`; None: all.
            **resizing: `method` and `image_size`, as for `resize`.

        Returns:
            `[B, 1, 1, E]` without maps, else `[B, height, width, E]`, or only the rows and columns
            in `places`; None without conditions.
        """
        if self.maps is None:
            return self.vector
        maps = resize(self.maps, size, places, **resizing)
        if self.vector is None:
            return maps
        if self.product:
            return self.vector * (1 + maps)
        tiled = ops.broadcast_to(self.vector, (*ops.shape(maps)[:3], self.vector.shape[-1]))
        return ops.concatenate([maps, tiled], axis=-1)


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Encoder(keras.layers.Layer):
    """Encodes any subset of the conditions of an image model.

    If a model has both maps and vectors, `condition_join` says how to join them. "depth" follows
    the paper: the vector is tiled and concatenated with the maps. "product" departs from it: a
    linear layer reads each, and the two are multiplied at every position, (1 + maps) · vector. So
    a map says where the words of a caption apply, and where a map's features are zero, the vector
    passes unchanged. (A layer that reads the concatenation adds the two. A sum shows that the image
    has a red and a blue shape, but hardly which is which; behind a ReLU, that is learned slowly.
    See benchmarks/results/conditioning.md.)

    Args:
        config: a `configs.ModelConfig`. Its `num_classes`, `text`, `num_keypoints` and
            `num_segments` select the conditions.
        text: the `TextEncoder` of another encoder, to share it; None: a new one. (`from_config`
            does not restore the sharing: it makes a new one.)

    Call arguments:
        conditions: dict of the selected conditions: "label" `[B]`, "text" `[B, 201]` codes,
            "keypoints" `[B, 32, 32, P]`, "segmentation" `[B, 32, 32, S]`.

    Returns:
        A `Code`.

    Reference: Reed et al. (2017), section 3.2.
    """

    def __init__(self, config: ModelConfig, text: TextEncoder | None = None, **kwargs: Any) -> None:
        super().__init__(**({"dtype": config.dtype} | kwargs))
        self.config = config
        policy = self.dtype_policy
        self.vectors, self.maps = {}, {}
        if config.num_classes:
            self.vectors["label"] = keras.layers.Embedding(
                config.num_classes, config.label_features, dtype=policy, name="label"
            )
        if config.text:
            self.vectors["text"] = text or TextEncoder(
                config.text_features,
                config.text_width,
                config.text_average,
                dtype=policy,
                name="text",
            )
        for name, inputs in zip(SPATIAL, (config.num_keypoints, config.num_segments), strict=True):
            if inputs:
                self.maps[name] = SpatialEncoder(
                    inputs,
                    config.spatial_features,
                    config.spatial_blocks,
                    config.residual_block,
                    dtype=policy,
                    name=name,
                )

        self.joint, self.widths = {}, {}
        if self.vectors and self.maps and config.condition_join == "product":
            self.widths = {
                "joint_maps": config.map_features,
                "joint_vector": config.vector_features,
            }
            self.joint = {
                name: keras.layers.Dense(
                    config.conditioning_features,
                    use_bias=name == "joint_vector",
                    bias_initializer="ones",
                    dtype=policy,
                    name=name,
                )
                for name in self.widths
            }

    def build(self, conditions_shape: Any = None) -> None:
        for layer in (*self.vectors.values(), *self.maps.values()):
            if not layer.built:  # a shared one may be built already
                layer.build((None,))
        for name, layer in self.joint.items():
            layer.build((None, self.widths[name]))

    def call(self, conditions: Mapping[str, Tensor]) -> Code:
        vectors = [layer(conditions[name]) for name, layer in self.vectors.items()]
        maps = [layer(conditions[name]) for name, layer in self.maps.items()]
        vector = ops.concatenate(vectors, axis=-1)[:, None, None] if vectors else None
        maps = ops.concatenate(maps, axis=-1) if maps else None
        if not self.joint:
            return Code(vector, maps)
        return Code(self.joint["joint_vector"](vector), self.joint["joint_maps"](maps), True)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Encoder":
        return cls(**(config | {"config": replace(ModelConfig(), **config["config"])}))
