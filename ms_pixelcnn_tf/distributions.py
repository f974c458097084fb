"""The two output laws of a sub-pixel: a softmax over levels, and discretised logistics (DMOL).

Both offer the same verbs. `log_prob` scores whole pixels; `decode_channel` turns one uniform into
one sub-pixel by inverse CDF, given the channels of the pixel decoded before it. A decoded value is
an integer level, so what later sub-pixels see is exactly what `log_prob` will score.

The CDF is evaluated in the parameters' dtype, float32 at least. All log-probabilities are in nats.
"""

import math

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.pixels import to_unit

OUTPUTS = ("softmax", "dmol")


def make_distribution(
    output: str, num_levels: int, channels: int, num_mixtures: int
) -> "Categorical | DiscretizedLogisticMixture":
    """The distribution named `output`; `num_mixtures` counts only for "dmol".

    Raises:
        UserError: for an unknown name.
    """
    if output == "softmax":
        return Categorical(num_levels, channels)
    if output == "dmol":
        return DiscretizedLogisticMixture(num_levels, channels, num_mixtures)
    raise UserError(f"unknown output {output!r}; valid: {', '.join(OUTPUTS)}")


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class Categorical:
    """Softmax over `num_levels` levels. The network must order the channels: parameters of channel
    c may depend on channels before c (`channel_autoregressive`).

    A plain 256-way softmax starts slowly: it has to learn from scratch that levels are ordered. So
    the logits of a channel are free ones plus a tent, -|v - μ|/σ, whose centre μ and width σ are
    outputs too; μ moves linearly with the channels before, as a DMOL's means do. The law stays any
    softmax whatever, since the free logits can undo the tent.

    Parameters of a channel: L free logits, the centre m, log σ, and C-1 coefficients. All values
    are on [-1, 1].

    Reference: van den Oord et al. (2016a), section 3.4; Reed et al. (2017), section 4. The tent is
    a departure.
    """

    channel_autoregressive = True
    log_width_range = (-7.0, 7.0)

    def __init__(self, num_levels, channels):
        self.num_levels = num_levels
        self.channels = channels
        self.num_outputs = num_levels + 1 + channels  # a channel
        self.num_params = self.num_outputs * channels

    def get_config(self):
        return {"num_levels": self.num_levels, "channels": self.channels}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def initial_params(self):
        """Initial parameters of a pixel, `[num_params]`: a narrow tent, free logits of zero."""
        params = np.zeros((self.channels, self.num_outputs), "float32")
        params[:, self.num_levels + 1] = -2.5
        params[:, self.num_levels + 2 :] = _following(self.channels)
        return params.reshape(-1)

    def prediction_rows(self):
        """`[C, num_params]`: how a prediction of the pixel enters its parameters at the start, as
        the centre of its channel's tent."""
        rows = np.zeros((self.channels, self.channels, self.num_outputs), "float32")
        rows[..., self.num_levels] = np.eye(self.channels)
        return rows.reshape(self.channels, -1)

    def log_prob(self, params, levels):
        """Args:
            params: `[..., num_params]`, channel by channel.
            levels: `[..., C]` integers in 0…L-1.

        Returns:
            `[..., C]` nats.
        """
        params = _at_least_float32(params)
        shape = (*ops.shape(params)[:-1], self.channels, self.num_outputs)
        params = ops.reshape(params, shape)
        parts = ops.unstack(params[..., self.num_levels :], num=self.channels, axis=-2)
        previous = ops.unstack(levels, num=self.channels, axis=-1)
        centres = [self._centre(parts[: index + 1], previous) for index in range(self.channels)]
        logits = self._logits(params, ops.stack(centres, axis=-1))
        return self._log_prob_of(logits, levels)

    def decode_channel(self, params, previous, uniforms):
        """One channel by inverse CDF: the smallest level whose CDF exceeds the uniform.

        Args:
            params: list of `[..., num_params/C]`, of the channels up to the one to decode.
            previous: list of `[...]` int32 levels of the channels before it.
            uniforms: `[...]` in [0, 1).

        Returns:
            `[...]` int32 levels and their `[...]` log-probabilities.
        """
        params = [_at_least_float32(part) for part in params]
        centre = self._centre([part[..., self.num_levels :] for part in params], previous)
        logits = self._logits(params[-1], centre)
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        levels = self._search(weights, ops.cast(uniforms, logits.dtype))
        return levels, self._log_prob_of(logits, levels)

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

    def _centre(self, parts, previous):
        """`[...]` centre of the last of `parts` (centre, log-width, coefficients of a channel)."""
        centre = parts[-1][..., 0]
        for index, part in enumerate(parts[:-1]):
            value = to_unit(previous[index], self.num_levels, centre.dtype)
            centre = centre + ops.tanh(parts[-1][..., 2 + index]) * (value - part[..., 0])
        return centre

    def _logits(self, params, centre):
        """`[..., L]` from a channel's parameters `[..., L+1+C]` and its tent's centre `[...]`."""
        log_width = ops.clip(params[..., self.num_levels + 1, None], *self.log_width_range)
        values = to_unit(np.arange(self.num_levels), self.num_levels, centre.dtype)
        distance = ops.abs(values - centre[..., None])
        return params[..., : self.num_levels] - distance * ops.exp(-log_width)

    def _log_prob_of(self, logits, levels):
        return -ops.sparse_categorical_crossentropy(
            ops.cast(levels, "int32"), logits, from_logits=True
        )


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class DiscretizedLogisticMixture:
    """Mixture of logistics integrated over each level's bin, with linear dependence of G on R and
    of B on R and G; any number of channels.

    The mean of channel c in component k is m_c + Σ_{j<c} tanh(a_cj) (x_j - m_j): PixelCNN++ with the
    coefficients acting on what is left over after the earlier channels' own means. That is the
    same family, but a coefficient can change without moving the mean, so it learns faster.

    The mixture index is shared by the channels of a pixel, so channel c given the channels before
    it is a mixture whose weights are the *posterior* π_k ∏_{j<c} p_k(x_j). A bin's mass is taken
    in the closed form σ(b) - σ(a) = σ(b) σ(-a) (1 - e^{-(b-a)}), which is exact and has finite
    gradients for every scale; PixelCNN++ switches to density × width below a mass of 1e-5.

    Reference: Salimans et al. (2017), sections 2.1 and 2.2.
    """

    channel_autoregressive = False
    log_scale_range = (-7.0, 7.0)  # e^7 is flat over [-1, 1]; beyond it a bin's mass underflows

    def __init__(self, num_levels, channels, num_mixtures):
        self.num_levels = num_levels
        self.channels = channels
        self.num_mixtures = num_mixtures
        self.num_coefficients = channels * (channels - 1) // 2
        self.num_params = num_mixtures * (1 + 2 * channels + self.num_coefficients)

    def get_config(self):
        return {
            "num_levels": self.num_levels,
            "channels": self.channels,
            "num_mixtures": self.num_mixtures,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def initial_params(self):
        """Initial parameters of a pixel, `[num_params]`: equal weights, narrow components close
        together, to be carried by the prediction."""
        count, channels = self.num_mixtures, self.channels
        means = np.linspace(-0.3, 0.3, count) if count > 1 else np.zeros(1)
        return np.concatenate(
            [
                np.zeros(count),
                np.tile(means, channels),
                np.full(count * channels, -2.5),
                np.full(count * self.num_coefficients, _following(channels)),
            ]
        ).astype("float32")

    def prediction_rows(self):
        """`[C, num_params]`: how a prediction of the pixel enters its parameters at the start, as
        a shift of every component's mean."""
        count, channels = self.num_mixtures, self.channels
        rows = np.zeros((channels, self.num_params), "float32")
        rows[:, count : count * (1 + channels)] = np.repeat(np.eye(channels), count, axis=1)
        return rows

    def log_prob(self, params, levels):
        """Args:
            params: `[..., num_params]`: K logits, then C·K means (on [-1, 1]), C·K log-scales and
                K coefficients for each pair of channels.
            levels: `[..., C]` integers in 0…L-1.

        Returns:
            `[..., C]` nats: log p(x_c | x_<c).
        """
        weights, means, log_scales, coefficients = self._unpack(params)
        joint = ops.log_softmax(weights, axis=-1)
        terms, before = [], 0.0
        for channel in range(self.channels):
            mean = self._mean(means, coefficients, channel, levels)
            joint = joint + self._log_mass(mean, log_scales[channel], levels[..., channel])
            total = ops.logsumexp(joint, axis=-1)
            terms.append(total - before)
            before = total
        return ops.stack(terms, axis=-1)

    def decode_channel(self, params, previous, uniforms):
        """One channel by inverse CDF, found by search over the levels (the CDF is monotone).

        Args:
            params: list whose last entry holds `[..., num_params]`, of the whole pixel.
            previous: list of `[...]` int32 levels of the channels before it.
            uniforms: `[...]` in [0, 1).

        Returns:
            `[...]` int32 levels and their `[...]` log-probabilities.
        """
        channel = len(previous)
        weights, means, log_scales, coefficients = self._unpack(params[-1])
        posterior = ops.log_softmax(weights, axis=-1)
        for index in range(channel):
            mean = self._mean(means, coefficients, index, previous)
            posterior = posterior + self._log_mass(mean, log_scales[index], previous[index])
        posterior = ops.log_softmax(posterior, axis=-1)
        mean = self._mean(means, coefficients, channel, previous)
        levels = self._search(
            ops.exp(posterior), mean, ops.exp(-log_scales[channel]), ops.cast(uniforms, mean.dtype)
        )
        log_prob = ops.logsumexp(
            posterior + self._log_mass(mean, log_scales[channel], levels), axis=-1
        )
        return levels, log_prob

    def _search(self, weights, mean, inverse_scale, uniforms):
        """The smallest level whose CDF exceeds the uniform, digit by digit of the level.

        A few pixels cost by the operation and whole maps by the CDF's evaluations: hence the radix.
        """
        radix = 16 if len(uniforms.shape) == 1 else 4
        digits = math.ceil(math.log(self.num_levels, radix) - 1e-9)
        weights = weights[..., None, :]
        # Rounding may keep the weights' sum from 1: no uniform may lie above all of the CDF.
        threshold = uniforms[..., None] * ops.sum(weights, axis=-1)
        slope = (2.0 * self._half_bin * inverse_scale)[..., None, :]
        offset = ((self._half_bin - 1.0 - mean) * inverse_scale)[..., None, :]
        low = ops.zeros_like(uniforms, dtype="int32")
        for digit in reversed(range(digits)):
            below = low[..., None] + (np.arange(1, radix, dtype="int32") * radix**digit - 1)
            upper_edge = ops.cast(below, mean.dtype)[..., None] * slope + offset
            cdf = ops.sum(weights * ops.sigmoid(upper_edge), axis=-1)
            passed = cdf <= threshold
            if radix**digits > self.num_levels:
                passed = passed & (below < self.num_levels - 1)  # the top bin is open
            low = low + _sum(passed)[..., 0] * radix**digit
        return low

    @property
    def _half_bin(self):
        return 1.0 / (self.num_levels - 1)

    def _unpack(self, params):
        """`[..., P]` → `[..., K]` weights and lists, one `[..., K]` a channel (or pair)."""
        params = _at_least_float32(params)
        count, channels = self.num_mixtures, self.channels
        parts = ops.split(params, self.num_params // count, axis=-1)
        means = parts[1 : 1 + channels]
        log_scales = [
            ops.clip(p, *self.log_scale_range) for p in parts[1 + channels : 1 + 2 * channels]
        ]
        coefficients = [ops.tanh(p) for p in parts[1 + 2 * channels :]]
        return parts[0], means, log_scales, coefficients

    def _mean(self, means, coefficients, channel, levels):
        """Mean of `channel` given the levels of the channels before it."""
        mean = means[channel]
        first = channel * (channel - 1) // 2
        for index in range(channel):
            level = levels[index] if isinstance(levels, list) else levels[..., index]
            value = to_unit(level, self.num_levels, mean.dtype)[..., None]
            mean = mean + coefficients[first + index] * (value - means[index])
        return mean

    def _log_mass(self, mean, log_scale, levels):
        """log of the logistic's mass in each level's bin; the edge bins are open to ±∞."""
        value = to_unit(levels, self.num_levels, mean.dtype)[..., None]
        inverse_scale = ops.exp(-log_scale)
        upper = (value - mean + self._half_bin) * inverse_scale
        lower = (value - mean - self._half_bin) * inverse_scale
        below_upper = -ops.softplus(-upper)  # log σ(upper)
        above_lower = -ops.softplus(lower)  # log (1 - σ(lower))
        width = 2.0 * self._half_bin * inverse_scale
        inside = below_upper + above_lower + ops.log(-ops.expm1(-width))
        level = ops.cast(levels, "int32")[..., None]
        return ops.where(
            level <= 0, below_upper, ops.where(level >= self.num_levels - 1, above_lower, inside)
        )


def _passed(sums, threshold):
    """How many running sums the threshold has passed, `[..., 1]` int32: the first place above it.

    A block's own last sum and the sums over blocks round apart, so that the threshold may lie above
    all. Then it is the first place that reaches the last sum, not the last place: that one's weight
    may be nothing.
    """
    return _sum((sums <= threshold) & (sums < sums[..., -1:]))


def _epsilon(dtype):
    """The distance from 1 to the next number of a dtype, float32 or float64."""
    return float(np.finfo(keras.backend.standardize_dtype(dtype)).eps)


def _sum(passed):
    """How many of the last axis hold, `[..., 1]` int32; other backends sum to int64."""
    return ops.cast(ops.sum(ops.cast(passed, "int32"), axis=-1, keepdims=True), "int32")


def _following(channels):
    """Where channels are colours, they start out following one another: tanh(1) = 0.76."""
    return 1.0 if channels == 3 else 0.0


def _at_least_float32(params):
    return params if params.dtype == "float64" else ops.cast(params, "float32")
