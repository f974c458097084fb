"""The cached and the naive sampler, either of which decodes all pixels of a model.

Both have `independent`, `raster` and `group`, which map uniforms `[B, H, W, C]` to int32 levels and
their log-probabilities per sub-pixel (nats), as the functions of `loops` do.

Reference: Reed et al. (2017), section 3.1; caching as in Ramachandran et al. (2017).
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from ms_pixelcnn_tf.networks import GatedPixelCNN, MultiplicativePixelCNN
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.cached_multiplicative import CachedMultiplicativePixelCNN
from ms_pixelcnn_tf.sampling.cached_pixelcnn import CachedPixelCNN
from ms_pixelcnn_tf.types import Tensor

CACHES: dict[type, Callable] = {
    GatedPixelCNN: CachedPixelCNN,
    MultiplicativePixelCNN: CachedMultiplicativePixelCNN,
}


class CachedSampler:
    """Decodes with caches, so that hardly anything is computed twice.

    Args:
        score: whether to return log-probabilities; if not, they may be None.
    """

    def __init__(self, score: bool = True) -> None:
        self.score = score

    def independent(
        self, distribution: Any, params: Callable[[], Tensor], uniforms: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decodes sub-pixels that do not depend on one another. `distribution` has one channel;
        `params()` returns the parameters of all sub-pixels."""
        all_params = params()
        decoded = loops.decode_pixels(
            distribution, lambda channel, levels: all_params, uniforms[..., None]
        )
        return decoded[0][..., 0], decoded[1][..., 0]

    def pixels(
        self, distribution: Any, channel_params: Callable, uniforms: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Decodes pixels that do not depend on one another; see `loops.decode_pixels`."""
        return loops.decode_pixels(distribution, channel_params, uniforms)

    def raster(
        self,
        network: Any,
        uniforms: Tensor,
        conditioning: Tensor | None = None,
        prediction: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Decodes pixels in raster order; the type of `network` must be in `CACHES`."""
        given = {"conditioning": conditioning, "prediction": prediction}
        return loops.decode_raster(network, CACHES[type(network)], uniforms, self.score, **given)

    def group(self, upscaler: Any, encoded: Any, uniforms: Tensor) -> tuple[Tensor, Tensor | None]:
        """Decodes a group of a scale, from the context that its upscaler's trunk encoded."""
        return upscaler.decode(encoded, uniforms, self)


class NaiveSampler:
    """Evaluates the whole network once per sub-pixel: the cost of ancestral sampling.

    If the distribution does not order the channels, once per pixel.
    """

    def independent(
        self, distribution: Any, params: Callable[[], Tensor], uniforms: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `CachedSampler.independent`."""
        height, width, channels = uniforms.shape[1:]
        row = ops.reshape(uniforms, (-1, height, width * channels, 1))  # one channel each

        def all_params(levels):
            return ops.reshape(params(), (-1, height, width * channels, distribution.num_params))

        levels, log_probs = loops.decode_naive(distribution, all_params, row)
        shape = (-1, height, width, channels)
        return ops.reshape(levels, shape), ops.reshape(log_probs, shape)

    def raster(
        self,
        network: Any,
        uniforms: Tensor,
        conditioning: Tensor | None = None,
        prediction: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decodes pixels in raster order."""
        return loops.decode_naive(
            network.distribution, lambda levels: network(levels, conditioning, prediction), uniforms
        )

    def group(self, upscaler: Any, encoded: Any, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes a group of a scale, in the order in which its upscaler generates it. The trunk of
        type A or B, which does not read the group, runs once."""
        return loops.decode_naive(
            upscaler.distribution,
            lambda levels: upscaler(encoded, levels),
            uniforms,
            upscaler.channel_by_channel,
        )
