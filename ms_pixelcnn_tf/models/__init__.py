"""The density models: two verbs, `log_prob` and `sample`."""

from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.models.image import MultiscalePixelCNN
from ms_pixelcnn_tf.models.video import VideoPixelCNN

__all__ = ["MultiscalePixelCNN", "VideoPixelCNN", "make_model"]


def make_model(config):
    """An untrained model: of videos for a `VideoConfig`, of images for a `ModelConfig`."""
    return (VideoPixelCNN if isinstance(config, VideoConfig) else MultiscalePixelCNN)(config)
