"""Subjects that time sampling: one model, one way to sample from it, and its likelihood.

Everything timed uses `keras.ops`, so the same rows can be measured on JAX.
"""

import math

import keras
import numpy as np
from keras import ops

import flops
from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.checks import uniforms_dtype
from ms_pixelcnn_tf.models.compiling import compile_function
from ms_pixelcnn_tf.models.video import rollout
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext
from ms_pixelcnn_tf.networks import MaskedUpscalerA
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.samplers import CachedSampler
from parts.timing import seconds_of
from parts.worker import peak_memory


class Sampler:
    """Base class of the subjects: the order of the measurements, and the facts.

    The clock of the first sample starts before the model is built; imports are not timed. The peak
    memory is read after that sample, before the likelihood is traced.

    Sub-classes define `build`, `sample` and `score`, which return when their results are ready;
    `flops`, the operations of all network evaluations per example (None: not counted; for naive
    sampling of videos, without those on past frames); and `network_evaluations`. They may set
    `scale`, a factor on the seconds of `sample` (above 1: only a part is run).
    """

    scale = 1.0

    def __init__(self):
        before = peak_memory()
        self.first = seconds_of(self.build) + seconds_of(self.sample)
        self.memory = before, peak_memory()
        self.score()

    def facts(self):
        """Seconds to the first sample (None: only a part was run), MiB before and at the peak,
        parameters, and operations and evaluations per example."""
        return {
            "first_seconds": self.first if self.scale == 1 else None,
            "memory_before": self.memory[0],
            "memory": self.memory[1],
            "parameters": int(self.model.count_params()),
            "extrapolated_by": self.scale,
            "flops": self.flops(),
            "evaluations": self.network_evaluations(),
        }

    def network_evaluations(self):
        """Evaluations of whole networks that sampling one example takes: one per sub-pixel (or
        pixel) for a naive sampler, those of the upscalers for `OlogN`; None: not counted."""
        return None

    def measure(self):
        """One round, in seconds: sampling and the likelihood."""
        return {
            "sampling": self.scale * seconds_of(self.sample),
            "likelihood": seconds_of(self.score),
        }


class ImageSampler(Sampler):
    """An image model.

    Args:
        fields: of `make_run`.
        batch: images at a time.
        sampler: "naive" (of ON: `evaluations` of the network are timed and extrapolated to
            `naive_evaluations`), "cached" or "graph" (`decode`, one compiled call), or "steps"
            (`StepByStep`).
        evaluations: full evaluations to time for the naive sampler.
    """

    def __init__(self, fields, batch, sampler, evaluations):
        self._fields, self._batch = fields, batch
        self._sampler, self._evaluations = sampler, evaluations
        super().__init__()

    def build(self):
        config = make_run(**self._fields).model
        self.model = make_model(config)
        shape = (self._batch, *config.image_size, config.channels)
        generator = np.random.default_rng(0)
        self._uniforms = generator.random(shape, dtype=uniforms_dtype(config))
        self._images = generator.integers(0, config.num_levels, shape).astype("int32")
        if self._sampler == "naive":
            self.scale = naive_evaluations(self.model) / self._evaluations
            self._run = evaluations(self.model, self._evaluations)
        elif self._sampler == "steps":
            self._run = StepByStep(self.model)

    def sample(self):
        if self._sampler == "naive":
            np.asarray(self._run(self._images))
        elif self._sampler == "steps":
            np.asarray(self._run(self._uniforms))
        else:
            self.model.decode(self._uniforms)

    def score(self):
        for log_prob in self.model.log_prob_terms(self._images).values():
            np.asarray(log_prob)

    def flops(self):
        base, *groups = flops.forward_flops(self.model).values()
        if self._sampler == "naive":
            return naive_evaluations(self.model) * base
        return base + group_evaluations(self.model) * sum(groups)

    def network_evaluations(self):
        if self._sampler == "naive":
            return naive_evaluations(self.model)
        return len(self.model.upscalers) * group_evaluations(self.model) or None


