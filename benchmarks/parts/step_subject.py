"""A run's training step on its own data, timed in processor seconds."""

import time

import tensorflow as tf

from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training.fit_to_data import fit_to_source
from ms_pixelcnn_tf.training.loop import batches_of
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step


class StepSubject:
    """The subject of a `Worker`. A round is one step as at the start of the run and one as at its
    end, since the passes of `past_samples` replace no frames at the start.

    Args:
        run: a `RunConfig`.
    """

    def __init__(self, run):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        source = load_source(run)
        run = fit_to_source(run, source)
        self._config = run.train
        self._model, averaged = make_model(run.model), make_model(run.model)
        optimizer = build_optimizer(run.train)
        optimizer.build(self._model.trainable_variables)
        self._step = make_train_step(self._model, averaged, optimizer, run.train)
        self._batch = next(iter(batches_of(run, source)))
        self.measure()

    def facts(self):
        """The number of parameters."""
        return {"parameters": int(self._model.count_params())}

    def measure(self):
        """One round: processor seconds per step."""
        started = time.process_time()
        for step in (0, self._config.steps - 1):
            metrics = self._step(self._batch, tf.constant(step, tf.int64))
            tf.nest.map_structure(float, metrics)
        return {"seconds": (time.process_time() - started) / 2}
