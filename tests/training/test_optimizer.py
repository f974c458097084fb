"""Learning-rate schedules: warm-up, both curves, both ends."""

import keras
import numpy as np
import pytest

from ms_pixelcnn_tf.training.optimizer import WarmupThenDecay, build_optimizer
from tiny import tiny_run


@pytest.mark.parametrize("schedule", ["exponential", "cosine"])
def test_schedule_warms_up_and_ends_at_the_final_rate(schedule):
    rate = WarmupThenDecay(1e-3, 1e-5, warmup_steps=10, steps=110, schedule=schedule)
    rates = [float(rate(step)) for step in range(111)]
    np.testing.assert_allclose(rates[:10], 1e-3 * np.arange(1, 11) / 10, rtol=1e-5)
    np.testing.assert_allclose(rates[110], 1e-5, rtol=1e-4)
    middle = 1e-4 if schedule == "exponential" else (1e-3 + 1e-5) / 2
    np.testing.assert_allclose(rates[60], middle, rtol=1e-4)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))


def test_no_warm_up_starts_at_the_full_rate():
    rate = WarmupThenDecay(1e-4, 1e-5, warmup_steps=0, steps=100, schedule="exponential")
    np.testing.assert_allclose(float(rate(0)), 1e-4, rtol=1e-6)


@pytest.mark.parametrize(
    "name, kind", [("adam", keras.optimizers.Adam), ("rmsprop", keras.optimizers.RMSprop)]
)
def test_optimizer_by_name(name, kind):
    optimizer = build_optimizer(tiny_run(optimizer=name, epsilon=1e-6).train)
    assert isinstance(optimizer, kind)
    assert optimizer.epsilon == 1e-6
