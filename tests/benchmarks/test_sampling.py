"""The sampling benchmark on models small enough to trace in seconds."""

import json

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
import sampling
from ms_pixelcnn_tf.errors import UserError
from parts import tables
from parts.samplers import evaluations

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


def test_the_page_and_the_numbers_are_written(tmp_path, capsys):
    sampling.main([*SMALL, f"--out={tmp_path}"])
    page = (tmp_path / "sampling.md").read_text(encoding="utf-8")
    assert page.strip() in capsys.readouterr().out
    assert str(tmp_path) not in page
    results = json.loads((tmp_path / "sampling.json").read_text(encoding="utf-8"))
    assert [model["model"] for model in results["models"]] == ["A", "B", "ON"]
    for model in results["models"]:
        ratio = model["sampling_over_likelihood"]
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    on = results["models"][-1]
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
    with pytest.raises(UserError, match="unknown output 'sofmax'"):
        sampling.main(["--outputs=sofmax"])


def test_the_shown_command_names_no_folder():
    shown = tables.shown_command("sampling", ["--batch=4", "--out=a", "--out", "b", "--size", "16"])
    assert shown == "bin/benchmark sampling --batch=4 --size 16"
