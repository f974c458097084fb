"""The density models: two verbs, `log_prob` and `sample`."""

from ms_pixelcnn_tf.models.image import MultiscalePixelCNN

__all__ = ["MultiscalePixelCNN"]
