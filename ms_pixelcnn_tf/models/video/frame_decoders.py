"""The decoders of a frame given the past, one class per factorisation.

docs/departures.md lists the departures from the paper.

Reference: Reed et al. (2017), section 4.3 and Table 2.
"""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.distributions import SOFTMAX_LAWS
from ms_pixelcnn_tf.encoders.frame_context import make_conditioning, make_previous_frame
from ms_pixelcnn_tf.layers import (
    Constant,
    ResidualMultiplicativeBlock,
    output_kernel,
    with_prediction,
)
from ms_pixelcnn_tf.models.scale import GROUPS, Factor
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext, FrameDecoder, ScaleDecoder
from ms_pixelcnn_tf.networks import GatedPixelCNN
from ms_pixelcnn_tf.networks.multiplicative_pixelcnn import MultiplicativePixelCNN
from ms_pixelcnn_tf.types import Tensor


class IndependentDecoder(FrameDecoder):
    """`OT_baseline`: sub-pixels are independent given the past. One term, "frame".

    Unmasked residual multiplicative blocks work at the hidden state's size. Their maps are then
    expanded to full size for a 1x1 head. The paper's O(T) baseline is that of the Video Pixel
    Network (VPN): the VPN without the frame itself as an input.
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.distribution = law = SOFTMAX_LAWS[config.softmax_law](config.num_levels, 1)
        self.stride, channels = config.frame_stride, config.channels
        policy = self.dtype_policy
        self.previous = make_previous_frame(config, self.stride)
        self.entry = keras.layers.Dense(2 * config.frame_features, dtype=policy, name="entry")
        self.blocks = [
            ResidualMultiplicativeBlock(config.frame_features, dtype=policy, name=f"block{index}")
            for index in range(config.frame_decoder_blocks)
        ]
        self.hidden = keras.layers.Dense(
            self.stride**2 * config.head_features, activation="relu", dtype=policy, name="hidden"
        )
        rows = np.kron(np.eye(channels), law.channel_rows())  # each channel reads its own
        self.head = keras.layers.Dense(
            channels * law.num_params,
            kernel_initializer=output_kernel(self.previous.prediction_path, rows),
            bias_initializer=Constant(np.tile(law.initial_params(), channels)),
            dtype=policy.variable_dtype,
            name="head",
        )

    def build(self, past_shape: Any = None) -> None:
        config, width = self.config, 2 * self.config.frame_features
        self.previous.build()
        self.entry.build((None, config.lstm_features + self.previous.features))
        for block in self.blocks:
            block.build()
        self.hidden.build((None, width))
        predicted = config.channels if self.previous.prediction_path == "linear" else 0
        self.head.build((None, predicted + config.head_features))

    def output_biases(self) -> list[keras.Variable]:
        return [self.head.bias]

    def term_dims(self) -> dict[str, int]:
        return {"frame": math.prod(self.config.image_size) * self.config.channels}

    def params(self, context: FrameContext) -> Tensor:
        """The parameters of every sub-pixel: `[N, H, W, C, num_params]`."""
        maps, prediction = self.previous(context.previous, context.hidden["past"])
        maps = self.entry(maps)
        for block in self.blocks:
            maps = block(maps)
        maps = depth_to_space(self.hidden(maps), self.stride)
        params = self.head(with_prediction(prediction, maps))
        channels = self.config.channels
        return ops.reshape(params, (-1, *params.shape[1:3], channels, self.distribution.num_params))

    def factors(self, context: FrameContext, frame: Tensor) -> Iterator[Factor]:
        yield Factor("frame", self.params(context), frame[..., None])

    def _decode(self, context, uniforms, sampler):
        levels, log_probs = sampler.independent(
            self.distribution, lambda: self.params(context), uniforms
        )
        return levels, [log_probs]


class RasterDecoder(FrameDecoder):
    """`OTN`: the Video Pixel Network, a PixelCNN of residual multiplicative blocks at full size.

    One term, "frame".
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        policy = self.dtype_policy
        self.previous = make_previous_frame(config)
        self.conditioning = make_conditioning(config, config.image_size)
        self.network = MultiplicativePixelCNN(
            self.distribution,
            config.frame_decoder_blocks,
            config.frame_features,
            config.head_features,
            config.lstm_features + self.previous.features,
            **config.pixel_arguments | {"prediction_path": self.previous.prediction_path},
            dtype=policy,
            name="network",
        )

    def build(self, past_shape: Any = None) -> None:
        for layer in (self.previous, self.conditioning, self.network):
            layer.build()

    def output_biases(self) -> list[keras.Variable]:
        return [self.network.output_bias]

    def term_dims(self) -> dict[str, int]:
        return {"frame": math.prod(self.config.image_size) * self.config.channels}

    def factors(self, context: FrameContext, frame: Tensor) -> Iterator[Factor]:
        yield Factor("frame", self.network(frame, *self._given(context)), frame)

    def _decode(self, context, uniforms, sampler):
        levels, log_probs = sampler.raster(self.network, uniforms, *self._given(context))
        return levels, [log_probs]

    def _given(self, context):
        return self.previous(context.previous, self.conditioning(context.hidden["past"]))


