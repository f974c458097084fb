"""One model on the bench: its likelihood, its sampling, its training step, timed in turn."""

import numpy as np
import tensorflow as tf

import flops
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from parts.samplers import evaluations, naive_evaluations
from parts.timing import seconds_of, spread


class Subject:
    """A model with everything traced, ready to be measured in rounds.

    Args:
        run: a `RunConfig` of an unconditional model.
        naive_evaluations: full evaluations to time for the naive sampler; 0: leave it out.

    Attributes:
        likelihood, sampling, naive, training: seconds of each round. `naive` is extrapolated to
            `naive_evaluations`.
    """

    def __init__(self, run, naive_evaluations=0):
        self._config = config = run.model
        self._batch_size = run.train.batch_size
        self._model = MultiscalePixelCNN(config)
        self._naive_evaluations = naive_evaluations
        self.likelihood, self.sampling, self.naive, self.training = [], [], [], []

        shape = (self._batch_size, *config.image_size, config.channels)
        self._uniforms = np.random.default_rng(0).random(shape, dtype="float32")
        self._first = {"sampling": seconds_of(self._sample)}
        self._images = tf.constant(self._model.decode(self._uniforms), tf.int32)
        self._first["likelihood"] = seconds_of(self._score)
        optimizer = build_optimizer(run.train)
        optimizer.build(self._model.trainable_variables)
        self._step = make_train_step(self._model, self._model, optimizer, run.train)
        self._first["training"] = seconds_of(self._train)
        if naive_evaluations:
            self._evaluate_often = evaluations(self._model, naive_evaluations)
            self._naive()

    def measure(self):
        """One round."""
        self.likelihood.append(seconds_of(self._score))
        self.sampling.append(seconds_of(self._sample))
        if self._naive_evaluations:
            steps = naive_evaluations(self._model)
            self.naive.append(seconds_of(self._naive) * steps / self._naive_evaluations)
        self.training.append(seconds_of(self._train))

    def results(self, conv_gflops):
        """The rounds in short, as a dict for JSON.

        Args:
            conv_gflops: the machine's ceiling, GFLOP/s.
        """
        forward = sum(flops.forward_flops(self._model).values())
        rates = [self._batch_size / seconds for seconds in self.training]
        step_gflop = flops.training_flops(self._model) / 1e9
        results = {
            "parameters": int(self._model.count_params()),
            "flops_per_image": forward,
            "likelihood_seconds": spread(self.likelihood),
            "sampling_seconds": spread(self.sampling),
            "sampling_over_likelihood": spread(
                [
                    sample / score
                    for sample, score in zip(self.sampling, self.likelihood, strict=True)
                ]
            ),
            "training_images_per_second": spread(rates),
            "training_fraction_of_ceiling": spread([step_gflop * r / conv_gflops for r in rates]),
            # The first call less a usual one: building the graph and optimising it.
            "trace_seconds": {
                name: max(0.0, first - spread(getattr(self, name))["median"])
                for name, first in self._first.items()
            },
        }
        if self._naive_evaluations:
            results["naive_sampling_seconds"] = spread(self.naive)
            results["naive_evaluations_timed"] = self._naive_evaluations
            results["naive_evaluations_needed"] = naive_evaluations(self._model)
        return results

    def _score(self):
        for log_prob in self._model.log_prob_terms(self._images).values():
            log_prob.numpy()

    def _sample(self):
        self._model.decode(self._uniforms)

    def _train(self):
        metrics = self._step({"image": self._images}, tf.constant(0, tf.int64))
        tf.nest.map_structure(float, metrics)

    def _naive(self):
        self._evaluate_often(self._images).numpy()
