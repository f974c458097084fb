"""Parallel multiscale autoregressive density estimation: exact likelihoods, sampling in O(log N).

import ms_pixelcnn_tf as ms

model = ms.build_model(dataset="shapes", variant="OlogN", preset="tiny", image_size=32)
model = ms.load("runs/shapes-OlogN-tiny")
model = ms.load("shapes-tiny")  # ships with the package
nats = model.log_prob(images)
images = model.sample(4, seed=0)
"""

from typing import TYPE_CHECKING, Any

from ms_pixelcnn_tf.errors import UserError

if TYPE_CHECKING:
    import os

    from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN

__version__ = "0.1.0"
__all__ = ["UserError", "build_model", "load"]


def build_model(
    dataset: str = "shapes", variant: str = "OlogN", preset: str = "tiny", **overrides: Any
) -> "MultiscalePixelCNN | VideoPixelCNN":
    """An untrained model.

    Args:
        dataset: name of the data set it is meant for.
        variant: of images "ON" (Gated PixelCNN at full size) or "OlogN" (multiscale); of videos
            "OT_baseline", "OTN", "OT", "OTlogN" or "OT_upscaler" (`configs.VideoConfig`).
        preset: "tiny", "small" or "paper" (`configs.PRESETS`).
        **overrides: any field of `configs.ModelConfig` or `configs.VideoConfig`, such as
            `image_size=32` or `image_size=(32, 48)`, `base_size=8`, `output="softmax"`.

    Returns:
        A `models.MultiscalePixelCNN` or a `models.VideoPixelCNN`.

    Raises:
        UserError: (a ValueError) for unknown names or values; it lists the valid ones.
    """
    from ms_pixelcnn_tf.configs import make_run
    from ms_pixelcnn_tf.models import make_model

    return make_model(make_run(dataset, variant, preset, **overrides).model)


def load(
    path: "str | os.PathLike[str]", checkpoint: str = "last"
) -> "MultiscalePixelCNN | VideoPixelCNN":
    """A trained model, with its averaged weights.

    Args:
        path: the `--workdir` of a training run, the folder of an export, or the name of a model
            that ships with the package, as "shapes-tiny" (`pretrained.names()`).
        checkpoint: of a run "last", or "best", that of the best validation.

    Raises:
        UserError: if there is no run, or no checkpoint, at `path`; if a file of an export, or of a
            model that ships, is not the one that was written.
    """
    from ms_pixelcnn_tf.pretrained import find
    from ms_pixelcnn_tf.runs.run import Run

    return Run(find(path)).model(checkpoint=checkpoint)
