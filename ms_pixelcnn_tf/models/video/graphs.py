"""The compiled functions of a video model."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ms_pixelcnn_tf.models.checks import uniforms_dtype
from ms_pixelcnn_tf.models.compiling import compile_function
from ms_pixelcnn_tf.models.video import checks, rollout
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext

if TYPE_CHECKING:
    from ms_pixelcnn_tf.models.video.model import VideoPixelCNN


class VideoGraphs:
    """The compiled functions of a `VideoPixelCNN`, each traced when it is first called.

    Attributes:
        log_prob_by_frame: takes `(frames, conditions)`. `likelihood` is the same.
        start: takes `(given, sequences)`, the sequences up to the last given frame.
        step: `rollout.decode_step`.
        naive: takes `(uniforms, a FrameContext as a dict)`; returns one frame, decoded naively, and
            its log p.
    """

    def __init__(self, model: "VideoPixelCNN") -> None:
        self._model, config = model, model.config
        frame = self._levels(config.image_size)
        drawn = frame[0], uniforms_dtype(config)
        state = {}
        for name, encoder in model.pasts.items():
            shape = (*encoder.size, config.lstm_features)
            state[name] = {
                "hidden": (shape, model.compute_dtype),
                "cell": (shape, model.variable_dtype),
            }
        inputs = self._sequences()
        known: dict[str, Any] = {"previous": frame, "low": inputs.get("low")}
        if state:
            known = {
                "previous": frame,
                "hidden": {name: own["hidden"] for name, own in state.items()},
            }
        clip = self._levels((config.num_frames, *config.image_size))
        # OT_upscaler decodes clips with any G and T.
        any_length = not model.pasts
        given, total = (None, None) if any_length else (config.given_frames, config.num_frames)
        self._given, self._total = self._levels((given, *config.image_size)), total
        self._decode = {}  # (T - G, whether scored) → function

        self.log_prob_by_frame = self._compile(
            rollout.log_prob_by_frame, frames=clip, conditions=checks.condition_shapes(config)
        )
        self.likelihood = self.log_prob_by_frame
        self.start = self._compile(
            rollout.start, given=self._given, sequences=self._sequences(given)
        )
        self.step = self._compile(
            rollout.decode_step, uniforms=drawn, previous=frame, state=state, inputs=inputs
        )
        self.naive = self._compile(
            lambda model, uniforms, known: model.decoder.decode_naive(
                FrameContext(**known), uniforms
            ),
            uniforms=drawn,
            known=known,
        )

    def decode(self, length: int, score: bool) -> Callable:
        """`rollout.decode_cached` of `length` frames after the given ones; takes `(uniforms, given,
        sequences)`."""
        if (length, score) not in self._decode:
            config = self._model.config
            drawn, _ = self._levels((length, *config.image_size))
            self._decode[length, score] = self._compile(
                functools.partial(rollout.decode_cached, score=score),
                uniforms=(drawn, uniforms_dtype(config)),
                given=self._given,
                sequences=self._sequences(self._total),
            )
        return self._decode[length, score]

    def _compile(self, function, **shapes):
        return compile_function(function, self._model, **shapes)

    def _levels(self, size):
        return (*size, self._model.config.channels), "int32"

    def _sequences(self, *length):
        """Shapes of the inputs of `length` frames (None: any number); without it, of one frame."""
        config = self._model.config
        if not self._model.pasts:
            return {"low": self._levels((*length, *config.sizes[0]))}
        shapes = checks.condition_shapes(config)
        return {name: ((*length, *shape[1:]), dtype) for name, (shape, dtype) in shapes.items()}
