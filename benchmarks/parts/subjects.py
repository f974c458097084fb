"""Models to time, on random inputs: the likelihood, a sample and the training step."""

import time

import numpy as np

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.checks import uniforms_dtype
from ms_pixelcnn_tf.models.video.checks import condition_shapes
from parts import flops
from parts.rounds import seconds_of
from parts.worker import peak_memory


class Subject:
    """A model of images without conditions, or of videos, with random inputs.

    Args:
        config: a `ModelConfig` or `VideoConfig`.
        batch: examples at a time.
    """

    def __init__(self, config, batch):
        self.config, self.batch, self.model = config, batch, make_model(config)
        self.is_video = self.model.example_field == "frames"
        generator = np.random.default_rng(0)
        frame = (*config.image_size, config.channels)
        known, drawn = (
            ((config.num_frames,), (config.predicted_frames,)) if self.is_video else ((), ())
        )
        examples = generator.integers(0, config.num_levels, (batch, *known, *frame))
        self.examples = examples.astype("int32")
        self.uniforms = generator.random((batch, *drawn, *frame), dtype=uniforms_dtype(config))
        shapes = condition_shapes(config) if self.is_video else {}
        self.conditions = {
            name: generator.uniform(-1, 1, (batch, *shape)).astype(dtype)
            for name, (shape, dtype) in shapes.items()
        }

    def score(self):
        """Computes the likelihood of the examples."""
        for log_prob in self.model.log_prob_terms(self.examples, self.conditions).values():
            np.asarray(log_prob)

    def decode(self, sampler="cached"):
        """Samples a batch in the model's own way; `sampler` is that of a video."""
        if self.is_video:
            given = self.examples[:, : self.config.given_frames]
            self.model.decode(self.uniforms, given, self.conditions, sampler)
        else:
            self.model.decode(self.uniforms)


class TrainedSubject(Subject):
    """A `Subject` with its training step.

    Args:
        fields: of `make_run`, which also give the batch size.
    """

    def __init__(self, fields):
        run = make_run(**fields)
        super().__init__(run.model, run.train.batch_size)
        self._step = training_step(run, self.model, self.model)

    def train(self, batch=None):
        """Takes a training step, by default on the examples."""
        own = {self.model.example_field: self.examples} | self.conditions
        self._step(own if batch is None else batch)


class FloorSubject(TrainedSubject):
    """The subject of `floor`'s workers.

    Args:
        fields: of `make_run`, which also give the batch size.
        samples: whether to time sampling, in one graph.
    """

    def __init__(self, fields, samples):
        super().__init__(fields)
        self._timed = {"likelihood": self.score, "training": self.train}
        if samples:
            self._timed["sampling"] = self.decode
        self.measure()  # traces

    def facts(self):
        """Parameters, operations of the likelihood per example, batch size, peak memory in MiB."""
        return {
            "parameters": int(self.model.count_params()),
            "flops": flops.likelihood_flops(self.model),
            "batch": self.batch,
            "memory": peak_memory(),
        }

    def measure(self):
        """One round, in seconds."""
        return {name: seconds_of(function) for name, function in self._timed.items()}


class StepSubject:
    """A run's training step on its own data, in processor seconds. A round is one step as at the
    start of the run and one as at its end, since the passes of `past_samples` replace no frames at
    the start.

    Args:
        run: a `RunConfig`.
    """

    def __init__(self, run):
        import tensorflow as tf

        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training.fit_to_data import fit_to_source
        from ms_pixelcnn_tf.training.loop import batches_of

        tf.config.threading.set_intra_op_parallelism_threads(1)
        source = load_source(run)
        run = fit_to_source(run, source)
        self._model, self._last = make_model(run.model), run.train.steps - 1
        self._step = training_step(run, self._model, make_model(run.model))
        self._batch = next(iter(batches_of(run, source)))
        self.measure()

    def facts(self):
        """The number of parameters."""
        return {"parameters": int(self._model.count_params())}

    def measure(self):
        """One round: processor seconds per step."""
        started = time.process_time()
        for number in (0, self._last):
            self._step(self._batch, number)
        return {"seconds": (time.process_time() - started) / 2}


def training_step(run, model, averaged):
    """A function of a batch and the step's number that takes a training step of a run.

    Args:
        run: a `RunConfig`.
        model: the model to train.
        averaged: a model for the averaged weights, which may be the same.
    """
    import tensorflow as tf

    from ms_pixelcnn_tf.training.optimizer import build_optimizer
    from ms_pixelcnn_tf.training.step import make_train_step

    optimizer = build_optimizer(run.train)
    optimizer.build(model.trainable_variables)
    step = make_train_step(model, averaged, optimizer, run.train)

    def train(batch, number=0):
        batch = {name: tf.convert_to_tensor(values) for name, values in batch.items()}
        metrics = step(batch, tf.constant(number, tf.int64))
        tf.nest.map_structure(float, metrics)

    return train
