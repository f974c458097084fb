"""All conditions of a model → what its networks are conditioned on."""

import dataclasses
import math
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
    """What an `Encoder` made of the conditions; each part may be None."""

    vector: Any = None  # [B, 1, 1, ·]: the label's and the caption's
    maps: Any = None  # [B, 32, 32, F]: the keypoints' and the segmentation's
    kernel: Any = None  # [F, ·]: the maps' joint layer, where they are multiplied with vectors

    def at(
        self, size: Sequence[int], places: Sequence[Tensor | None] = (None, None), **resizing: Any
    ) -> Tensor:
        """The conditioning of a network whose maps are of `size`.

        That is the vector, the spatial features resized bilinearly to it, or, of both, the vector
        at every place behind the resized features or multiplied by them (`Encoder`).

        Args:
            size: `(height, width)`, pixels.
            places: rows and columns to make of it, each `[B, n]`, as for `resize`; None: all.
            **resizing: `method` and `image_size`, as for `resize`.

        Returns:
            `[B, 1, 1, E]` or `[B, height, width, E]`; None without conditions.
        """
        if self.maps is None:
            return self.vector
        if self.kernel is None:
            maps = resize(self.maps, size, places, **resizing)
            if self.vector is None:
                return maps
            tiled = ops.broadcast_to(self.vector, (*ops.shape(maps)[:3], self.vector.shape[-1]))
            return ops.concatenate([maps, tiled], axis=-1)
        # Resizing and the kernel are linear, so they commute: multiply where pixels are fewer.
        sides = [
            side if own is None else own.shape[1] for side, own in zip(size, places, strict=True)
        ]
        if math.prod(sides) < math.prod(self.maps.shape[1:3]):
            maps = ops.matmul(resize(self.maps, size, places, **resizing), self.kernel)
        else:
            maps = resize(ops.matmul(self.maps, self.kernel), size, places, **resizing)
        return self.vector * (1 + maps)


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Encoder(keras.layers.Layer):
    """One encoder for any subset of conditions.

    Where there are maps and vectors, `condition_join` says how they meet. "depth" is the paper's:
    the vector is tiled and concatenated with the maps. "product" departs from it: a linear layer
    reads each, and the two are multiplied place by place, (1 + maps) · vectors. Then what a caption
    says is of the place where a map says which shape is meant, and where the maps are empty the
    caption stands alone. (Maps and a tiled vector are added up by the layer that reads them. A sum
    tells that there are a red and a blue shape, but hardly which is which; behind a ReLU it learns
    slowly. See benchmarks/results/conditioning.md.) The maps are multiplied by their kernel before
    or after they are resized (`Code.at`).

    Args:
        config: a `configs.ModelConfig`; its `num_classes`, `text`, `num_keypoints` and
            `num_segments` say which conditions.
        text: the `TextEncoder` of another encoder, to share it; None: one of its own. (Made again
            from its configuration alone, an encoder has its own.)

    Call arguments:
        conditions: dict: "label" `[B]`, "text" `[B, 201]` codes, "keypoints" `[B, 32, 32, P]`,
            "segmentation" `[B, 32, 32, S]`; those that the configuration names.

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
            # Of the layer for the maps `Code.at` takes the kernel.
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
            if not layer.built:  # a shared one may be
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
        kernel = ops.cast(self.joint["joint_maps"].kernel, self.compute_dtype)
        return Code(self.joint["joint_vector"](vector), maps, kernel)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Encoder":
        return cls(**(config | {"config": replace(ModelConfig(), **config["config"])}))
