"""The density report: curves read exactly, and its numbers from small runs."""

import json

import numpy as np
import pytest

import density
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import PRESETS
from ms_pixelcnn_tf.runs.metrics import METRICS
from ms_pixelcnn_tf.training import loop
from parts import codecs, curves, rounds
from support.errors import missing_facts, refuses
from support.runs import TinySource, tiny_run
from support.written_results import results_of

pytestmark = pytest.mark.slow


def line(slope, start, places):
    """A curve on which validation bits are `start + slope · cpu_seconds`."""
    return [
        {"cpu_seconds": x, "examples": 10 * x, "validation_bits": start + slope * x} for x in places
    ]


def test_interpolation_is_exact_on_straight_lines():
    curve = line(-0.5, 7.0, [1, 2, 5, 9])
    for place in (1, 1.25, 2, 3.5, 9):
        assert curves.bits_at(curve, "cpu_seconds", place) == pytest.approx(7.0 - 0.5 * place)
        assert curves.bits_at(curve, "examples", 10 * place) == pytest.approx(7.0 - 0.5 * place)


def test_nothing_is_extrapolated():
    curve = line(-0.5, 7.0, [1, 2])
    assert curves.bits_at(curve, "cpu_seconds", 0.5) is None
    assert curves.bits_at(curve, "cpu_seconds", 2.5) is None
    assert curves.bits_at(curve[:1], "cpu_seconds", 1) == 6.5


def test_equal_time_and_examples_are_the_smallest_of_the_largest():
    runs = {"ON": line(-0.1, 6.0, [2, 10]), "fast": line(-0.2, 6.0, [1, 4, 30])}
    found = curves.compare(runs, "ON")
    assert (found["common_time"], found["common_examples"]) == (10, 100)
    assert found["runs"]["fast"]["gap_at_equal_time"] == pytest.approx(-0.1 * 10)
    assert found["runs"]["ON"]["bits_at_equal_time"] == pytest.approx(5.0)
    assert found["runs"]["ON"]["gap_at_equal_time"] is None


def test_a_run_that_starts_after_the_common_reach_has_no_reading():
    runs = {"ON": line(-0.1, 6.0, [1, 2]), "late": line(-0.1, 6.0, [5, 9])}
    late = curves.compare(runs, "ON")["runs"]["late"]
    assert late["bits_at_equal_time"] is None and late["gap_at_equal_time"] is None


def test_lossless_bits_count_whole_files():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    bits = codecs.lossless_bits(images)
    assert set(bits) == {"PNG", "WebP, method 4", "WebP, method 6"}
    assert all(8.0 < value < 9.0 for value in bits.values())  # noise, and the headers
    assert codecs.lossless_bits(images * 0)["PNG"] < 1.0


def test_spread():
    assert rounds.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_the_runs_are_valid_and_differ_from_the_preset_as_said():
    for name, fields in density.RUNS.items():
        run = density.configuration(name, "somewhere")
        assert run.train.steps == fields["steps"]
        assert run.train.batch_size == PRESETS["small"]["batch_size"]
        assert run.model.variant == name.split("-")[0]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("density")
    runs = {
        "ON-dmol": {"variant": "ON", "steps": 3, "evaluate_every": 1},
        "OlogN-A-dmol": {"steps": 3, "evaluate_every": 1},
    }
    for name, fields in runs.items():
        run = tiny_run(channels=3, num_levels=256, **fields)
        loop.train(run, folder / name, ColourSource())
    return folder


class ColourSource(TinySource):
    """Three equal channels."""

    channels = 3

    def examples(self, split, indices, fields=None):
        examples = super().examples(split, indices, fields)
        examples["image"] = np.repeat(examples["image"], 3, axis=-1)
        return examples


def test_the_numbers_are_those_of_the_runs(workdir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "load", lambda *_, **__: ColourSource())
    density.main(["report", f"--workdir={workdir}", f"--out={tmp_path}"])
    assert not missing_facts(capsys.readouterr().err, "OlogN-B-dmol", "validation")
    results = results_of(tmp_path, "density", workdir)
    assert list(results["runs"]) == ["ON-dmol", "OlogN-A-dmol"]
    last = json.loads((workdir / "ON-dmol" / METRICS).read_text().splitlines()[-1])
    assert results["runs"]["ON-dmol"]["validation_bits"] == last["validation_bits"]
    assert results["common_examples"] == 12
    assert all((tmp_path / name).is_file() for name in ("density.png", "density_samples.png"))


def test_wrong_use_is_one_clear_error(tmp_path):
    with refuses("train", "--data_dir"):
        density.main(["train"])
    with refuses("run", "ON-dmoll", "ON-dmol"):
        density.main(["train", "--only=ON-dmoll", "--data_dir=x"])
    with refuses(tmp_path / "ON-dmol", "validation"):
        density.main(["report", f"--workdir={tmp_path}"])
    with refuses("mode", "tell", "train", "report"):
        density.main(["tell"])
