"""A model for `floor`: its likelihood, sampling and training step timed, its operations counted."""

from unittest import mock

import numpy as np
import tensorflow as tf

import flops
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.image.graphs import ImageGraphs
from ms_pixelcnn_tf.models.video import rollout
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from parts import profile
from parts.timing import seconds_of
from parts.worker import peak_memory


class FloorSubject:
    """The subject of a `Worker`.

    Args:
        fields: of `make_run`; everything is timed at its batch size.
        samples: whether to time sampling, in one graph.
    """

    def __init__(self, fields, samples):
        run = make_run(**fields)
        self._config, self._batch, self._samples = run.model, run.train.batch_size, samples
        self._model = make_model(run.model)
        self._is_video = hasattr(run.model, "num_frames")
        self._make_inputs()
        self._score()
        if samples:
            self._sample()
        sampled = peak_memory()
        optimizer = build_optimizer(run.train)
        optimizer.build(self._model.trainable_variables)
        self._step = make_train_step(self._model, self._model, optimizer, run.train)
        self._train()
        self._memory = sampled, peak_memory()

    def facts(self):
        """Parameters, operations of the likelihood per example, peak memory in MiB until sampling
        and until training are done, and, if an image model samples, the seconds of each part of
        one sampling call without XLA."""
        operations, seconds = {}, None
        if self._samples and not self._is_video:
            operations, seconds = self._profile()
        return {
            "parameters": int(self._model.count_params()),
            "flops": self._flops(),
            "batch": self._batch,
            "memory_sampling": self._memory[0],
            "memory_training": self._memory[1],
            "parts": profile.by_part(operations),
            "operations": sum(runs for _, runs in operations.values()),
            "profiled_seconds": seconds,
        }

    def _profile(self):
        """Traces sampling again, in scopes; returns the operations of one call and its seconds."""
        with mock.patch.object(self._model, "graphs", ImageGraphs(self._model)):
            with profile.scopes(self._model):
                self._sample()
            seconds = []
            return profile.profile(lambda: seconds.append(seconds_of(self._sample))), seconds[0]

    def measure(self):
        """One round, in seconds."""
        found = {"likelihood": seconds_of(self._score), "training": seconds_of(self._train)}
        if self._samples:
            found["sampling"] = seconds_of(self._sample)
        return found

    def _make_inputs(self):
        config, generator = self._config, np.random.default_rng(0)
        frame = (*config.image_size, config.channels)
        shape = (self._batch, *((config.num_frames,) if self._is_video else ()), *frame)
        self._examples = generator.integers(0, config.num_levels, shape).astype("int32")
        self._conditions = {}
        if self._is_video:
            sizes = {"actions": config.action_size, "states": config.state_size}
            self._conditions = {
                name: generator.uniform(-1, 1, (*shape[:2], sizes[name])).astype("float32")
                for name in config.conditions
            }
            shape = (self._batch, config.predicted_frames, *frame)
        self._uniforms = generator.random(shape, dtype="float32")

    def _flops(self):
        shape = (1, *self._examples.shape[1:])
        if not self._is_video:
            return sum(flops.forward_flops(self._model).values())
        conditions = {
            name: tf.TensorSpec((1, *values.shape[1:])) for name, values in self._conditions.items()
        }
        return flops.graph_flops(
            lambda frames, own: rollout.log_prob_by_frame(self._model, frames, own),
            tf.TensorSpec(shape, tf.int32),
            conditions,
        )

    def _score(self):
        terms = self._model.log_prob_terms(self._examples, self._conditions)
        for log_prob in terms.values():
            np.asarray(log_prob)

    def _sample(self):
        if self._is_video:
            given = self._examples[:, : self._config.given_frames]
            self._model.decode(self._uniforms, given, self._conditions)
        else:
            self._model.decode(self._uniforms)

    def train_on(self, batch):
        """One training step."""
        metrics = self._step(batch, tf.constant(0, tf.int64))
        tf.nest.map_structure(float, metrics)

    def _train(self):
        batch = {self._model.example_field: tf.constant(self._examples)}
        self.train_on(batch | {name: tf.constant(v) for name, v in self._conditions.items()})
