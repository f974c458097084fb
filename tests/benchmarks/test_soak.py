"""The soak's own arithmetic, and the whole of it on few steps."""

import numpy as np
import pytest

import soak
from support.errors import refuses
from support.written_results import results_of


def test_the_slope_is_of_the_second_half():
    steps = np.arange(100, 2100, 100)
    memory = np.where(steps <= 1000, steps * 3.0, 3000 + 0.002 * steps)
    assert soak.slope(np.stack([steps, memory], axis=1)) == pytest.approx(2.0)


@pytest.mark.slow
def test_new_graphs_are_counted():
    import ms_pixelcnn_tf as ms

    model = ms.build_model(image_size=4, base_size=2, base_layers=1, residual_blocks=1)
    assert soak.count_traces(model) == 0
    model.log_prob(model.sample(2))
    first = soak.count_traces(model)
    assert first >= 2
    model.log_prob(model.sample(3))
    assert soak.count_traces(model) == first
    model.decode(np.zeros((1, 4, 4, 3)), sampler="naive")
    assert soak.count_traces(model) == first + 1


@pytest.mark.parametrize("flag", ["--steps=10", "--calls=3"])
def test_too_few_are_refused(flag):
    with refuses(*flag.split("=")):
        soak.parse([flag])


@pytest.mark.slow
def test_a_short_soak_traces_nothing_new(tmp_path):
    soak.main(["--steps=40", "--every=5", "--calls=20", f"--out={tmp_path}"])
    found = results_of(tmp_path, "soak")
    assert [step for step, _ in found["readings"]] == list(range(5, 41, 5))
    assert found["traces"] == 0 and found["readings"][-1][1] > 100
