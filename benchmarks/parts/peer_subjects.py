"""Models of different projects for `peers`: the same methods on images of the same size."""

import numpy as np
import tensorflow as tf

from parts.rounds import seconds_of
from parts.subjects import TrainedSubject


class PeerSubject:
    """The subject of a `Worker`. Sub-classes define `train()`, `score()` and `draw(num)`, which
    return when their results are ready, and `parameters`.

    Args:
        many: images sampled at a time, besides single ones, in the first round only.
    """

    def __init__(self, many):
        self._many, self._is_first = many, True
        self.train()
        self.score()
        self.draw(1)

    def facts(self):
        """The number of parameters."""
        return {"parameters": self.parameters}

    def measure(self):
        """One round, in seconds."""
        found = {
            "training": seconds_of(self.train),
            "likelihood": seconds_of(self.score),
            "one": seconds_of(lambda: self.draw(1)),
        }
        if self._is_first:
            self.draw(self._many)  # traces
            found["many"] = seconds_of(lambda: self.draw(self._many))
        self._is_first = False
        return found


class OwnSubject(TrainedSubject, PeerSubject):
    """A model of this project.

    Args:
        fields: of `make_run`, which also give the batch size.
        many: as for `PeerSubject`.
    """

    def __init__(self, fields, many):
        TrainedSubject.__init__(self, fields)
        self.parameters = int(self.model.count_params())
        PeerSubject.__init__(self, many)

    def draw(self, num):
        self.model.sample(num)


class TfpSubject(PeerSubject):
    """TensorFlow Probability's `PixelCNN`, a PixelCNN++, in a `tf.function` per method. It has no
    dropout, as our models have none.

    Args:
        filters: width.
        size: side of the images, pixels.
        batch: images per training step and per likelihood.
        many: as for `PeerSubject`.
    """

    def __init__(self, filters, size, batch, many):
        import tensorflow_probability as tfp
        import tf_keras

        images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3))
        images = tf.constant(images, tf.float32)
        law = tfp.distributions.PixelCNN((size, size, 3), num_filters=filters, dropout_p=0.0)
        law.log_prob(images[:1])  # makes the variables
        variables = law.network.trainable_variables
        self.parameters = int(sum(np.prod(variable.shape) for variable in variables))
        optimizer = tf_keras.optimizers.Adam(1e-3)

        @tf.function
        def step(images):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(law.log_prob(images, training=True))
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        log_prob = tf.function(lambda images: law.log_prob(images, training=False))
        draw = tf.function(lambda num: law.sample(num, training=False))
        self.train = lambda: step(images).numpy()
        self.score = lambda: log_prob(images).numpy()
        self.draw = lambda num: draw(tf.constant(num)).numpy()
        super().__init__(many)
