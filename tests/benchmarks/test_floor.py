"""The floor benchmark on models small enough to trace in seconds."""

import importlib

import pytest

import floor
from ms_pixelcnn_tf.configs import make_run
from parts import rounds
from support.errors import refuses
from support.workers import in_process
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = [
    "--batch=2",
    "--size=8",
    "--base=4",
    "--width=8",
    "--blocks=1",
    "--layers=1",
    "--on_layers=1",
    "--repeats=2",
    "--output=dmol",
]


def test_the_numbers_follow_from_the_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "workers", in_process)
    monkeypatch.setattr(floor, "IMAGES", {"OlogN, type A": floor.IMAGES["OlogN, type A"]})
    floor.main([*SMALL, "--only=images", f"--out={tmp_path}"])
    results = results_of(tmp_path, "floor_images")
    plain, mixed = results["models"]
    assert (plain["dtype"], mixed["dtype"]) == ("float32", "mixed_bfloat16")
    ceiling = results["ceilings"]["float32"]
    for name, factor in (("likelihood", 1), ("sampling", 1), ("training", 3)):
        gflop = factor * 2 * plain["flops"] / 1e9
        fastest = gflop / plain[f"{name}_seconds"]["min"] / ceiling
        assert plain[f"{name}_fraction"]["max"] == pytest.approx(fastest)
    assert "sampling_seconds" not in mixed and mixed["training_over_float32"]["median"] > 0
    assert results["input_share"]["max"] < 1


def test_the_videos_are_those_of_the_paper():
    subjects = floor.subjects(floor.parse(["--only=videos"]))
    assert [model for model, _ in subjects] == list(floor.VIDEOS)
    for (model, _), (_, fields, samples) in subjects.items():
        run = make_run(**fields)
        assert run.train.batch_size == 1 and run.model.num_frames == 20
        assert samples == (model != "OTN")


def test_goals_are_of_images_and_of_bfloat16():
    def spread(median):
        return {"median": median, "min": 0, "max": 99}

    plain, mixed = {"dtype": "float32"}, {"dtype": "mixed_bfloat16"}
    results = {
        "models": [
            plain | {"model": "ON", "training_fraction": spread(0.61)},
            plain | {"model": "OT", "training_fraction": spread(0.7)},
            mixed | {"model": "ON", "training_over_float32": spread(1.49)},
        ],
        "input_share": spread(0.031),
    }
    rows = [row.split("|")[2:4] for row in floor.goals(results).splitlines()[4:]]
    assert [[cell.split()[0] for cell in row] for row in rows] == [
        ["≥", "0.61"],
        ["≥", "1.49"],
        ["≤", "0.031"],
    ]


def test_a_wrong_part_is_told():
    with refuses("--only", "image", "images"):
        floor.main(["--only=image"])


@pytest.mark.parametrize("name", ["floor", "peers", "precision", "soak"])
def test_another_backend_is_told(monkeypatch, name):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with refuses("KERAS_BACKEND", "jax", "TensorFlow"):
        importlib.import_module(name).main([])
