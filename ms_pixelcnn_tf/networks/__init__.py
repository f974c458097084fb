"""Networks: conditioning and given pixels → distribution parameters."""

from ms_pixelcnn_tf.networks.multiplicative_pixelcnn import MultiplicativePixelCNN
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.networks.upscaler import UpscalerA, UpscalerB

__all__ = ["GatedPixelCNN", "MultiplicativePixelCNN", "UpscalerA", "UpscalerB"]