class GroupsDecoder(FrameDecoder):
    """`OT`: groups 1 to 4 at full size, group 1 from the past alone. Terms "group1" … "group4".

    `OT_upscaler`: groups 2 to 4; group 1 is the frame at half its size, which is given. Terms such
    as "64to128/group2".
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.upscales = config.variant == "OT_upscaler"
        self.scale = ScaleDecoder(
            config,
            self.distribution,
            config.image_size,
            groups=(2, 3, 4) if self.upscales else GROUPS,
            prefix=None if self.upscales else "",
            conditioning_features=0 if self.upscales else config.lstm_features,
            name="scale",
        )

    def build(self, past_shape: Any = None) -> None:
        self.scale.build()

    def output_biases(self) -> list[keras.Variable]:
        return self.scale.output_biases()

    def term_dims(self) -> dict[str, int]:
        return dict(self.scale.term_dims)

    def factors(self, context: FrameContext, frame: Tensor) -> Iterator[Factor]:
        return self.scale.factors(context.previous, frame, self._hidden(context))

    def _decode(self, context, uniforms, sampler):
        given = [context.low] if self.upscales else []
        return self.scale.decode(context.previous, given, uniforms, self._hidden(context), sampler)

    def _hidden(self, context):
        return None if self.upscales else context.hidden["past"]


class PyramidDecoder(FrameDecoder):
    """`OTlogN`: an autoregressive base, then groups 2 to 4 of each scale. Terms as for images.

    It has only the scales that the model holds (`config.scale`).
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        policy = self.dtype_policy
        self.encoder_of = {
            scale: name for name, scales in config.encoder_groups().items() for scale in scales
        }
        self.base: Any = None
        if "base" in config.held_scales:
            self.previous = make_previous_frame(config)
            self.conditioning = make_conditioning(config, config.base_size)
            self.base = GatedPixelCNN(
                self.distribution,
                config.base_layers,
                config.base_features,
                config.head_features,
                config.first_kernel,
                predicted=config.sees_previous,
                gated_kernel=config.gated_kernel,
                conditioning_features=config.lstm_features + self.previous.features,
                **config.pixel_arguments,
                dtype=policy,
                name="base",
            )
        self.indices = [i for i in range(1, len(config.sizes)) if self._name(i) in self.encoder_of]
        self.scales = [
            ScaleDecoder(
                config,
                self.distribution,
                config.sizes[index],
                conditioning_features=config.lstm_features,
                name=f"scale{index}",
            )
            for index in self.indices
        ]

    def build(self, past_shape: Any = None) -> None:
        base = (self.previous, self.conditioning, self.base) if self.base is not None else ()
        for layer in (*base, *self.scales):
            layer.build()

    def output_biases(self) -> list[keras.Variable]:
        base = [] if self.base is None else [self.base.output_bias]
        return [*base, *(bias for scale in self.scales for bias in scale.output_biases())]

    def term_dims(self) -> dict[str, int]:
        dims = {}
        if self.base is not None:
            dims["base"] = math.prod(self.config.base_size) * self.config.channels
        for scale in self.scales:
            dims |= scale.term_dims
        return dims

    def factors(self, context: FrameContext, frame: Tensor) -> Iterator[Factor]:
        before, own = self._pyramid(context.previous), self._pyramid(frame)
        if self.base is not None:
            yield Factor("base", self.base(own[0], *self._given(context, before[0])), own[0])
        for index, scale in zip(self.indices, self.scales, strict=True):
            yield from scale.factors(before[index], own[index], self._hidden(context, index))

    def _decode(self, context, uniforms, sampler):
        before, own = self._pyramid(context.previous), self._pyramid(uniforms)
        levels, base_log_probs = sampler.raster(self.base, own[0], *self._given(context, before[0]))
        log_probs = [base_log_probs]
        for index, scale in zip(self.indices, self.scales, strict=True):
            hidden = self._hidden(context, index)
            levels, own_log_probs = scale.decode(
                before[index], [levels], own[index], hidden, sampler
            )
            log_probs += own_log_probs
        return levels, log_probs

    def _pyramid(self, images):
        return pixels.pyramid(images, len(self.config.sizes))

    def _name(self, index):
        return self.config.scale_names[index]

    def _hidden(self, context, index):
        """The hidden state for the scale at `index`, from the encoder of the past that it uses."""
        return context.hidden[self.encoder_of[self._name(index)]]

    def _given(self, context, previous):
        """Conditioning and prediction for the base. The prediction is None if the base does not see
        the previous frame, or if `prediction_path` is "none"."""
        return self.previous(previous, self.conditioning(self._hidden(context, 0)))


DECODERS = {
    "OT_baseline": IndependentDecoder,
    "OTN": RasterDecoder,
    "OT": GroupsDecoder,
    "OTlogN": PyramidDecoder,
    "OT_upscaler": GroupsDecoder,
}


def depth_to_space(maps: Tensor, stride: int) -> Tensor:
    """The inverse of `encoders.frames.stack_blocks`: `[N, h, w, s²·F]` → `[N, s·h, s·w, F]`."""
    if stride == 1:
        return maps
    _, height, width, features = maps.shape
    maps = ops.reshape(maps, (-1, height, width, stride, stride, features // stride**2))
    maps = ops.transpose(maps, (0, 1, 3, 2, 4, 5))
    return ops.reshape(maps, (-1, height * stride, width * stride, features // stride**2))
