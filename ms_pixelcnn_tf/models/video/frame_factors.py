"""The shared parts of the decoders of a frame: their context, their base class, and one scale.

Each decoder splits log p(frame | past) into *factors*, conditional distributions of whole maps of
pixels. Scoring evaluates all factors on a true frame; decoding fills the frame factor by factor.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.distributions import Distribution
from ms_pixelcnn_tf.encoders.frame_context import make_conditioning
from ms_pixelcnn_tf.models.scale import Factor, distribution_of, make_scale, sum_pixels
from ms_pixelcnn_tf.sampling.samplers import CachedSampler, NaiveSampler
from ms_pixelcnn_tf.types import Tensor


class FrameContext(NamedTuple):
    """The inputs from which frames are predicted; N counts frames, of any number of videos."""

    previous: Any  # [N, H, W, C] levels of the previous frame
    hidden: Any = None  # name of an encoder → its state after that frame, [N, h, w, F]; or None
    low: Any = None  # [N, H/2, W/2, C] levels of the frame itself at half its size, if given


class FrameDecoder(keras.layers.Layer):
    """A factorisation of a frame given the past: the base class of the decoders.

    `self.distribution` is the distribution of a pixel. Sub-classes implement the methods that raise
    NotImplementedError here.
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.distribution = distribution_of(config)

    def term_dims(self) -> dict[str, int]:
        """Name of each term → number of its sub-pixels in one frame."""
        raise NotImplementedError

    def output_biases(self) -> list[keras.Variable]:
        """Variables: the bias of each network's output parameters, channel by channel."""
        raise NotImplementedError

    def factors(self, context: FrameContext, frame: Tensor) -> Iterator[Factor]:
        """Yields the `Factor`s in order, given the true frame `[N, H, W, C]`."""
        raise NotImplementedError

    def log_prob_terms(self, context: FrameContext, frame: Tensor) -> dict[str, Tensor]:
        """The terms of log p(frame | past): name → `[N]` nats."""
        return {
            factor.term: sum_pixels(self.distribution.log_prob(factor.params, factor.levels))
            for factor in self.factors(context, frame)
        }

    def decode(
        self, context: FrameContext, uniforms: Tensor, score: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Decodes one frame with a cache, so that nothing is computed twice.

        Args:
            context: a `FrameContext`.
            uniforms: `[N, H, W, C]` in [0, 1).
            score: whether to return the log-probability.

        Returns:
            `[N, H, W, C]` int32 levels, and their log p, `[N]` nats, or None.
        """
        levels, log_probs = self._decode(context, uniforms, CachedSampler(score))
        return levels, sum(map(sum_pixels, log_probs)) if score else None

    def decode_naive(self, context: FrameContext, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """`decode` without a cache (`NaiveSampler`)."""
        levels, log_probs = self._decode(context, uniforms, NaiveSampler())
        return levels, sum(map(sum_pixels, log_probs))

    def _decode(self, context, uniforms, sampler):
        """Levels, and a list of each factor's log-probabilities per sub-pixel."""
        raise NotImplementedError


class ScaleDecoder(keras.layers.Layer):
    """One scale of a frame, given the past at that scale.

    The past is the ConvLSTM's state and, if the networks see it, the previous frame.

    Args:
        config: a `configs.VideoConfig`.
        distribution: the distribution of a pixel.
        size: `(height, width)` of the scale.
        groups: the groups to model; those before the first are given.
        prefix: prefix of the terms' names; None: made from the sizes, such as "8to16/".
        conditioning_features: width of the conditioning; 0 for none.
    """

    def __init__(
        self,
        config: VideoConfig,
        distribution: Distribution,
        size: tuple[int, int],
        groups: Sequence[int] = (2, 3, 4),
        prefix: str | None = None,
        conditioning_features: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        height, width = size
        self.conditioning = None
        if conditioning_features:
            self.conditioning = make_conditioning(config, (height // 2, width // 2))
        self.previous_groups = pixels.split_groups if config.sees_previous else no_groups
        self.scale = make_scale(
            config,
            distribution,
            size,
            groups,
            prefix,
            previous=config.sees_previous,
            conditioning_features=conditioning_features,
            dtype=self.dtype_policy,
        )
        self.term_dims = self.scale.term_dims
        self.upscalers = list(self.scale.upscalers.values())

    def build(self, past_shape: Any = None) -> None:
        if self.conditioning is not None:
            self.conditioning.build()
        for upscaler in self.upscalers:
            upscaler.build()

    def output_biases(self) -> list[keras.Variable]:
        """As for `FrameDecoder.output_biases`."""
        return [upscaler.output_bias for upscaler in self.upscalers]

    def factors(self, previous: Tensor, frame: Tensor, hidden: Tensor | None) -> Iterator[Factor]:
        """Yields each group's `Factor`; `previous` and `frame` are `[N, H, W, C]` at this scale."""
        return self.scale.factors(frame, self._conditioning(hidden), self.previous_groups(previous))

    def decode(
        self,
        previous: Tensor,
        given: Sequence[Tensor],
        uniforms: Tensor,
        hidden: Tensor | None,
        sampler: CachedSampler | NaiveSampler,
    ) -> tuple[Tensor, list[Tensor | None]]:
        """As for `Scale.decode`."""
        conditioning, groups = self._conditioning(hidden), self.previous_groups(previous)
        return self.scale.decode(given, uniforms, conditioning, sampler, groups)

    def _conditioning(self, hidden):
        return None if self.conditioning is None else self.conditioning(hidden)


def no_groups(frames: Tensor) -> list[Tensor]:
    """`[N, 2H, 2W, C]` → one empty map `[N, H, W, 0]`, to hide the previous frame."""
    return [frames[:, ::2, ::2, :0]]
