"""What conditions an image → features: label, text, keypoint and segmentation maps."""

from ms_pixelcnn_tf.encoders.encoder import Code, Encoder
from ms_pixelcnn_tf.encoders.spatial import SpatialEncoder
from ms_pixelcnn_tf.encoders.text import TextEncoder

__all__ = ["Code", "Encoder", "SpatialEncoder", "TextEncoder"]
