"""Networks: known pixels and conditioning → parameters of a distribution over pixels."""

from ms_pixelcnn_tf.networks.masked_upscaler import MaskedUpscalerA, TypeA, make_type_a
from ms_pixelcnn_tf.networks.multiplicative_pixelcnn import MultiplicativePixelCNN
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.networks.upscaler import UpscalerA, UpscalerB

__all__ = [
    "GatedPixelCNN",
    "MaskedUpscalerA",
    "MultiplicativePixelCNN",
    "TypeA",
    "UpscalerA",
    "UpscalerB",
    "make_type_a",
]
