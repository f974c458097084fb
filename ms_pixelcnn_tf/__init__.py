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
    """Builds an untrained model.

    Args:
        dataset: name of the data set that the model is for.
        variant: for images, "ON" (Gated PixelCNN at full size) or "OlogN" (multiscale); for videos,
            "OT_baseline", "OTN", "OT", "OTlogN" or "OT_upscaler" (`configs.VideoConfig`).
        preset: "tiny", "small", "large" or "paper" (`configs.PRESETS`).
        **overrides: any field of `configs.ModelConfig` or `configs.VideoConfig`, such as
            `image_size=32` or `image_size=(32, 48)`, `base_size=8`, `output="softmax"`.

    Returns:
        A `models.MultiscalePixelCNN` or a `models.VideoPixelCNN`.

    Raises:
        UserError: (a ValueError) for unknown names or values; the message lists the valid ones.
    """
    from ms_pixelcnn_tf.configs import make_run
    from ms_pixelcnn_tf.models import make_model

    return make_model(make_run(dataset, variant, preset, **overrides).model)


def load(
    path: "str | os.PathLike[str]", checkpoint: str = "last"
) -> "MultiscalePixelCNN | VideoPixelCNN":
    """Loads a trained model with its averaged weights.

    Args:
        path: the `--workdir` of a training run, the folder of an export, or the name of a model
            that ships with the package, such as "shapes-tiny" (`pretrained.names()`).
        checkpoint: for a run, "last", or "best" for the checkpoint with the best validation.

    Raises:
        UserError: if `path` has no run or no checkpoint, or if a file of an export or of a shipped
            model has changed since it was written.
    """
    from ms_pixelcnn_tf.pretrained import find
    from ms_pixelcnn_tf.runs.run import Run

    return Run(find(path)).model(checkpoint=checkpoint)
