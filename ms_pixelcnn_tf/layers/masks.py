"""Channel masks of a PixelCNN: arrays of 0 and 1 that say which features may see which.

Each feature belongs to a group, the image channel whose prediction it serves; `-1` marks an input
that holds no pixel's value. The masks for three groups of one feature each, with inputs as rows and
outputs as columns:

    mask A          mask B
      R G B           R G B
    R 0 1 1         R 1 1 1
    G 0 0 1         G 0 1 1
    B 0 0 0         B 0 0 1

Reference: van den Oord et al. (2016a), section 3.4.
"""

import numpy as np

from ms_pixelcnn_tf.types import Groups


def feature_groups(features: int, num_groups: int) -> np.ndarray:
    """Group of each of `features` features. Groups are contiguous and as equal as possible."""
    return np.arange(features) * num_groups // features


def channel_mask(inputs: Groups, outputs: Groups, mask_type: str) -> np.ndarray:
    """`[inputs, outputs]` float32 mask from the two lists of groups.

    Args:
        inputs, outputs: the group of each input and output feature.
        mask_type: "A" (earlier groups only) or "B" (also the output's own group).
    """
    inputs, outputs = np.asarray(inputs)[:, None], np.asarray(outputs)[None, :]
    visible = inputs < outputs if mask_type == "A" else inputs <= outputs
    return visible.astype("float32")
