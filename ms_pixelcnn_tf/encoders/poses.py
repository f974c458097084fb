"""Actions and states → maps, which may tell where the place is that they speak of."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class PoseEncoder(keras.layers.Layer):
    """Poses tiled over a map and read there by a 1x1 layer, beside the coordinates of each place.

    A pose is a place, and so is a command that says where the arm is to go. Convolutions see the
    same tiled numbers everywhere, so without coordinates they can hardly tell what lies there.

    Args:
        features: width F.
        pose_size: numbers of all poses together, P.
        size: `(h, w)` of the maps.
        places: what tells a place: "coordinates", or "none", for the bare numbers (the paper's).

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
        # One layer of both, laid behind one another: its two halves are added up.
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
    """`(h, w)` → float64 `[h, w, 2]`: each place's x (to the right) and y (down) on [-1, 1]."""
    height, width = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in size)
    return np.stack(np.meshgrid(width, height), axis=-1)
