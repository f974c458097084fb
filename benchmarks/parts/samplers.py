"""Subjects that time sampling: one model, one way to sample from it, and its likelihood.

Everything timed uses `keras.ops`, so the same rows can be measured on JAX.
"""

import math
import time

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models.checks import uniforms_dtype
from ms_pixelcnn_tf.models.compiling import compile_function
from ms_pixelcnn_tf.models.video import rollout
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext
from ms_pixelcnn_tf.networks import MaskedUpscalerA
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.samplers import CachedSampler
from parts import flops
from parts.rounds import seconds_of
from parts.subjects import Subject
from parts.worker import peak_memory


class Sampler(Subject):
    """Base class of the subjects: the order of the measurements, and the facts.

    The clock of the first sample starts before the model is built; imports are not timed. The peak
    memory is read after that sample, before the likelihood is traced.

    Sub-classes define `prepare`, which builds what only this sampler needs; `sample`, which returns
    when its results are ready; and `flops`, the operations of all network evaluations per example
    (for naive sampling of videos, without those on past frames). They may set `scale`, a factor on
    the seconds of `sample` (above 1: only a part is run), and `network_evaluations`: evaluations of
    whole networks per example, of a naive sampler all, of `OlogN` its upscalers' (None: not
    counted).

    Args:
        fields: of `make_run`.
        batch: examples at a time.
        sampler: a way to sample, as in the sub-class.
        evaluations: evaluations of the network to time for the naive sampler.
    """

    scale, network_evaluations = 1.0, None

    def __init__(self, fields, batch, sampler, evaluations):
        self._sampler, self._evaluations = sampler, evaluations
        before, started = peak_memory(), time.perf_counter()
        super().__init__(make_run(**fields).model, batch)
        self.prepare()
        self.sample()
        self.first = time.perf_counter() - started
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
            "flops": self.flops() if keras.backend.backend() == "tensorflow" else None,
            "evaluations": self.network_evaluations,
        }

    def measure(self):
        """One round, in seconds: sampling and the likelihood."""
        return {
            "sampling": self.scale * seconds_of(self.sample),
            "likelihood": seconds_of(self.score),
        }


class ImageSampler(Sampler):
    """An image model. The samplers are "naive" (of ON: some evaluations of the network are timed
    and extrapolated to `naive_evaluations`), "cached" or "graph" (`decode`, one compiled call), and
    "steps" (`StepByStep`)."""

    def prepare(self):
        upscalers = len(self.model.upscalers) * group_evaluations(self.model)
        self.network_evaluations = upscalers or None
        if self._sampler == "naive":
            self.network_evaluations = naive_evaluations(self.model)
            self.scale = self.network_evaluations / self._evaluations
            run = evaluations(self.model, self._evaluations)
            self.sample = lambda: np.asarray(run(self.examples))
        elif self._sampler == "steps":
            run = StepByStep(self.model)
            self.sample = lambda: np.asarray(run(self.uniforms))
        else:
            self.sample = self.decode

    def flops(self):
        shape = (*self.model.sizes[0], self.config.channels)
        base = flops.graph_flops(self.model.base, tf.TensorSpec((1, *shape), tf.int32))
        if self._sampler == "naive":
            return naive_evaluations(self.model) * base
        groups = flops.likelihood_flops(self.model) - base
        return base + group_evaluations(self.model) * groups


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
    """A video model. The samplers are "naive" (of OTN: some evaluations of its decoder on a whole
    frame are timed and extrapolated to one per sub-pixel of all frames; its work on past frames is
    left out, which flatters it), "cached" (of OTN: one frame is timed and extrapolated to all),
    "graph" (`decode`, one compiled call), and "steps" (one compiled call per frame)."""

    def prepare(self):
        config = self.config
        if self._sampler == "naive":
            sub_pixels = math.prod(config.image_size) * config.channels * config.predicted_frames
            self.scale = sub_pixels / self._evaluations
            run = frame_evaluations(self.model, self._evaluations)
            hidden = np.zeros((self.batch, *self.model.past.size, config.lstm_features), "float32")
            self.sample = lambda: np.asarray(run(self.examples[:, 0], hidden))
        elif self._sampler == "cached":
            self.scale = config.predicted_frames
            self.sample = self._one_frame()
        else:
            way = {"graph": "cached", "steps": "stepwise"}[self._sampler]
            self.sample = lambda: self.decode(way)

    def flops(self):
        config, model, length = self.config, self.model, self.config.predicted_frames
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

        inputs = {n: tf.TensorSpec((1, v.shape[-1])) for n, v in self.conditions.items()}
        return length * flops.graph_flops(step, frame, inputs)

    def _one_frame(self):
        """A function that samples the first frame after the given ones."""
        given, graphs = self.config.given_frames, self.model.graphs
        known, last = (
            {name: values[:, part] for name, values in self.conditions.items()}
            for part in (slice(given), given - 1)
        )
        state = graphs.start(self.examples[:, :given], known)
        previous, uniforms = self.examples[:, given - 1], self.uniforms[:, 0]
        return lambda: np.asarray(graphs.step(uniforms, previous, state, last)[0])


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