class StepByStep:
    """Decodes an `OlogN` by a Python loop over compiled steps, like the paper's sampler that is not
    in-graph: one call per pixel of the base, with a full evaluation of it per sub-pixel, and one
    call per group of every scale.

    Call argument: uniforms `[B, H, W, C]`. Returns the same int32 levels as `model.decode`.
    """

    def __init__(self, model):
        self._model, config = model, model.config
        law, drawn = model.distribution, uniforms_dtype(config)

        def shape(size, groups=1):
            return *size, groups * config.channels

        def pixel(model, uniforms, levels, log_probs, position):
            return loops.decode_naive_pixel(
                law, model.base, uniforms, position[0], (levels, log_probs)
            )

        base = shape(model.sizes[0])
        self._pixel = compile_function(
            pixel,
            model,
            uniforms=(base, drawn),
            levels=(base, "int32"),
            log_probs=(base, drawn),
            position=((), "int32"),
        )
        self._groups, sampler = {}, CachedSampler(score=False)
        for index, scale in model.scales.items():
            size = model.sizes[index - 1]
            for group, upscaler in scale.upscalers.items():
                self._groups[index, group] = compile_function(
                    lambda model, known, uniforms, upscaler=upscaler: sampler.group(
                        upscaler, upscaler.trunk(known), uniforms
                    )[0],
                    model,
                    known=(shape(size, group - 1), "int32"),
                    uniforms=(shape(size), drawn),
                )

    def __call__(self, uniforms):
        model = self._model
        scales = pixels.pyramid(uniforms, len(model.sizes))
        image = loops.naive_start(scales[0])
        height, width = model.sizes[0]
        for position in range(height * width):
            image = self._pixel(scales[0], *image, np.array([position], "int32"))
        levels = image[0]
        for index in model.scales:
            groups, own = [levels], pixels.split_groups(scales[index])
            for group in (2, 3, 4):
                known = ops.concatenate(groups, axis=-1)
                groups.append(self._groups[index, group](known, own[group - 1]))
            levels = pixels.merge_groups(groups)
        return levels


