"""The benchmark of training in bfloat16, on runs of a few steps."""

import pytest

import precision
from ms_pixelcnn_tf.configs import PRESETS
from support.errors import missing_facts, refuses
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = {
    "base_layers": 1,
    "base_features": 6,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "decoder_layers": 1,
    "decoder_features": 6,
    "output": "dmol",
    "crop_size": 0,
    "batch_size": 2,
}
ARGUMENTS = ["--preset=small", "--size=8", "--steps=4", "--examples=4"]


def test_runs_differ_in_one_thing_each():
    options = precision.parse(ARGUMENTS)
    plain, mixed, other = (precision.configuration(name, options) for name in precision.RUNS)
    assert (plain.model.dtype, mixed.model.dtype) == ("float32", "mixed_bfloat16")
    assert plain.model == other.model and plain.train.seed != other.train.seed
    assert plain.train == mixed.train and plain.data == mixed.data == other.data


def test_runs_of_two_dtypes_end_near_each_other(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "small", SMALL)
    precision.main([*ARGUMENTS, f"--out={tmp_path}"])
    bits = results_of(tmp_path, "precision")["bits"]
    bits = {name: by_split["validation"] for name, by_split in bits.items()}
    assert len(set(bits.values())) == 3  # no two runs are one
    assert bits["mixed_bfloat16"] == pytest.approx(bits["float32"], abs=0.1)


def test_the_gap_is_that_of_validation():
    plain = {"validation": 1.0, "novel": 2.0}
    for gap in (0.009, -0.011):
        bits = {"float32": plain, "mixed_bfloat16": plain | {"validation": 1.0 + gap}}
        results = {"settings": vars(precision.parse(ARGUMENTS)), "bits": bits}
        assert not missing_facts(precision.body(results)[-1], "0.01 bits", f"{abs(gap):.4f}")


def test_a_wrong_value_is_told_before_anything_is_trained():
    with refuses("preset", "tinny", "tiny"):
        precision.main(["--preset=tinny"])
