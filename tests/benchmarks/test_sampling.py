"""The sampling benchmark on models small enough to trace in seconds."""

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
import sampling
from parts.samplers import evaluations
from support.errors import refuses
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = [
    "--batch=2",
    "--size=4",
    "--base=2",
    "--width=8",
    "--blocks=1",
    "--layers=1",
    "--on_layers=1",
    "--repeats=2",
    "--naive_evaluations=2",
    "--outputs=dmol",
]


def test_ratios_are_ordered_and_on_is_its_own_measure(tmp_path):
    sampling.main([*SMALL, f"--out={tmp_path}"])
    models = results_of(tmp_path, "sampling")["models"]
    assert [model["model"] for model in models] == ["A", "B", "ON"]
    for model in models:
        ratio = model["sampling_over_likelihood"]
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    on = models[-1]
    assert on["speed_up_over_cached_on"]["median"] == 1
    assert on["naive_evaluations_needed"] == 4 * 4  # a DMOL: one a pixel
    assert on["naive_sampling_seconds"]["min"] > 0


def test_evaluations_change_no_image():
    model = ms.build_model(variant="ON", image_size=4, base_layers=1, base_features=8)
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("int32")
    np.testing.assert_array_equal(evaluations(model, 3)(images), images)


def test_the_models_are_those_of_the_paper():
    runs = sampling.configurations(sampling.parse([]))
    assert len(runs) == 6
    on, type_b = runs["ON", "softmax"].model, runs["B", "dmol"].model
    assert (on.base_layers, on.base_features, on.variant) == (15, 128, "ON")
    assert (type_b.residual_blocks, type_b.decoder_layers, type_b.features) == (12, 4, 128)
    assert (type_b.base_size, type_b.image_size) == ((8, 8), (32, 32))
    assert all(run.train.batch_size == 30 for run in runs.values())


def test_a_wrong_output_is_told():
    with refuses("output", "sofmax", "softmax"):
        sampling.main(["--outputs=sofmax"])
