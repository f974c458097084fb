"""Softmax laws over levels: one free logit per level, as in the paper, or those plus a tent."""

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
    channels: parameters of channel c may depend on channels before c (`channel_autoregressive`).

    Reference: van den Oord et al. (2016a), section 3.4; Reed et al. (2017), section 4.
    """

    channel_autoregressive = True

    def __init__(self, num_levels: int, channels: int) -> None:
        self.num_levels = num_levels
        self.channels = channels

    @property
    def num_outputs(self) -> int:
        """Parameters of a channel."""
        return self.num_levels

    @property
    def num_params(self) -> int:
        """Parameters of a pixel."""
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
        """`[0 or 1, num_outputs]`: how a prediction of a channel enters its parameters at the
        start; no row where an output layer draws it like any other input."""
        return np.zeros((0, self.num_outputs), "float32")

    def prediction_rows(self) -> np.ndarray:
        """`[0 or C, num_params]`: `channel_rows` of a whole pixel."""
        return np.kron(np.eye(self.channels, dtype="float32"), self.channel_rows())

    def log_prob(self, params: Tensor, levels: Tensor) -> Tensor:
        """Args:
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
        """One channel by inverse CDF: the smallest level whose CDF exceeds the uniform.

        Args:
            params: list of `[..., num_params/C]`, of the channels up to the one to decode.
            previous: list of `[...]` int32 levels of the channels before it.
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
        """`[..., L]` of the last channel of `params`, given the levels of those before it."""
        return params[-1]

    def _search(self, weights, uniforms):
        """The smallest level whose CDF exceeds the uniform: its block first, then its place there.

        Summing blocks is cheaper than the whole running sum over the levels.
        """
        size = math.isqrt(self.num_levels)
        if size * size != self.num_levels:
            size = self.num_levels  # one block
        num_blocks = self.num_levels // size
        blocks = ops.reshape(weights, (*ops.shape(weights)[:-1], num_blocks, size))
        sums = ops.cumsum(ops.sum(blocks, axis=-1), axis=-1)
        threshold = uniforms[..., None] * sums[..., -1:]
        block = _passed(sums, threshold)
        # Picked by a mask: a gather takes dozens of operations, each as dear to a pixel as this.
        before = ops.where(np.arange(num_blocks) == block - 1, sums, 0.0)
        before = ops.sum(before, axis=-1, keepdims=True)
        # Where the threshold is the sum before to the bit, it is taken half a bit higher: a weight
        # lost in that sum is no level to return.
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
    """A softmax with a tent.

    A plain 256-way softmax starts slowly: it has to learn from scratch that levels are ordered. So
    the logits of a channel are free ones plus a tent, -|v - μ|/σ, whose centre μ and width σ are
    outputs too; μ moves linearly with the channels before, as a DMOL's means do. The law stays any
    softmax whatever, since the free logits can undo the tent. It is a departure from the paper.

    Parameters of a channel: L free logits, the centre m, log σ, and C-1 coefficients. All values
    are on [-1, 1].
    """

    log_width_range = (-7.0, 7.0)

    @property
    def num_outputs(self) -> int:
        """Parameters of a channel."""
        return self.num_levels + 1 + self.channels

    def initial_params(self) -> np.ndarray:
        """Initial parameters of a pixel, `[num_params]`: a narrow tent, free logits of zero."""
        params = np.zeros((self.channels, self.num_outputs), "float32")
        params[:, self.num_levels + 1] = -2.5
        params[:, self.num_levels + 2 :] = following(self.channels)
        return params.reshape(-1)

    def channel_rows(self) -> np.ndarray:
        """`[1, num_outputs]`: a prediction of a channel enters as the centre of its tent."""
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
        """`[...]` centre of the last of `parts` (centre, log-width, coefficients of a channel)."""
        centre = parts[-1][..., 0]
        for index, part in enumerate(parts[:-1]):
            value = to_unit(previous[index], self.num_levels, centre.dtype)
            centre = centre + ops.tanh(parts[-1][..., 2 + index]) * (value - part[..., 0])
        return centre

    def _with_tent(self, params, centre):
        """`[..., L]` from a channel's parameters `[..., L+1+C]` and its tent's centre `[...]`."""
        log_width = ops.clip(params[..., self.num_levels + 1, None], *self.log_width_range)
        values = to_unit(np.arange(self.num_levels), self.num_levels, centre.dtype)
        distance = ops.abs(values - centre[..., None])
        return params[..., : self.num_levels] - distance * ops.exp(-log_width)


def _passed(sums, threshold):
    """How many running sums are passed, `[..., 1]` int32: the first place above the threshold.

    A block's own last sum and the sums over blocks round apart, so that the threshold may lie above
    all. Then it is the first place that reaches the last sum, not the last place: that one's weight
    may be nothing.
    """
    return count_holding((sums <= threshold) & (sums < sums[..., -1:]))


def _epsilon(dtype):
    """The distance from 1 to the next number of a dtype, float32 or float64."""
    return float(np.finfo(keras.backend.standardize_dtype(dtype)).eps)
