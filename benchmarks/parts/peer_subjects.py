"""Models of different projects for `peers`: the same methods on the same images."""

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.training.optimizer import build_optimizer
from ms_pixelcnn_tf.training.step import make_train_step
from parts.timing import seconds_of

LEARNING_RATE = 1e-3


class PeerSubject:
    """The subject of a `Worker`. Sub-classes define `train(images)`, `score(images)` and
    `sample(num)`, which return when their results are ready, and `parameters`.

    Args:
        size: side of the images, pixels.
        batch: images per training step and per likelihood.
        many: images sampled at a time, as well as single ones, in the first round only.
    """

    def __init__(self, size, batch, many):
        images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3))
        self._images, self._many, self._round = images.astype("float32"), many, 0
        for trace in (self._train, self._score, self._sample):
            trace()

    def facts(self):
        """The number of parameters."""
        return {"parameters": self.parameters}

    def measure(self):
        """One round, in seconds."""
        found = {
            "training": seconds_of(self._train),
            "likelihood": seconds_of(self._score),
            "one": seconds_of(self._sample),
        }
        if self._round == 0:
            self.sample(self._many)  # traces
            found["many"] = seconds_of(lambda: self.sample(self._many))
        self._round += 1
        return found

    def _train(self):
        self.train(self._images)

    def _score(self):
        self.score(self._images)

    def _sample(self):
        self.sample(1)


class OwnSubject(PeerSubject):
    """A model of this project.

    Args:
        fields: of `make_run`; the rest as for `PeerSubject`.
    """

    def __init__(self, fields, size, batch, many):
        run = make_run(
            **fields,
            image_size=size,
            batch_size=batch,
            optimizer="adam",
            learning_rate=LEARNING_RATE,
        )
        self._model = make_model(run.model)
        self.parameters = int(self._model.count_params())
        optimizer = build_optimizer(run.train)
        optimizer.build(self._model.trainable_variables)
        self._step = make_train_step(self._model, self._model, optimizer, run.train)
        super().__init__(size, batch, many)

    def train(self, images):
        metrics = self._step({"image": tf.cast(images, tf.int32)}, tf.constant(0, tf.int64))
        tf.nest.map_structure(float, metrics)

    def score(self, images):
        np.asarray(self._model.log_prob(images.astype("int32")))

    def sample(self, num):
        self._model.sample(num)


class TfpSubject(PeerSubject):
    """TensorFlow Probability's `PixelCNN`, a PixelCNN++, in a `tf.function` per method. It has no
    dropout, as our models have none.

    Args:
        filters: width; the rest as for `PeerSubject`.
    """

    def __init__(self, filters, size, batch, many):
        import tensorflow_probability as tfp
        import tf_keras

        self._law = tfp.distributions.PixelCNN((size, size, 3), num_filters=filters, dropout_p=0.0)
        self._law.log_prob(np.zeros((1, size, size, 3), "float32"))  # makes the variables
        variables = self._law.network.trainable_variables
        self.parameters = int(sum(np.prod(variable.shape) for variable in variables))
        optimizer = tf_keras.optimizers.Adam(LEARNING_RATE)

        @tf.function
        def step(images):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self._law.log_prob(images, training=True))
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        self._step = step
        self._log_prob = tf.function(lambda images: self._law.log_prob(images, training=False))
        self._draw = tf.function(lambda num: self._law.sample(num, training=False))
        super().__init__(size, batch, many)

    def train(self, images):
        self._step(images).numpy()

    def score(self, images):
        self._log_prob(images).numpy()

    def sample(self, num):
        self._draw(tf.constant(num)).numpy()
