"""The encoder of actions and states (poses): numbers → maps of features."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class PoseEncoder(keras.layers.Layer):
    """Tiles poses over a map; a 1x1 layer reads them together with each position's coordinates.

    A pose names a position, and so does a command that moves the arm. Convolutions see the same
    tiled numbers everywhere, so without coordinates they can hardly find that position.

    Args:
        features: width F.
        pose_size: P, the number of values in all poses together.
        size: `(h, w)` of the maps.
        places: "coordinates", or "none" for the tiled numbers alone, as in the paper.

    Call arguments:
        poses: `[N, P]`.

    Returns:
        `[N, h, w, F]`, not negative.

    Reference: Reed et al. (2017), section 4.3; coordinates as in Liu et al. (2018), CoordConv.
    """

    def __init__(
        self,
        features: int,
        pose_size: int,
        size: Sequence[int],
        places: str = "coordinates",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.pose_size = pose_size
        self.size = tuple(size)
        policy = self.dtype_policy
        self.poses = keras.layers.Dense(features, dtype=policy, name="poses")
        self.places: Any = None
        if places == "coordinates":
            self.places = keras.layers.Dense(features, use_bias=False, dtype=policy, name="places")

    def build(self, poses_shape: Shape = None) -> None:
        self.poses.build((None, self.pose_size))
        if self.places is not None:
            self.places.build((None, 2))

    def call(self, poses: Tensor) -> Tensor:
        if self.places is None:
            return ops.tile(ops.relu(self.poses(poses))[:, None, None], (1, *self.size, 1))
        # Equals one layer over both, concatenated, but reads the poses before they are tiled.
        places = self.places(ops.convert_to_tensor(coordinates(self.size), self.compute_dtype))
        return ops.relu(self.poses(poses)[:, None, None] + places)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "pose_size": self.pose_size,
            "size": self.size,
            "places": "none" if self.places is None else "coordinates",
        }


def coordinates(size: Sequence[int]) -> np.ndarray:
    """`(h, w)` → float64 `[h, w, 2]`: each position's x (to the right) and y (down) on [-1, 1]."""
    height, width = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in size)
    return np.stack(np.meshgrid(width, height), axis=-1)
