"""What the factorisations of a frame share: what they are given, what they answer, and one scale.

Each decoder splits log p(frame | past) into *factors*, conditional laws of whole maps of pixels.
Scoring evaluates all factors on a true frame; decoding fills the frame factor by factor.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.distributions import Distribution, make_distribution
from ms_pixelcnn_tf.encoders.frame_context import conditioning_of
from ms_pixelcnn_tf.networks import TypeA, make_type_a
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.types import Tensor


class Past(NamedTuple):
    """What a frame is given; N is frames, of any number of videos."""

    previous: Any  # [N, H, W, C] levels of the frame before
    hidden: Any = None  # [N, h, w, F] the ConvLSTM's state after it; None: the decoder has none
    low: Any = None  # [N, H/2, W/2, C] levels of the frame itself at half its size, where given


class Factor(NamedTuple):
    """One factor of log p(frame | past), teacher-forced."""

    term: str  # name of the term it belongs to
    params: Any  # [N, h, w, ..., num_params] of the decoder's distribution
    levels: Any  # [N, h, w, ..., C] what they are scored on


class FrameDecoder(keras.layers.Layer):
    """A factorisation of a frame given the past; `self.distribution` is the law of its pixels.

    Sub-classes have the verbs that raise NotImplementedError here; `_decode` is handed the ways to
    decode a map of pixels.
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.distribution = make_distribution(
            config.output,
            config.num_levels,
            config.channels,
            config.num_mixtures,
            config.softmax_law,
        )

    def term_dims(self) -> dict[str, int]:
        """Name of each term → its sub-pixels, of one frame."""
        raise NotImplementedError

    def output_biases(self) -> list[keras.Variable]:
        """The bias of each network's parameters, channel by channel: a list of variables."""
        raise NotImplementedError

    def factors(self, past: Past, frame: Tensor) -> Iterator[Factor]:
        """The `Factor`s in order, given the true frame `[N, H, W, C]`."""
        raise NotImplementedError

    def log_prob_terms(self, past: Past, frame: Tensor) -> dict[str, Tensor]:
        """The terms of log p(frame | past): name → `[N]` nats."""
        return {
            factor.term: sum_frame(self.distribution.log_prob(factor.params, factor.levels))
            for factor in self.factors(past, frame)
        }

    def decode(
        self, past: Past, uniforms: Tensor, score: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """One frame, with nothing computed twice.

        Args:
            past: a `Past`.
            uniforms: `[N, H, W, C]` in [0, 1).
            score: whether to return the log-probability.

        Returns:
            `[N, H, W, C]` int32 levels, and their log p, `[N]` nats, or None.
        """
        levels, log_probs = self._decode(past, uniforms, Cached(score))
        return levels, sum(map(sum_frame, log_probs)) if score else None

    def decode_naive(self, past: Past, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """`decode`, with one full evaluation of a network a sub-pixel."""
        levels, log_probs = self._decode(past, uniforms, Naive())
        return levels, sum(map(sum_frame, log_probs))

    def _decode(self, past, uniforms, ways):
        """Levels, and a list of log-probabilities a sub-pixel."""
        raise NotImplementedError


class Cached:
    """How each kind of map is decoded, with nothing computed twice.

    Every verb returns levels and log-probabilities, as the functions of `sampling` do.
    """

    def __init__(self, score: bool) -> None:
        self.score = score

    def independent(
        self, distribution: Distribution, params: Callable[[], Tensor], uniforms: Tensor
    ) -> tuple[Tensor, ...]:
        """Sub-pixels that do not look at one another, each a pixel of the law's one channel:
        `params()` → parameters of all."""
        all_params, own = params(), uniforms[..., None]
        decoded = loops.decode_pixels(distribution, lambda channel, levels: all_params, own)
        return tuple(part[..., 0] for part in decoded)

    def raster(
        self,
        network: keras.layers.Layer,
        cache: Callable,
        uniforms: Tensor,
        conditioning: Tensor,
        prediction: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Pixels in raster order, by a network and the class that remembers for it."""
        return loops.decode_raster(
            network, cache, uniforms, self.score, conditioning=conditioning, prediction=prediction
        )

    def group(
        self, upscaler: TypeA, context: Tensor, uniforms: Tensor, conditioning: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """A group of a scale."""
        known = upscaler.trunk(context, conditioning)
        return loops.decode_group(upscaler, known, uniforms, self.score)


class Naive:
    """`Cached`'s verbs, with one full evaluation of the network a sub-pixel."""

    def independent(
        self, distribution: Distribution, params: Callable[[], Tensor], uniforms: Tensor
    ) -> tuple[Tensor, ...]:
        height, width, channels = uniforms.shape[1:]
        row = ops.reshape(uniforms, (-1, height, width * channels, 1))  # one channel each

        def all_params(levels):
            return ops.reshape(params(), (-1, height, width * channels, distribution.num_params))

        shape = (-1, height, width, channels)
        decoded = loops.decode_naive(distribution, all_params, row)
        return tuple(ops.reshape(part, shape) for part in decoded)

    def raster(
        self,
        network: keras.layers.Layer,
        cache: Callable,
        uniforms: Tensor,
        conditioning: Tensor,
        prediction: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        return loops.decode_naive(
            network.distribution, lambda x: network(x, conditioning, prediction), uniforms
        )

    def group(
        self, upscaler: TypeA, context: Tensor, uniforms: Tensor, conditioning: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return loops.decode_group_naive(
            upscaler, lambda x: upscaler(upscaler.trunk(context, conditioning), x), uniforms
        )


class ScaleDecoder(keras.layers.Layer):
    """The groups of one scale, of type A, each given the frame before at that scale as well, if the
    networks see it. If not, group 1 is given the conditioning alone.

    Args:
        config: a `configs.VideoConfig`.
        distribution: the law of a pixel.
        size: `(height, width)` of the scale.
        groups: which are decoded, in order; those before the first are given.
        prefix: of the terms' names.
        conditioning_features: width of the conditioning; 0 for none.
    """

    def __init__(
        self,
        config: VideoConfig,
        distribution: Distribution,
        size: Sequence[int],
        groups: Sequence[int],
        prefix: str,
        conditioning_features: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.size = tuple(side // 2 for side in size)  # of the groups' maps
        self.conditioning = conditioning_of(config, self.size) if conditioning_features else None
        self.groups = groups
        self.before = pixels.split_groups if config.sees_previous else no_groups
        # Group 1 has nothing to predict from if it does not see the frame before.
        alone = {} if config.sees_previous else {"prediction_path": "none"}
        self.term_dims = {
            f"{prefix}group{group}": math.prod(self.size) * config.channels for group in groups
        }
        self.upscalers = [
            make_type_a(
                config.type_a_colour,
                distribution,
                group=group,
                num_blocks=config.residual_blocks,
                features=config.features,
                head_features=config.head_features,
                conditioning_features=conditioning_features,
                previous=config.sees_previous,
                residual_block=config.residual_block,
                **config.of_pixels | ({} if group > 1 else alone),
                dtype=self.dtype_policy,
                name=f"group{group}",
            )
            for group in groups
        ]

    def build(self, past_shape: Any = None) -> None:
        if self.conditioning is not None:
            self.conditioning.build()
        for upscaler in self.upscalers:
            upscaler.build()

    def _conditioning(self, hidden):
        return None if self.conditioning is None else self.conditioning(hidden)

    def output_biases(self) -> list[keras.Variable]:
        """As `FrameDecoder.output_biases`."""
        return [upscaler.output_bias for upscaler in self.upscalers]

    def factors(self, previous: Tensor, frame: Tensor, hidden: Tensor | None) -> Iterator[Factor]:
        """The groups' `Factor`s; `previous` and `frame` are `[N, H, W, C]` at this scale."""
        conditioning = self._conditioning(hidden)
        before, own = self.before(previous), pixels.split_groups(frame)
        for term, group, upscaler in zip(self.term_dims, self.groups, self.upscalers, strict=True):
            context = ops.concatenate(before + own[: group - 1], axis=-1)
            known = upscaler.trunk(context, conditioning)
            yield Factor(term, upscaler(known, own[group - 1]), own[group - 1])

    def decode(
        self,
        previous: Tensor,
        given: Sequence[Tensor],
        uniforms: Tensor,
        hidden: Tensor | None,
        ways: Cached | Naive,
    ) -> tuple[Tensor, list[Tensor]]:
        """The scale `[N, H, W, C]`, given its first groups, and a list of log-probabilities."""
        conditioning = self._conditioning(hidden)
        before, known, log_probs = self.before(previous), list(given), []
        for upscaler, own in zip(
            self.upscalers, pixels.split_groups(uniforms)[len(given) :], strict=True
        ):
            context = ops.concatenate(before + known, axis=-1)
            levels, group_log_probs = ways.group(upscaler, context, own, conditioning)
            known.append(levels)
            log_probs.append(group_log_probs)
        return pixels.merge_groups(known), log_probs


def no_groups(frames: Tensor) -> list[Tensor]:
    """`[N, 2H, 2W, C]` → what is seen of frames that may not be: one map `[N, H, W, 0]`."""
    return [frames[:, ::2, ::2, :0]]


def scale_prefix(size: Sequence[int]) -> str:
    """`(16, 16)` → "8to16/": of the names of the terms that lead to a scale."""
    return f"{format_size([side // 2 for side in size])}to{format_size(size)}/"


def sum_frame(log_probs: Tensor) -> Tensor:
    """Σ over all but the first axis."""
    return ops.sum(log_probs, axis=tuple(range(1, len(log_probs.shape))))
