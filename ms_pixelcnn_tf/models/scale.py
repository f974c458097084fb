"""One scale of an image or a frame: its groups, each with its own upscaler.

    log p(scale | context) = Σ over groups g of log p(x_g | x_1 … x_{g-1}, context)

The groups are the corners of the scale's 2x2 blocks. Group 1 is the next smaller scale, except in
the video variant `OT`, which has no pyramid and also models group 1.

Reference: Reed et al. (2017), section 3, equations 2 and 3.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs.shared import DensityConfig
from ms_pixelcnn_tf.distributions import Distribution, make_distribution
from ms_pixelcnn_tf.networks import TypeA, UpscalerB, make_type_a
from ms_pixelcnn_tf.sampling.samplers import CachedSampler, NaiveSampler
from ms_pixelcnn_tf.sizes import format_size
from ms_pixelcnn_tf.types import Tensor

GROUPS = (1, 2, 3, 4)


class Factor(NamedTuple):
    """One factor of log p, teacher-forced."""

    term: str  # name of the term that it adds to
    params: Any  # [B, h, w, ..., num_params] of the model's distribution
    levels: Any  # [B, h, w, ..., C] levels that are scored


class Scale:
    """The groups of one scale.

    Args:
        upscalers: group → its network, in order. The groups before the first are given.
        term_dims: name of each group's term, in the same order → number of its sub-pixels.
    """

    def __init__(
        self, upscalers: Mapping[int, TypeA | UpscalerB], term_dims: Mapping[str, int]
    ) -> None:
        self.upscalers, self.term_dims = dict(upscalers), dict(term_dims)

    def factors(
        self,
        image: Tensor,
        conditioning: Tensor | None,
        context: Sequence[Tensor] = (),
        cut: Callable[[Any], Any] | None = None,
    ) -> Iterator[Factor]:
        """Yields the `Factor` of each group, given the true image.

        Args:
            image: `[B, H, W, C]` levels of the scale.
            conditioning: `[B, 1 or H/2, 1 or W/2, E]`, a vector or a map, or None.
            context: maps `[B, H/2, W/2, ·]` of levels that the networks read in front of the
                groups, such as the groups of the previous frame.
            cut: cuts the scored part out of a map of the groups; None: all is scored.
        """
        groups = pixels.split_groups(image)
        for term, (group, upscaler) in zip(self.term_dims, self.upscalers.items(), strict=True):
            given, own = [*context, *groups[: group - 1]], groups[group - 1]
            encoded = upscaler.trunk(ops.concatenate(given, axis=-1), conditioning)
            if cut is None:
                yield Factor(term, upscaler(encoded, own), own)
            else:
                yield Factor(term, upscaler.scored(encoded, own, cut), cut(own))

    def decode(
        self,
        given: Sequence[Tensor],
        uniforms: Tensor,
        conditioning: Tensor | None,
        sampler: CachedSampler | NaiveSampler,
        context: Sequence[Tensor] = (),
    ) -> tuple[Tensor, list[Tensor | None]]:
        """The inverse of `factors`: decodes the scale's levels from uniforms, group by group.

        Args:
            given: the groups before the first decoded one, `[B, H/2, W/2, C]` levels.
            uniforms: `[B, H, W, C]` in [0, 1).
            conditioning, context: as for `factors`.
            sampler: decodes each group.

        Returns:
            `[B, H, W, C]` int32 levels, and a list of the log-probabilities of each decoded group,
            `[B, H/2, W/2, C]` (nats), or None where the sampler returns none.
        """
        groups, log_probs, drawn = list(given), [], pixels.split_groups(uniforms)
        for group, upscaler in self.upscalers.items():
            encoded = upscaler.trunk(ops.concatenate([*context, *groups], axis=-1), conditioning)
            levels, group_log_probs = sampler.group(upscaler, encoded, drawn[group - 1])
            groups.append(levels)
            log_probs.append(group_log_probs)
        return pixels.merge_groups(groups), log_probs


def make_scale(
    config: DensityConfig,
    distribution: Distribution,
    size: tuple[int, int],
    groups: Sequence[int] = GROUPS[1:],
    prefix: str | None = None,
    names: str = "group{group}",
    previous: bool = False,
    **arguments: Any,
) -> Scale:
    """A `Scale` with new upscalers of the configured type.

    Args:
        config: the model's configuration.
        distribution: the distribution of a pixel.
        size: `(height, width)` of the scale.
        groups: the groups to model.
        prefix: prefix of the terms' names; None: made from the sizes, such as "8to16/".
        names: format of the networks' names, with the fields `prefix` and `group`.
        previous: whether the context starts with the groups of the previous frame.
        **arguments: other arguments of the upscalers, such as `conditioning_features`.
    """
    height, width = (side // 2 for side in size)
    if prefix is None:
        prefix = f"{format_size((height, width))}to{format_size(size)}/"
    upscalers = {}
    for group in groups:
        own = config.pixel_arguments | arguments | {"group": group, "previous": previous}
        if group == 1 and not previous:  # it has no context to predict from
            own["prediction_path"] = "none"
        own["name"] = names.format(prefix=prefix.replace("/", "_"), group=group)
        upscalers[group] = _make_upscaler(config, distribution, (height, width), own)
    dims = height * width * config.channels
    return Scale(upscalers, {f"{prefix}group{group}": dims for group in groups})


def _make_upscaler(config, distribution, size, arguments):
    """The network of one group, for maps of `size`."""
    arguments |= {
        "num_blocks": config.residual_blocks,
        "features": config.features,
        "head_features": config.head_features,
        "residual_block": config.residual_block,
    }
    if config.upscaler == "A":
        return make_type_a(config.type_a_colour, distribution, **arguments)
    return UpscalerB(
        distribution,
        patch_size=tuple(min(config.patch_size, side) for side in size),
        decoder_layers=config.decoder_layers,
        decoder_features=config.decoder_features,
        gated_kernel=config.gated_kernel,
        **arguments,
    )


def distribution_of(config: DensityConfig) -> Distribution:
    """The distribution of a pixel that a configuration describes."""
    return make_distribution(
        config.output, config.num_levels, config.channels, config.num_mixtures, config.softmax_law
    )


def sum_pixels(log_probs: Tensor) -> Tensor:
    """Sums over all axes but the first: `[B, ...]` → `[B]`."""
    return ops.sum(log_probs, axis=tuple(range(1, len(log_probs.shape))))
