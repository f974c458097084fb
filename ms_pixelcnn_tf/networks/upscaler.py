"""Upscalers: one group of a scale from the groups before it. Type A and type B.

Both read the context, the groups already known, in space-to-depth layout: `[B, H, W, C·(g-1)]` at
the lower scale's size. A residual trunk without masks turns it into features, once a group. They
differ in how the group's own pixels depend on one another given those features:

* type A: not at all; only the channels of one pixel are ordered, by a masked 1x1 head;
* type B: within contiguous M×M patches, in raster order, by a shallow Gated PixelCNN whose weights
  all patches share. Patches do not see one another.

Departure: with a softmax the paper evaluates type A three times, once a channel. The dependence on
earlier channels needs nothing but the pixel itself, so here it sits in the 1x1 head and the trunk
runs once.

Reference: Reed et al. (2017), section 3.1 and Figure 3.
"""

import keras
from keras import ops

from ms_pixelcnn_tf.layers import ChannelHead, ResidualBlock
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.pixels import FEATURES_PER_CHANNEL, from_patches, pixel_features, to_patches


class Trunk(keras.layers.Layer):
    """Residual network from the context's pixels to features.

    Args:
        num_levels: levels of the context's pixels.
        context_channels: C·(g-1).
        num_blocks: residual blocks.
        features: width F.
        conditioning_features: width E of the conditioning; 0 for none.

    Call arguments:
        context: `[B, H, W, context_channels]` integer levels (or floats holding them).
        conditioning: `[B, 1 or H, 1 or W, E]`, a vector or a map, or None.

    Returns:
        `[B, H, W, F]`.
    """

    def __init__(self, num_levels, context_channels, num_blocks, features,
                 conditioning_features=0, **kwargs):
        super().__init__(**kwargs)
        self.num_levels = num_levels
        self.context_channels = context_channels
        self.conditioning_features = conditioning_features
        policy = self.dtype_policy
        self.entry = keras.layers.Conv2D(features, 3, padding="same", dtype=policy, name="entry")
        self.blocks = [
            ResidualBlock(features, dtype=policy, name=f"block{index}")
            for index in range(num_blocks)
        ]
        self.conditioning_projection = None
        if conditioning_features:
            self.conditioning_projection = keras.layers.Dense(
                features * num_blocks, use_bias=False, dtype=policy, name="conditioning"
            )

    def build(self, context_shape=None, conditioning_shape=None):
        inputs = self.context_channels * FEATURES_PER_CHANNEL + 1
        self.entry.build((None, None, None, inputs))
        for block in self.blocks:
            block.build()
        if self.conditioning_projection is not None:
            self.conditioning_projection.build((None, self.conditioning_features))

    def call(self, context, conditioning=None):
        maps = self.entry(pixel_features(context, self.num_levels, self.compute_dtype))
        projections = [None] * len(self.blocks)
        if self.conditioning_projection is not None:
            projection = self.conditioning_projection(conditioning)
            projections = ops.split(projection, len(self.blocks), axis=-1)
        for block, projection in zip(self.blocks, projections):
            maps = block(maps, projection)
        return maps


class UpscalerA(keras.layers.Layer):
    """Type A: the group's pixels are independent given the context.

    Args:
        distribution: the law of a pixel, from `distributions`.
        group: 2, 3 or 4.
        num_blocks, features, conditioning_features: of the trunk.
        head_features: width of the head's hidden layer (a channel).

    `trunk(context, conditioning)` gives the features; calling the layer with those and the group's
    own levels gives the parameters, `[B, H, W, distribution.num_params]`.
    """

    def __init__(self, distribution, group, num_blocks, features, head_features,
                 conditioning_features=0, **kwargs):
        super().__init__(**kwargs)
        self.distribution = distribution
        self.features = features
        policy = self.dtype_policy
        self.trunk = Trunk(
            distribution.num_levels, distribution.channels * (group - 1), num_blocks, features,
            conditioning_features, dtype=policy, name="trunk",
        )
        if distribution.channel_autoregressive:
            self.head = ChannelHead(
                features, distribution.channels, head_features, distribution.num_levels,
                dtype=policy, name="head",
            )
        else:
            self.hidden = keras.layers.Dense(
                head_features, activation="relu", dtype=policy, name="hidden"
            )
            self.head = keras.layers.Dense(
                distribution.num_params, bias_initializer=distribution.bias_initializer,
                dtype=policy, name="head",
            )

    def build(self, maps_shape=None, levels_shape=None):
        self.trunk.build()
        if self.distribution.channel_autoregressive:
            self.head.build()
        else:
            self.hidden.build((None, self.features))
            self.head.build((None, self.hidden.units))

    def call(self, maps, levels):
        """Args:
            maps: `[B, H, W, F]` from the trunk.
            levels: `[B, H, W, C]`, the group itself. Parameters of channel c see channels before c.
        """
        if not self.distribution.channel_autoregressive:
            return self.head(self.hidden(ops.relu(maps)))
        return self.head(ops.relu(maps), self.read(levels))

    def channel_params(self, maps):
        """For decoding: a function `(channel, levels [..., C]) → parameters`, the trunk's share of
        which is computed here, once."""
        if not self.distribution.channel_autoregressive:
            params = self.head(self.hidden(ops.relu(maps)))
            return lambda channel, levels: params
        read = self.head.reading(ops.relu(maps))
        return lambda channel, levels: self.head.channel(read, self.read(levels), channel)

    def read(self, levels):
        """`[..., C]` levels → `[..., pixel features]`."""
        return pixel_features(levels, self.distribution.num_levels, self.compute_dtype)

    @property
    def output_bias(self):
        """The bias of the distribution's parameters."""
        return self.head.bias


class UpscalerB(keras.layers.Layer):
    """Type B: the group's pixels are autoregressive within M×M patches.

    Args:
        distribution, group, num_blocks, features, conditioning_features: as for type A.
        head_features: width of the decoder's layer before its output.
        patch_size: `(h, w)` of a patch, dividing the size of the group's map.
        decoder_layers, decoder_features: of the shallow Gated PixelCNN.
    """

    def __init__(self, distribution, group, num_blocks, features, head_features, patch_size,
                 decoder_layers, decoder_features, conditioning_features=0, **kwargs):
        super().__init__(**kwargs)
        self.distribution = distribution
        self.features = features
        self.patch_size = patch_size
        policy = self.dtype_policy
        self.trunk = Trunk(
            distribution.num_levels, distribution.channels * (group - 1), num_blocks, features,
            conditioning_features, dtype=policy, name="trunk",
        )
        self.decoder = GatedPixelCNN(
            distribution, decoder_layers, decoder_features, head_features,
            first_kernel=2 * max(patch_size) - 1 if max(patch_size) > 1 else 3,
            conditioning_features=features, dtype=policy, name="decoder",
        )

    def build(self, maps_shape=None, levels_shape=None):
        self.trunk.build()
        self.decoder.build()

    def call(self, maps, levels):
        """As for type A; parameters of a pixel see the earlier pixels of its patch too."""
        params = self.decoder(to_patches(levels, self.patch_size), self.patches(maps))
        return from_patches(params, levels.shape[1:3])

    def patches(self, maps):
        """Features `[B, H, W, F]` → the conditioning of every patch, folded into the batch."""
        return to_patches(ops.relu(maps), self.patch_size)

    @property
    def output_bias(self):
        """The bias of the distribution's parameters."""
        return self.decoder.output_bias
