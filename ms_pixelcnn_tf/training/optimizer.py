"""Optimizers and learning-rate schedules by name, from a `TrainConfig`.

The paper trains images with RMSprop, ε = 1e-8, at a rate that decays from 1e-4 to 1e-5 over 200K
steps; it does not say along which curve. "exponential" (a straight line in the logarithm) is our
choice. It trains videos with centred RMSprop, at a rate of 1e-4 that is multiplied by 0.3 at 83K
and again at 113K steps. Its RMSprop is TensorFlow 1's: ε is inside the root, as here, and the mean
square starts at 1 (here with `rmsprop_start`), which makes the first hundred steps small.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.configs import TrainConfig
from ms_pixelcnn_tf.types import Tensor


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `learning_rate`, then decay.

    With schedule "steps", the rate is multiplied by `drop_factor` at each of `drop_steps`; with
    "exponential" or "cosine", it decays to `final_learning_rate` at step `steps`.
    """

    def __init__(
        self,
        learning_rate: float,
        final_learning_rate: float,
        warmup_steps: int,
        steps: int,
        schedule: str,
        drop_steps: Sequence[int] = (),
        drop_factor: float = 1.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_steps = warmup_steps
        self.steps = steps
        self.schedule = schedule
        self.drop_steps = tuple(drop_steps)
        self.drop_factor = drop_factor

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        start, end = self.learning_rate, self.final_learning_rate
        decay_steps = max(self.steps - self.warmup_steps, 1)
        progress = ops.clip((step - self.warmup_steps) / decay_steps, 0.0, 1.0)
        if self.schedule == "exponential":
            rate = start * ops.exp(progress * math.log(end / start))
        elif self.schedule == "steps":
            drops = sum(ops.cast(step >= drop, "float32") for drop in self.drop_steps)
            rate = start * self.drop_factor**drops
        else:
            rate = end + (start - end) * 0.5 * (1.0 + ops.cos(progress * math.pi))
        return rate * ops.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class RMSprop(keras.optimizers.RMSprop):
    """Keras' RMSprop, with two changes.

    The mean square may start at 1. The variance of `centered` is never below 0: rounding can put
    the mean square below the square of the mean, and the root of that would be NaN. The variables
    have the same paths as in Keras' RMSprop without momentum.

    Args:
        learning_rate, rho, epsilon, centered: as in Keras.
        start: start of the mean square: 0, as in Keras, or 1, as in TensorFlow 1.
        **options: options of every Keras optimizer.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        centered: bool = False,
        start: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, rho, 0.0, epsilon, centered, **options)
        self.start = start

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        for velocity in self._velocities:
            velocity.assign(ops.full(velocity.shape, self.start, velocity.dtype))

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable and its means with its gradient."""
        index, rho = self._get_variable_index(variable), self.rho
        gradient = ops.cast(gradient, variable.dtype)
        mean_square = self._velocities[index]
        self.assign(mean_square, rho * mean_square + (1 - rho) * ops.square(gradient))
        divisor = mean_square + self.epsilon
        if self.centered:
            mean = self._average_gradients[index]
            self.assign(mean, rho * mean + (1 - rho) * gradient)
            # Keras' order of the sum: another rounds differently, and runs must resume exactly.
            divisor = ops.maximum(mean_square - ops.square(mean) + self.epsilon, self.epsilon)
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * gradient / ops.sqrt(divisor))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"start": self.start}
        del config["momentum"]
        return config


def build_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a `TrainConfig`."""
    schedule = WarmupThenDecay(
        config.learning_rate,
        config.final_learning_rate,
        config.warmup_steps,
        config.steps,
        config.schedule,
        config.drops,
        config.drop_factor,
    )
    if config.optimizer == "rmsprop":
        return RMSprop(
            schedule,
            rho=0.9,
            epsilon=config.epsilon,
            centered=config.centered,
            start=config.rmsprop_start,
        )
    return keras.optimizers.Adam(schedule, epsilon=config.epsilon)
