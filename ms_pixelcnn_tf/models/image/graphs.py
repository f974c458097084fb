"""The compiled functions of an image model."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ms_pixelcnn_tf.models.checks import condition_shapes, uniforms_dtype
from ms_pixelcnn_tf.models.compiling import compile_function
from ms_pixelcnn_tf.models.image import factorisation

if TYPE_CHECKING:
    from ms_pixelcnn_tf.models.image.model import MultiscalePixelCNN


class ImageGraphs:
    """The compiled functions of a `MultiscalePixelCNN`, each traced when it is first called.

    Attributes:
        log_prob_terms, log_prob_by_pixel: take `(images, conditions)`. `likelihood` is the first.
        decode, decode_scored, decode_naive: take `(uniforms, conditions)`; the last two also return
            log p.
    """

    def __init__(self, model: "MultiscalePixelCNN") -> None:
        self._model = model
        self._conditions = condition_shapes(model.config)
        self._upscale = {}  # (index of the smaller size, of the larger) → function
        images = self._map(model.config.image_size, "int32")
        uniforms = self._map(model.config.image_size, uniforms_dtype(model.config))
        self.log_prob_terms, self.log_prob_by_pixel = (
            self._compile(score, images=images)
            for score in (factorisation.log_prob_terms, factorisation.log_prob_by_pixel)
        )
        self.likelihood = self.log_prob_terms
        self.decode, self.decode_scored, self.decode_naive = (
            self._compile(decode, uniforms=uniforms)
            for decode in (
                functools.partial(factorisation.decode_cached, score=False),
                functools.partial(factorisation.decode_cached, score=True),
                factorisation.decode_naive,
            )
        )

    def upscale(self, start: int, end: int) -> Callable:
        """`factorisation.upscale` from one of `model.sizes` to another, given their indices; takes
        `(levels, uniforms, conditions)`."""
        if (start, end) not in self._upscale:
            config = self._model.config
            smaller, larger = (self._model.sizes[index] for index in (start, end))
            self._upscale[start, end] = self._compile(
                functools.partial(factorisation.upscale, start=start),
                levels=self._map(smaller, "int32"),
                uniforms=self._map(larger, uniforms_dtype(config)),
            )
        return self._upscale[start, end]

    def _map(self, size, dtype):
        return (*size, self._model.config.channels), dtype

    def _compile(self, function, **shapes):
        return compile_function(function, self._model, **shapes, conditions=self._conditions)
