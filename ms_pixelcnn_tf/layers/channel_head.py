"""The masked 1x1 head that orders the channels of one pixel: type A with a softmax."""

import keras
from keras import ops

from ms_pixelcnn_tf.layers.masked_dense import MaskedDense
from ms_pixelcnn_tf.pixels import feature_channels


class ChannelHead(keras.layers.Layer):
    """Logits of each channel from the trunk's features and the pixel's channels before it.

    Channel c has a hidden layer of its own, which reads all features and, through mask A, the
    values of channels 0…c-1 at the same pixel. All dependence between channels sits here, so the
    trunk runs once a group where the paper evaluates the whole network once a channel.

    Args:
        features: width of the incoming features.
        channels: number of image channels C.
        hidden: width of each channel's hidden layer.
        outputs: outputs a channel.
        bias_initializer: as Keras takes it.

    Call arguments:
        maps: `[..., features]` from the trunk.
        pixels: `[..., pixel features]` of the group's own pixels (`pixels.pixel_features`).

    Returns:
        `[..., C·outputs]`, channel by channel.
    """

    def __init__(self, features, channels, hidden, outputs, bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.features, self.channels = features, channels
        self.hidden, self.outputs = hidden, outputs
        self.bias_initializer = keras.initializers.get(bias_initializer)
        policy = self.dtype_policy
        groups = [channel for channel in range(channels) for _ in range(hidden)]
        self.reading = keras.layers.Dense(
            channels * hidden, use_bias=False, dtype=policy, name="reading"
        )
        self.earlier_channels = MaskedDense(
            feature_channels(channels), groups, "A", dtype=policy, name="earlier_channels"
        )

    def build(self, maps_shape=None, pixels_shape=None):
        self.reading.build((None, self.features))
        self.earlier_channels.build()
        self.kernel = self.add_weight(
            shape=(self.channels, self.hidden, self.outputs),
            initializer=keras.initializers.RandomNormal(stddev=0.01), name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.channels * self.outputs,), initializer=self.bias_initializer, name="bias"
        )

    def call(self, maps, pixels):
        hidden = ops.relu(self.reading(maps) + self.earlier_channels(pixels))
        hidden = ops.reshape(hidden, (*ops.shape(hidden)[:-1], self.channels, self.hidden))
        outputs = ops.einsum("...ch,cho->...co", hidden, self.kernel)
        shape = ops.shape(outputs)
        return ops.reshape(outputs, (*shape[:-2], self.channels * self.outputs)) + self.bias

    def channel(self, read, pixels, channel):
        """Outputs of one channel, for decoding.

        Args:
            read: `[..., C·hidden]`, `self.reading(maps)`, computed once.
            pixels: `[..., pixel features]`; channels from `channel` on may hold anything.

        Returns:
            `[..., outputs]`.
        """
        columns = slice(channel * self.hidden, (channel + 1) * self.hidden)
        kernel = self.earlier_channels.masked_kernel()[:, columns]
        hidden = read[..., columns] + ops.matmul(pixels, kernel)
        bias = self._cast(self.earlier_channels.bias)[columns]
        outputs = slice(channel * self.outputs, (channel + 1) * self.outputs)
        result = ops.matmul(ops.relu(hidden + bias), self._cast(self.kernel)[channel])
        return result + self._cast(self.bias)[outputs]

    def _cast(self, weight):
        return ops.cast(weight, self.compute_dtype)

    def get_config(self):
        return super().get_config() | {
            "features": self.features, "channels": self.channels,
            "hidden": self.hidden, "outputs": self.outputs,
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
