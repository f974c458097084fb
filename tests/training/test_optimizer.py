"""Learning-rate schedules: warm-up, both curves, both ends."""

import keras
import numpy as np
import pytest

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.training.optimizer import WarmupThenDecay, build_optimizer
from support.errors import refuses
from support.runs import tiny_run


@pytest.mark.parametrize("schedule", ["exponential", "cosine"])
def test_schedule_warms_up_and_ends_at_the_final_rate(schedule):
    rate = WarmupThenDecay(1e-3, 1e-5, warmup_steps=10, steps=110, schedule=schedule)
    rates = [float(rate(step)) for step in range(111)]
    np.testing.assert_allclose(rates[:10], 1e-3 * np.arange(1, 11) / 10, rtol=1e-5)
    np.testing.assert_allclose(rates[110], 1e-5, rtol=1e-4)
    middle = 1e-4 if schedule == "exponential" else (1e-3 + 1e-5) / 2
    np.testing.assert_allclose(rates[60], middle, rtol=1e-4)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


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


def test_the_papers_video_recipe():
    config = make_run("robot_pushing", "OTlogN", "paper").train
    optimizer = build_optimizer(config)
    assert isinstance(optimizer, keras.optimizers.RMSprop)
    assert optimizer.centered and optimizer.epsilon == 1e-8
    rates = {0: 1e-4, 82_999: 1e-4, 83_000: 3e-5, 112_999: 3e-5, 113_000: 9e-6, 199_999: 9e-6}
    for step, rate in rates.items():
        optimizer.iterations.assign(step)
        np.testing.assert_allclose(float(optimizer.learning_rate), rate, rtol=1e-6)


def test_a_rate_that_drops_warms_up_first():
    rate = WarmupThenDecay(1.0, 1e-5, 4, 100, "steps", drop_steps=(2, 10), drop_factor=0.5)
    expected = [0.25, 0.5, 0.375, 0.5, 0.5]
    np.testing.assert_allclose([float(rate(step)) for step in range(5)], expected)
    np.testing.assert_allclose([float(rate(9)), float(rate(10))], [0.5, 0.25])


def test_not_centered_unless_told():
    assert not build_optimizer(tiny_run(optimizer="rmsprop").train).centered


@pytest.mark.parametrize(
    "fields, facts",
    [
        ({"schedule": "steps"}, ("schedule", "steps", "drop_steps", "83000,113000")),
        (
            {"schedule": "steps", "drop_steps": "83K"},
            ("drop_steps", "83K", "numbers", "83000,113000"),
        ),
        ({"schedule": "steps", "drop_steps": "20,10"}, ("drop_steps", "20,10", "rising")),
        ({"schedule": "steps", "drop_steps": "0"}, ("drop_steps", "'0'", "rising", 1)),
        ({"drop_factor": 1.0}, ("drop_factor", 1.0, "0 and 1")),
    ],
)
def test_drops_that_make_no_sense_are_told(fields, facts):
    with refuses(*facts):
        tiny_run(**fields)
