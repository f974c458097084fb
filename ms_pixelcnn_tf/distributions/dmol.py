"""The discretised mixture of logistics (DMOL): logistics integrated over each level's bin."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.distributions.shared import at_least_float32, count_holding, following
from ms_pixelcnn_tf.pixels import to_unit
from ms_pixelcnn_tf.types import Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class DiscretizedLogisticMixture:
    """Mixture of logistics integrated over each level's bin; each channel's means depend linearly
    on the earlier channels (G on R, B on R and G). Any number of channels.

    The mean of channel c in component k is m_c + Σ_{j<c} tanh(a_cj) (x_j - m_j). This is PixelCNN++
    with coefficients that act on the earlier channels' deviations from their own means. The family
    is the same, but a coefficient can change without moving the mean, so it learns faster.

    The channels of a pixel share the mixture index, so channel c given the earlier channels is a
    mixture whose weights are the *posterior* π_k ∏_{j<c} p_k(x_j). A bin's mass has the closed form
    σ(b) - σ(a) = σ(b) σ(-a) (1 - e^{-(b-a)}), which is exact and has finite gradients for every
    scale; PixelCNN++ switches to density × width below a mass of 1e-5.

    Reference: Salimans et al. (2017), sections 2.1 and 2.2.
    """

    channel_autoregressive = False
    log_scale_range = (-7.0, 7.0)  # e^7 is flat over [-1, 1]; beyond it a bin's mass underflows

    def __init__(self, num_levels: int, channels: int, num_mixtures: int) -> None:
        self.num_levels = num_levels
        self.channels = channels
        self.num_mixtures = num_mixtures
        self.num_coefficients = channels * (channels - 1) // 2
        self.num_params = num_mixtures * (1 + 2 * channels + self.num_coefficients)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_levels": self.num_levels,
            "channels": self.channels,
            "num_mixtures": self.num_mixtures,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DiscretizedLogisticMixture":
        return cls(**config)

    def initial_params(self) -> np.ndarray:
        """Initial parameters of a pixel, `[num_params]`: equal weights and narrow components close
        together, which the prediction shifts."""
        count, channels = self.num_mixtures, self.channels
        means = np.linspace(-0.3, 0.3, count) if count > 1 else np.zeros(1)
        return np.concatenate(
            [
                np.zeros(count),
                np.tile(means, channels),
                np.full(count * channels, -2.5),
                np.full(count * self.num_coefficients, following(channels)),
            ]
        ).astype("float32")

    def prediction_rows(self) -> np.ndarray:
        """`[C, num_params]`: initial weights from a prediction of the pixel to its parameters. Each
        channel's prediction shifts the means of all components."""
        count, channels = self.num_mixtures, self.channels
        rows = np.zeros((channels, self.num_params), "float32")
        rows[:, count : count * (1 + channels)] = np.repeat(np.eye(channels), count, axis=1)
        return rows

    def log_prob(self, params: Tensor, levels: Tensor) -> Tensor:
        """Log-probability of each channel given the earlier channels.

        Args:
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

    def decode_channel(
        self, params: list[Tensor], previous: list[Tensor], uniforms: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decodes one channel by inverse CDF: a search over the levels, as the CDF is monotone.

        Args:
            params: list whose last entry, `[..., num_params]`, holds those of the whole pixel.
            previous: list of `[...]` int32 levels of the earlier channels.
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
        """The smallest level whose CDF exceeds the uniform, found digit by digit.

        For a few pixels the number of operations sets the cost, so the radix is large; for whole
        maps the number of CDF evaluations does, so it is small.
        """
        radix = 16 if len(uniforms.shape) == 1 else 4
        digits = math.ceil(math.log(self.num_levels, radix) - 1e-9)
        weights = weights[..., None, :]
        # Rounding may leave the weights' sum below 1; no uniform may exceed the whole CDF.
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
            low = low + count_holding(passed)[..., 0] * radix**digit
        return low

    @property
    def _half_bin(self):
        return 1.0 / (self.num_levels - 1)

    def _unpack(self, params):
        """`[..., P]` → `[..., K]` logits and three lists of `[..., K]`, per channel or per pair."""
        params = at_least_float32(params)
        count, channels = self.num_mixtures, self.channels
        parts = ops.split(params, self.num_params // count, axis=-1)
        means = parts[1 : 1 + channels]
        log_scales = [
            ops.clip(p, *self.log_scale_range) for p in parts[1 + channels : 1 + 2 * channels]
        ]
        coefficients = [ops.tanh(p) for p in parts[1 + 2 * channels :]]
        return parts[0], means, log_scales, coefficients

    def _mean(self, means, coefficients, channel, levels):
        """`[..., K]` means of `channel` given the levels of the earlier channels."""
        mean = means[channel]
        first = channel * (channel - 1) // 2
        for index in range(channel):
            level = levels[index] if isinstance(levels, list) else levels[..., index]
            value = to_unit(level, self.num_levels, mean.dtype)[..., None]
            mean = mean + coefficients[first + index] * (value - means[index])
        return mean

    def _log_mass(self, mean, log_scale, levels):
        """Log of each component's mass in the bin of a level; the edge bins extend to ±∞."""
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
