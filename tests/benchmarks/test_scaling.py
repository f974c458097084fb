"""The scaling benchmark on models small enough to trace in seconds."""

import importlib.util

import numpy as np
import pytest

import density
import scaling
from ms_pixelcnn_tf.configs import make_run
from parts import rounds
from support.errors import refuses
from support.workers import in_process
from support.written_results import goals_met, results_of

pytestmark = pytest.mark.slow

SMALL = [
    "--base=2",
    "--width=8",
    "--blocks=1",
    "--layers=1",
    "--on_layers=1",
    "--repeats=2",
    "--output=dmol",
]


def test_times_are_a_pixel_and_compared_where_both_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "workers", in_process)
    scaling.main([*SMALL, "--sizes=4,8", "--on_sizes=4", f"--out={tmp_path}"])
    found = results_of(tmp_path, "scaling")["sizes"]
    assert [(one["variant"], one["size"]) for one in found] == [
        ("OlogN", 4),
        ("OlogN", 8),
        ("ON", 4),
    ]
    for one in found:
        a_pixel = one["seconds_a_pixel"]["median"]
        assert a_pixel * one["size"] ** 2 == pytest.approx(one["seconds"]["median"])
    assert "faster_than_cached_ON" in found[0] and "faster_than_cached_ON" not in found[1]
    assert (tmp_path / "scaling.png").is_file()


@pytest.mark.parametrize("main, arguments", [(scaling.main, []), (density.main, ["report"])])
def test_a_missing_matplotlib_is_reported_before_the_work(monkeypatch, main, arguments):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refuses("matplotlib", "[benchmarks]"):
        main(arguments)


def test_evaluations_grow_with_the_logarithm():
    options = scaling.parse([])
    counts = {
        case.name: sum(scaling.evaluations(make_run(**case.worker[1]).model))
        for case in scaling.cases(options)
    }
    assert counts["ON 64"] == 64 * 64
    sizes = [counts[f"OlogN {size}"] for size in (16, 32, 64, 128, 256, 512)]
    assert np.diff(sizes).tolist() == [3] * 5


def sizes(**seconds_a_pixel):
    return [
        {
            "variant": "OlogN",
            "size": int(size[1:]),
            "seconds_a_pixel": {"median": value},
            "memory": 1024.0 * int(size[1:]) / 100,
        }
        for size, value in seconds_a_pixel.items()
    ]


def test_goals_are_judged_by_what_was_found():
    falling = scaling.goals(sizes(_32=1.0, _64=3.0, _128=2.0, _512=2.0))
    # What happens before 64 counts for nothing; 512 takes too much memory.
    assert list(goals_met(falling).values()) == [True, False]
    rising = scaling.goals(sizes(_64=1.0, _128=0.5, _256=0.6))
    assert list(goals_met(rising).values()) == [False]


def test_a_size_out_of_reach_is_told():
    with refuses("image_size", 20, "base_size", 8):
        scaling.main(["--sizes=20"])
