"""Density models of images and videos: `log_prob` scores them, `sample` draws new ones."""

from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig
from ms_pixelcnn_tf.models.image.model import MultiscalePixelCNN
from ms_pixelcnn_tf.models.video.model import VideoPixelCNN

__all__ = ["MultiscalePixelCNN", "VideoPixelCNN", "make_model"]


def make_model(config: ModelConfig | VideoConfig) -> MultiscalePixelCNN | VideoPixelCNN:
    """An untrained model: of videos for a `VideoConfig`, of images for a `ModelConfig`."""
    if isinstance(config, VideoConfig):
        return VideoPixelCNN(config)
    return MultiscalePixelCNN(config)
