"""A data set and a run small enough that a test trains on them in a second."""

import numpy as np

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.source import ArraySource

MODEL = {
    "image_size": 4,
    "base_size": 2,
    "channels": 1,
    "num_levels": 2,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "num_mixtures": 2,
}
TRAIN = {
    "batch_size": 4,
    "steps": 6,
    "ema_decay": 0.9,
    "log_every": 2,
    "evaluate_every": 3,
    "checkpoint_every": 2,
    "sample_every": 0,
    "learning_rate": 0.01,
    "warmup_steps": 2,
}


class TinySource(ArraySource):
    """Gray 4x4 images with a darker left half, and labels."""

    name = "tiny"
    description = "tiny (gray 4x4, made for tests)"
    image_size = (4, 4)
    channels = 1
    num_classes = 3

    def __init__(self):
        super().__init__()
        generator = np.random.default_rng(0)
        for split, count in (("train", 30), ("validation", 7)):
            images = generator.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
            images[:, :, :2] //= 2
            labels = generator.integers(0, self.num_classes, count).astype("int32")
            self.set_split(split, images, labels)


def tiny_run(**overrides):
    """The run's configuration."""
    return make_run(**(MODEL | TRAIN | overrides))
