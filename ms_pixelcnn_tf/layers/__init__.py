"""Building blocks: masked, gated and residual layers. One public class a file."""

from ms_pixelcnn_tf.layers.channel_head import ChannelHead
from ms_pixelcnn_tf.layers.gated import GatedLayer
from ms_pixelcnn_tf.layers.initializers import Constant, GivenRows
from ms_pixelcnn_tf.layers.masked_dense import MaskedDense
from ms_pixelcnn_tf.layers.residual import ResidualBlock

__all__ = [
    "ChannelHead", "Constant", "GatedLayer", "GivenRows", "MaskedDense", "ResidualBlock",
]
