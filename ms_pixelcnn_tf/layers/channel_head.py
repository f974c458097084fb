"""The masked 1x1 head that orders the channels of a pixel, for type A with a softmax."""

from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.layers.distribution_layer import (
    DistributionLayer,
    output_kernel,
    with_prediction,
)
from ms_pixelcnn_tf.layers.initializers import Constant
from ms_pixelcnn_tf.layers.masked_dense import MaskedDense
from ms_pixelcnn_tf.pixels import feature_channels
from ms_pixelcnn_tf.types import Shape, Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class ChannelHead(DistributionLayer, keras.layers.Layer):
    """Parameters of each channel from the trunk's features and the pixel's earlier channels.

    Channel c has its own hidden layer, which reads all features and, through mask A, the values of
    channels 0…c-1 at the same pixel. Only this head models dependence between channels, so the
    trunk runs once per group; the paper evaluates the whole network once per channel.

    Args:
        distribution: a channel-autoregressive law from `distributions`.
        features: width of the incoming features.
        hidden: width of each channel's hidden layer.
        prediction_path: "linear": the trunk gives a prediction; "none": it gives None.
        pixel_inputs: kind of `pixels`: "features" or "values".

    Call arguments:
        maps: `[..., features]` from the trunk.
        prediction: `[..., C]` from the trunk, or None; each channel's prediction goes straight to
            its output layer.
        pixels: `[..., pixel features]` of the group's own pixels (`pixels.pixel_features`).

    Returns:
        `[..., distribution.num_params]`, channel by channel.
    """

    def __init__(
        self,
        distribution: Distribution,
        features: int,
        hidden: int,
        prediction_path: str = "linear",
        pixel_inputs: str = "features",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution = distribution
        self.features, self.hidden = features, hidden
        self.arguments = {
            "features": features,
            "hidden": hidden,
            "prediction_path": prediction_path,
            "pixel_inputs": pixel_inputs,
        }
        channels = distribution.channels
        groups = [channel for channel in range(channels) for _ in range(hidden)]
        policy = self.dtype_policy
        self.reading = keras.layers.Dense(
            channels * hidden, use_bias=False, dtype=policy, name="reading"
        )
        self.earlier_channels = MaskedDense(
            feature_channels(channels, pixel_inputs),
            groups,
            "A",
            dtype=policy,
            name="earlier_channels",
        )

    def build(
        self, maps_shape: Shape = None, prediction_shape: Shape = None, pixels_shape: Shape = None
    ) -> None:
        law = self.distribution
        self.reading.build((None, self.features))
        self.earlier_channels.build()
        path = self.arguments["prediction_path"]
        own = np.tile(law.channel_rows(), (law.channels, 1, 1))
        self.kernel = self.add_weight(
            shape=(law.channels, (path == "linear") + self.hidden, law.num_outputs),
            initializer=output_kernel(path, own, keras.initializers.RandomNormal(stddev=0.01)),
            autocast=False,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(law.num_params,),
            initializer=Constant(law.initial_params()),
            autocast=False,
            name="bias",
        )

    def call(self, maps: Tensor, prediction: Tensor | None, pixels: Tensor) -> Tensor:
        hidden = ops.relu(self.reading(maps) + self.earlier_channels(pixels))
        hidden = ops.split(hidden, self.distribution.channels, axis=-1)
        return ops.concatenate(
            [
                self._output(hidden[channel], prediction, channel)
                for channel in range(self.distribution.channels)
            ],
            axis=-1,
        )

    def channel(
        self, read: Tensor, prediction: Tensor | None, pixels: Tensor, channel: int
    ) -> Tensor:
        """Parameters of one channel, for decoding.

        Args:
            read: `[..., C·hidden]`, `self.reading(maps)`, computed once.
            prediction: `[..., C]` or None.
            pixels: `[..., pixel features]`; channels from `channel` on may hold anything.

        Returns:
            `[..., distribution.num_params/C]`.
        """
        columns = slice(channel * self.hidden, (channel + 1) * self.hidden)
        kernel = self.earlier_channels.masked_kernel()[:, columns]
        bias = self._cast(self.earlier_channels.bias)[columns]
        hidden = ops.relu(read[..., columns] + ops.matmul(pixels, kernel) + bias)
        return self._output(hidden, prediction, channel)

    def _output(self, hidden, prediction, channel):
        """The output layer of one channel, in float32 at least."""
        own = None if prediction is None else prediction[..., channel : channel + 1]
        size = self.distribution.num_outputs
        bias = self.bias[channel * size : (channel + 1) * size]
        return ops.matmul(with_prediction(own, hidden), self.kernel[channel]) + bias

    def _cast(self, weight):
        return ops.cast(weight, self.compute_dtype)
