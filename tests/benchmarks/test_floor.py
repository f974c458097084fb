"""The floor benchmark on models small enough to trace in seconds."""

import importlib

import numpy as np
import pytest

import floor
import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.configs import make_run
from parts import profile, rounds
from support.errors import refuses
from support.workers import in_process
from support.written_results import goals_met, results_of

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
    ceiling = results["machine"]["conv_gflops"]
    for name, factor in (("likelihood", 1), ("sampling", 1), ("training", 3)):
        gflop = factor * 2 * plain["flops"] / 1e9
        fastest = gflop / plain[f"{name}_seconds"]["min"] / ceiling
        assert plain[f"{name}_fraction"]["max"] == pytest.approx(fastest)
    assert "sampling_seconds" not in mixed and mixed["training_over_float32"]["median"] > 0
    parts = {name: sum(seconds.values()) for name, seconds in plain["parts"].items()}
    assert parts["base"] > 0 and parts["trunk"] > 0 and parts["inverse CDF"] > 0
    assert parts["decoder"] == 0  # of type B alone
    assert parts["heads"] > 0 and parts["other"] < 0.2 * sum(parts.values())
    assert 0 < results["input_share"]["waiting"]["median"] < 1


def test_the_videos_are_those_of_the_paper():
    cases = list(floor.cases(floor.parse(["--only=videos"])))
    assert [case.model for case in cases] == list(floor.VIDEOS)
    for case in cases:
        run = make_run(**case.worker[1])
        assert run.train.batch_size == 1 and run.model.num_frames == 20
        assert case.worker[2] == (case.model != "OTN")


def test_goals_are_judged_by_medians():
    def spread(median):
        return {"median": median, "min": 0, "max": 99}

    plain = {"dtype": "float32", "frames": 0}
    results = {
        "models": [
            plain | {"model": "A", "training_fraction": spread(0.61)},
            plain | {"model": "B", "training_fraction": spread(0.59)},
            plain | {"model": "OT", "training_fraction": spread(0.7), "frames": 20},
            {"model": "A", "dtype": "mixed_bfloat16", "training_over_float32": spread(1.5)},
            {"model": "B", "dtype": "mixed_bfloat16", "training_over_float32": spread(1.49)},
        ],
        "input_share": {"share": spread(0.031), "waiting": spread(0.001), "steps": 8},
    }
    assert list(goals_met(floor.goals(results)).values()) == [True, False, True, False, False]


def test_parts_are_told_by_scope():
    assert profile.part_of("base/while/body/_1/base/while/inverse_cdf_3/Exp") == "inverse CDF"
    assert profile.part_of("base_1/while/heads/MatMul") == "base"
    assert profile.part_of("heads_12/logits/MatMul") == "heads"
    assert profile.part_of("trunk_4/block1_1/convolution") == "trunk"
    assert profile.part_of("baseline/MatMul") == profile.part_of("Transpose_3") == "other"


def test_scopes_change_no_sample():
    fields = {
        "image_size": 8,
        "base_size": 4,
        "base_layers": 1,
        "base_features": 6,
        "residual_blocks": 1,
        "features": 6,
        "head_features": 6,
        "decoder_layers": 1,
        "decoder_features": 6,
        "upscaler": "B",
    }
    uniforms = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    plain, scoped = ms.build_model(**fields), ms.build_model(**fields)
    for new, old in zip(scoped.variables, plain.variables, strict=True):
        new.assign(old)
    with profile.scopes(scoped):
        expected = scoped.decode(uniforms)
    np.testing.assert_array_equal(plain.decode(uniforms), expected)
    operations = profile.profile(lambda: scoped.decode(uniforms))
    parts = profile.by_part(operations)
    assert all(sum(parts[name].values()) > 0 for name in ("base", "decoder", "trunk"))
    assert sum(sum(part.values()) for part in parts.values()) == pytest.approx(
        sum(seconds for seconds, _ in operations.values())
    )


def test_a_wrong_part_is_told():
    with refuses("part", "image", "images"):
        floor.main(["--only=image"])


@pytest.mark.parametrize("name", ["floor", "peers", "precision", "soak"])
def test_another_backend_is_told(monkeypatch, name):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with refuses("KERAS_BACKEND", "jax", "TensorFlow"):
        importlib.import_module(name).main([])
