"""Softmax laws over levels: one free logit per level, as in the paper, or these plus a tent."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.distributions.shared import at_least_float32, count_holding, following
from ms_pixelcnn_tf.pixels import to_unit
from ms_pixelcnn_tf.types import Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class FreeCategorical:
    """Softmax over `num_levels` levels, one free logit per level. The network must order the
    channels: the parameters of channel c may depend only on earlier channels
    (`channel_autoregressive`).

    Reference: van den Oord et al. (2016a), section 3.4; Reed et al. (2017), section 4.
    """

    channel_autoregressive = True

    def __init__(self, num_levels: int, channels: int) -> None:
        self.num_levels = num_levels
        self.channels = channels

    @property
    def num_outputs(self) -> int:
        """Number of parameters per channel."""
        return self.num_levels

    @property
    def num_params(self) -> int:
        """Number of parameters per pixel."""
        return self.num_outputs * self.channels

    def get_config(self) -> dict[str, Any]:
        return {"num_levels": self.num_levels, "channels": self.channels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FreeCategorical":
        return cls(**config)

    def initial_params(self) -> np.ndarray:
        """Initial parameters of a pixel, `[num_params]`."""
        return np.zeros(self.num_params, "float32")

    def channel_rows(self) -> np.ndarray:
        """`[0 or 1, num_outputs]`: initial weights from a channel's prediction to its parameters.
        Without a row, the output layer draws them like any other weights."""
        return np.zeros((0, self.num_outputs), "float32")

    def prediction_rows(self) -> np.ndarray:
        """`[0 or C, num_params]`: `channel_rows` for a whole pixel."""
        return np.kron(np.eye(self.channels, dtype="float32"), self.channel_rows())

    def log_prob(self, params: Tensor, levels: Tensor) -> Tensor:
        """Log-probability of each channel given the earlier channels.

        Args:
            params: `[..., num_params]`, channel by channel.
            levels: `[..., C]` integers in 0…L-1.

        Returns:
            `[..., C]` nats.
        """
        params = at_least_float32(params)
        shape = (*ops.shape(params)[:-1], self.channels, self.num_outputs)
        return self._log_prob_of(self._logits(ops.reshape(params, shape), levels), levels)

    def decode_channel(
        self, params: list[Tensor], previous: list[Tensor], uniforms: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decodes one channel by inverse CDF: the smallest level whose CDF exceeds the uniform.

        Args:
            params: list of `[..., num_params/C]`, for the channels up to the one to decode.
            previous: list of `[...]` int32 levels of the earlier channels.
            uniforms: `[...]` in [0, 1).

        Returns:
            `[...]` int32 levels and their `[...]` log-probabilities.
        """
        logits = self._last_logits([at_least_float32(part) for part in params], previous)
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        levels = self._search(weights, ops.cast(uniforms, logits.dtype))
        return levels, self._log_prob_of(logits, levels)

    def _logits(self, params, levels):
        """`[..., C, L]` from the parameters `[..., C, num_outputs]` and levels of all channels."""
        return params

    def _last_logits(self, params, previous):
        """`[..., L]` for the last channel in `params`, given the levels of the earlier channels."""
        return params[-1]

    def _search(self, weights, uniforms):
        """The smallest level whose CDF exceeds the uniform: first its block, then its place there.

        Summing blocks is cheaper than a running sum over all levels.
        """
        size = math.isqrt(self.num_levels)
        if size * size != self.num_levels:
            size = self.num_levels  # one block
        num_blocks = self.num_levels // size
        blocks = ops.reshape(weights, (*ops.shape(weights)[:-1], num_blocks, size))
        sums = ops.cumsum(ops.sum(blocks, axis=-1), axis=-1)
        threshold = uniforms[..., None] * sums[..., -1:]
        block = _passed(sums, threshold)
        # A mask, because a gather takes dozens of operations, each as slow for one pixel as this.
        before = ops.where(np.arange(num_blocks) == block - 1, sums, 0.0)
        before = ops.sum(before, axis=-1, keepdims=True)
        # A threshold equal to the sum before the block is raised by up to half a unit in the last
        # place: a level whose weight rounds away in that sum must not be returned.
        lost = 0.25 * _epsilon(weights.dtype) * before
        threshold = ops.maximum(threshold - before, lost)
        here = np.arange(num_blocks)[:, None] == block[..., None]
        within = ops.sum(ops.where(here, blocks, 0.0), axis=-2)
        place = _passed(ops.cumsum(within, axis=-1), threshold)
        return (block * size + place)[..., 0]

    def _log_prob_of(self, logits, levels):
        return -ops.sparse_categorical_crossentropy(
            ops.cast(levels, "int32"), logits, from_logits=True
        )


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Categorical(FreeCategorical):
    """A softmax over levels whose logits include a tent around a predicted level.

    A plain 256-way softmax starts slowly: it has to learn from scratch that levels are ordered. So
    the logits of a channel are free logits plus a tent, -|v - μ|/σ. The network also outputs the
    centre μ and the width σ; μ depends linearly on the earlier channels, like the means of a DMOL.
    The free logits can undo the tent, so the law can be any softmax. This departs from the paper.

    Parameters of a channel: L free logits, the centre m, log σ, and C-1 coefficients. All values
    are on [-1, 1].
    """

    log_width_range = (-7.0, 7.0)

    @property
    def num_outputs(self) -> int:
        """Number of parameters per channel."""
        return self.num_levels + 1 + self.channels

    def initial_params(self) -> np.ndarray:
        """Initial parameters of a pixel, `[num_params]`: a narrow tent, free logits of zero."""
        params = np.zeros((self.channels, self.num_outputs), "float32")
        params[:, self.num_levels + 1] = -2.5
        params[:, self.num_levels + 2 :] = following(self.channels)
        return params.reshape(-1)

    def channel_rows(self) -> np.ndarray:
        """`[1, num_outputs]`: a channel's prediction is added to the centre of its tent."""
        return np.eye(1, self.num_outputs, self.num_levels, dtype="float32")

    def _logits(self, params, levels):
        parts = ops.unstack(params[..., self.num_levels :], num=self.channels, axis=-2)
        previous = ops.unstack(levels, num=self.channels, axis=-1)
        centres = [self._centre(parts[: index + 1], previous) for index in range(self.channels)]
        return self._with_tent(params, ops.stack(centres, axis=-1))

    def _last_logits(self, params, previous):
        centre = self._centre([part[..., self.num_levels :] for part in params], previous)
        return self._with_tent(params[-1], centre)

    def _centre(self, parts, previous):
        """`[...]` tent centre of the last of `parts`, each `[centre, log σ, coefficients]`."""
        centre = parts[-1][..., 0]
        for index, part in enumerate(parts[:-1]):
            value = to_unit(previous[index], self.num_levels, centre.dtype)
            centre = centre + ops.tanh(parts[-1][..., 2 + index]) * (value - part[..., 0])
        return centre

    def _with_tent(self, params, centre):
        """`[..., L]` logits from a channel's parameters `[..., L+1+C]` and tent centre `[...]`."""
        log_width = ops.clip(params[..., self.num_levels + 1, None], *self.log_width_range)
        values = to_unit(np.arange(self.num_levels), self.num_levels, centre.dtype)
        distance = ops.abs(values - centre[..., None])
        return params[..., : self.num_levels] - distance * ops.exp(-log_width)


def _passed(sums, threshold):
    """Index of the first running sum above the threshold, `[..., 1]` int32.

    Sums within a block and sums over blocks round differently, so the threshold may exceed them
    all. The index is then that of the first sum equal to the last one, not the last place, whose
    weight may be zero.
    """
    return count_holding((sums <= threshold) & (sums < sums[..., -1:]))


def _epsilon(dtype):
    """The distance from 1 to the next larger number of a dtype, float32 or float64."""
    return float(np.finfo(keras.backend.standardize_dtype(dtype)).eps)