class VideoSampler(Sampler):
    """A video model.

    Args:
        fields: of `make_run`.
        batch: clips at a time.
        sampler: "naive" (of OTN: `evaluations` of its decoder on a whole frame are timed and
            extrapolated to one per sub-pixel of all frames; its work on past frames is left out,
            which flatters it), "cached" (of OTN: `frames` frames are timed and extrapolated to
            all), "graph" (`decode`, one compiled call), or "steps" (one compiled call per frame).
        evaluations: evaluations to time for the naive sampler.
        frames: frames to time for the cached sampler.
    """

    def __init__(self, fields, batch, sampler, evaluations, frames):
        self._fields, self._batch, self._sampler = fields, batch, sampler
        self._evaluations, self._timed_frames = evaluations, frames
        super().__init__()

    def build(self):
        self._config = config = make_run(**self._fields).model
        self.model = make_model(config)
        generator = np.random.default_rng(0)
        frame = (*config.image_size, config.channels)
        self._uniforms = generator.random(
            (self._batch, config.predicted_frames, *frame), dtype=uniforms_dtype(config)
        )
        self._frames = generator.integers(
            0, config.num_levels, (self._batch, config.num_frames, *frame)
        ).astype("int32")
        sizes = {"actions": config.action_size, "states": config.state_size}
        self._conditions = {
            name: generator.uniform(-1, 1, (self._batch, config.num_frames, sizes[name])).astype(
                "float32"
            )
            for name in config.conditions
        }
        if self._sampler == "naive":
            needed = math.prod(frame) * config.predicted_frames
            self.scale = needed / self._evaluations
            self._evaluate = frame_evaluations(self.model, self._evaluations)
        elif self._sampler == "cached":
            self.scale = config.predicted_frames / min(self._timed_frames, config.predicted_frames)
            self._state = self._start()

    def sample(self):
        if self._sampler == "naive":
            hidden = (self._batch, *self.model.past.size, self._config.lstm_features)
            np.asarray(self._evaluate(self._frames[:, 0], np.zeros(hidden, "float32")))
        elif self._sampler == "cached":
            self._first_frames()
        else:
            sampler = {"graph": "cached", "steps": "stepwise"}[self._sampler]
            given = self._frames[:, : self._config.given_frames]
            self.model.decode(self._uniforms, given, self._conditions, sampler)

    def score(self):
        terms = self.model.log_prob_terms(self._frames, self._conditions)
        for log_prob in terms.values():
            np.asarray(log_prob)

    def flops(self):
        if keras.backend.backend() != "tensorflow":
            return None  # operations are counted from TensorFlow's graph
        import tensorflow as tf

        config, model, length = self._config, self.model, self._config.predicted_frames
        shape = (*config.image_size, config.channels)
        frame = tf.TensorSpec((1, *shape), tf.int32)
        if self._sampler == "naive":
            hidden = tf.TensorSpec((1, *model.past.size, config.lstm_features))
            evaluation = flops.graph_flops(
                lambda frame, hidden: model.decoder.log_prob_terms(
                    FrameContext(frame, {"past": hidden}), frame
                ),
                frame,
                hidden,
            )
            return length * math.prod(shape) * evaluation

        def step(frame, inputs):
            _, past = rollout.advance(model, rollout.initial_state(model, 1), frame, inputs)
            return model.decoder.log_prob_terms(past, frame)

        inputs = {n: tf.TensorSpec((1, v.shape[-1])) for n, v in self._conditions.items()}
        return length * flops.graph_flops(step, frame, inputs)

    def _start(self):
        given = self._config.given_frames
        known = {name: values[:, :given] for name, values in self._conditions.items()}
        return self.model.graphs.start(self._frames[:, :given], known)

    def _first_frames(self):
        given, state = self._config.given_frames, self._state
        previous = self._frames[:, given - 1]
        for index in range(round(self._config.predicted_frames / self.scale)):
            inputs = {n: values[:, given - 1 + index] for n, values in self._conditions.items()}
            previous, _, state = self.model.graphs.step(
                self._uniforms[:, index], previous, state, inputs
            )
        np.asarray(previous)


def naive_evaluations(model):
    """Full evaluations that the naive sampler takes for an image: one per sub-pixel, or per pixel
    if the output distribution does not order the channels."""
    height, width = model.config.image_size
    orders = model.distribution.channel_autoregressive
    return height * width * (model.config.channels if orders else 1)


def group_evaluations(model):
    """Evaluations of an upscaler that sampling its group takes: one per channel if it is
    channel-masked, as in the paper, else one (type B evaluates its decoder pixel by pixel)."""
    masked = any(isinstance(upscaler, MaskedUpscalerA) for upscaler in model.upscalers)
    return model.config.channels if masked else 1


def evaluations(model, count):
    """A compiled function of images `[B, H, W, C]` that evaluates ON's whole network `count` times
    in a row. Each evaluation reads the result of the one before, as in sampling, so none can be
    optimised away."""
    config = model.config
    return compile_function(
        lambda model, images: _repeated(model.base, images, count),
        model,
        images=((*config.image_size, config.channels), "int32"),
    )


def frame_evaluations(model, count):
    """The same for the decoder of an `OTN`: a compiled function of `(frame, hidden)`."""
    config = model.config

    def run(model, frame, hidden):
        def evaluate(levels):
            (factor,) = model.decoder.factors(FrameContext(frame, {"past": hidden}), levels)
            return factor.params

        return _repeated(evaluate, frame, count)

    return compile_function(
        run,
        model,
        frame=((*config.image_size, config.channels), "int32"),
        hidden=((*model.past.size, config.lstm_features), "float32"),
    )


def _repeated(network, levels, count):
    def evaluate(_, levels):
        params = network(levels)
        # No parameter is so large, but only the whole evaluation can show that.
        return levels + ops.cast(ops.max(params) > 1e30, "int32")

    return ops.fori_loop(0, count, evaluate, levels)
