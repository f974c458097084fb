"""Building blocks: masked, gated, residual, multiplicative and recurrent layers."""

from ms_pixelcnn_tf.layers.channel_head import ChannelHead
from ms_pixelcnn_tf.layers.conv_lstm import ConvLSTM
from ms_pixelcnn_tf.layers.distribution_layer import (
    DistributionLayer,
    output_kernel,
    with_prediction,
)
from ms_pixelcnn_tf.layers.gated import GatedLayer
from ms_pixelcnn_tf.layers.initializers import Constant, GivenRows
from ms_pixelcnn_tf.layers.masked_convolution import MaskedConvolution
from ms_pixelcnn_tf.layers.masked_dense import ChannelMaskedConvolution, MaskedDense
from ms_pixelcnn_tf.layers.multiplicative import MultiplicativeUnit, ResidualMultiplicativeBlock
from ms_pixelcnn_tf.layers.residual import ResidualBlock

__all__ = [
    "ChannelHead",
    "ChannelMaskedConvolution",
    "Constant",
    "ConvLSTM",
    "GatedLayer",
    "GivenRows",
    "MaskedConvolution",
    "MaskedDense",
    "MultiplicativeUnit",
    "DistributionLayer",
    "ResidualBlock",
    "ResidualMultiplicativeBlock",
    "output_kernel",
    "with_prediction",
]
