"""Encoders: labels, captions, keypoint and segmentation maps, past frames, poses → features."""

from ms_pixelcnn_tf.encoders.encoder import Code, Encoder
from ms_pixelcnn_tf.encoders.frames import FrameEncoder
from ms_pixelcnn_tf.encoders.poses import PoseEncoder
from ms_pixelcnn_tf.encoders.spatial import SpatialEncoder
from ms_pixelcnn_tf.encoders.text import TextEncoder

__all__ = ["Code", "Encoder", "FrameEncoder", "PoseEncoder", "SpatialEncoder", "TextEncoder"]
