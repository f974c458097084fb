"""The two output laws of a sub-pixel: a softmax over levels, and discretised logistics (DMOL).

Both offer the same verbs. `log_prob` scores whole pixels; `decode_channel` turns one uniform into
one sub-pixel by inverse CDF, given the channels of the pixel decoded before it. A decoded value is
an integer level, so what later sub-pixels see is exactly what `log_prob` will score.

The CDF is evaluated in the parameters' dtype, float32 at least. All log-probabilities are in nats.
"""

import math

import numpy as np
from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.pixels import to_unit

OUTPUTS = ("softmax", "dmol")


def make_distribution(output, num_levels, channels, num_mixtures):
    """The distribution named `output`; `num_mixtures` counts only for "dmol".

    Raises:
        UserError: for an unknown name.
    """
    if output == "softmax":
        return Categorical(num_levels, channels)
    if output == "dmol":
        return DiscretizedLogisticMixture(num_levels, channels, num_mixtures)
    raise UserError(f"unknown output {output!r}; valid: {', '.join(OUTPUTS)}")


class Categorical:
    """Softmax over `num_levels` levels. The network must order the channels: logits of channel c
    may depend on channels before c (`channel_autoregressive`).

    Reference: van den Oord et al. (2016a), section 3.4; Reed et al. (2017), section 4.
    """

    channel_autoregressive = True
    bias_initializer = "zeros"

    def __init__(self, num_levels, channels):
        self.num_levels = num_levels
        self.channels = channels
        self.num_params = num_levels * channels

    def log_prob(self, params, levels):
        """Args:
            params: `[..., C·L]` logits, channel by channel.
            levels: `[..., C]` integers in 0…L-1.

        Returns:
            `[..., C]` nats.
        """
        params = _at_least_float32(params)
        logits = ops.reshape(params, (*ops.shape(params)[:-1], self.channels, self.num_levels))
        return self._log_prob_of(logits, levels)

    def decode_channel(self, params, channel, previous, uniforms):
        """One channel by inverse CDF: the smallest level whose CDF exceeds the uniform.

        Args:
            params: `[..., L]` logits of this channel.
            channel: its index; `previous`: levels of the channels before it. Both unused here:
                the logits already depend on them.
            uniforms: `[...]` in [0, 1).

        Returns:
            `[...]` int32 levels and their `[...]` log-probabilities.
        """
        del channel, previous
        logits = _at_least_float32(params)
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        cdf = ops.cumsum(weights, axis=-1)
        threshold = ops.cast(uniforms, cdf.dtype)[..., None] * cdf[..., -1:]
        levels = ops.sum(ops.cast(cdf <= threshold, "int32"), axis=-1)
        levels = ops.minimum(levels, self.num_levels - 1)  # rounding at u → 1
        return levels, self._log_prob_of(logits, levels)

    def _log_prob_of(self, logits, levels):
        index = ops.cast(levels, "int32")[..., None]
        chosen = ops.take_along_axis(logits, index, axis=-1)[..., 0]
        return chosen - ops.logsumexp(logits, axis=-1)


class DiscretizedLogisticMixture:
    """Mixture of logistics integrated over each level's bin, with linear dependence of G on R and
    of B on R and G; any number of channels.

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

    def bias_initializer(self, shape=None, dtype=None):
        """`[num_params]`: equal weights, means spread over the range, scales of e^-1.5."""
        means = np.linspace(-0.9, 0.9, self.num_mixtures) if self.num_mixtures > 1 else [0.0]
        return np.concatenate([
            np.zeros(self.num_mixtures),
            np.tile(means, self.channels),
            np.full(self.num_mixtures * self.channels, -1.5),
            np.zeros(self.num_mixtures * self.num_coefficients),
        ]).astype(dtype or "float32")

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

    def decode_channel(self, params, channel, previous, uniforms):
        """One channel by inverse CDF, found by bisection over the levels (the CDF is monotone).

        Args:
            params: `[..., num_params]` of the whole pixel.
            channel: index of the channel to decode.
            previous: list of `[...]` int32 levels of the channels before it.
            uniforms: `[...]` in [0, 1).

        Returns:
            `[...]` int32 levels and their `[...]` log-probabilities.
        """
        weights, means, log_scales, coefficients = self._unpack(params)
        posterior = ops.log_softmax(weights, axis=-1)
        for index in range(channel):
            mean = self._mean(means, coefficients, index, previous)
            posterior = posterior + self._log_mass(mean, log_scales[index], previous[index])
        posterior = ops.log_softmax(posterior, axis=-1)
        mean = self._mean(means, coefficients, channel, previous)
        probabilities = ops.exp(posterior)
        inverse_scale = ops.exp(-log_scales[channel])
        uniforms = ops.cast(uniforms, mean.dtype)

        low = ops.zeros_like(uniforms, dtype="int32")
        high = low + (self.num_levels - 1)
        for _ in range(math.ceil(math.log2(self.num_levels))):
            middle = (low + high) // 2
            edge = (to_unit(middle, self.num_levels, mean.dtype) + self._half_bin)[..., None]
            cdf = ops.sum(probabilities * ops.sigmoid((edge - mean) * inverse_scale), axis=-1)
            above = cdf > uniforms
            high = ops.where(above, middle, high)
            low = ops.where(above, low, ops.minimum(middle + 1, high))
        log_prob = ops.logsumexp(
            posterior + self._log_mass(mean, log_scales[channel], high), axis=-1
        )
        return high, log_prob

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
            mean = mean + coefficients[first + index] * value
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


def _at_least_float32(params):
    return params if params.dtype == "float64" else ops.cast(params, "float32")
