"""Optimizers and learning-rate schedules by name, from a `TrainConfig`.

The paper trains images with RMSprop, ε = 1e-8, from 1e-4 down to 1e-5 over 200K steps; it does not
say along which curve. "exponential" (a straight line in the logarithm) is our choice. Videos it
trains with centred RMSprop, at a rate of 1e-4 that drops to 0.3 of itself at 83K and 113K steps.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.configs import TrainConfig
from ms_pixelcnn_tf.types import Tensor


class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `learning_rate`, then decay.

    With schedule "steps" the rate is multiplied by `drop_factor` from each of `drop_steps` on;
    otherwise it decays to `final_learning_rate` at step `steps`.
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


def build_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """The optimizer of a `TrainConfig`."""
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
        return keras.optimizers.RMSprop(
            schedule, rho=0.9, epsilon=config.epsilon, centered=config.centered
        )
    return keras.optimizers.Adam(schedule, epsilon=config.epsilon)
