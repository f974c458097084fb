"""The benchmark of departures: every one has a run, the arithmetic is right, small runs work."""

import json

import pytest

import departures
from ms_pixelcnn_tf.configs import ModelConfig, TrainConfig, VideoConfig
from ms_pixelcnn_tf.configs.shared import departures as fields_of
from parts import departures_report
from support.errors import refuses
from support.written_results import results_of

KINDS = departures_report.KINDS
SMALL = {
    "dataset": "shapes",
    "preset": "tiny",
    "image_size": 8,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "num_levels": 8,
    "batch_size": 2,
    "crop_size": 0,
    "sample_every": 0,
    "evaluation_examples": 4,
}


def curve(*bits, each=10, seconds=60):
    """Records of `each` examples and `seconds` between validations."""
    return [
        {
            "step": n,
            "examples": each * n,
            "cpu_seconds": float(seconds * n),
            "validation_bits": value,
        }
        for n, value in enumerate(bits, start=1)
    ]


def test_every_departure_has_a_run_or_a_reason():
    every = {}
    for config in (ModelConfig, VideoConfig, TrainConfig):
        every |= fields_of(config)
    covered = [name for fields in departures.FIELDS.values() for name in fields]
    assert len(covered) == len(set(covered))
    assert {*covered, *departures.EXCLUDED} == set(every)
    assert not set(covered) & set(departures.EXCLUDED)


def test_the_runs_are_valid_and_change_one_field():
    seen = {}
    for name, (group, _, seed) in departures.RUNS.items():
        run = departures.configuration(name, 300)
        assert run.train.steps == 300 and run.train.warmup_steps == 30
        assert run.train.seed == seed and run.train.optimizer == "adam"
        values = {**vars(run.model), **vars(run.train)}
        seen[name] = {field: values[field] for field in departures.FIELDS[group]}
        assert name not in departures.FIELDS
    for group, fields in departures.FIELDS.items():
        ours, paper = seen[f"{group}-ours"], seen[f"{group}-paper"]
        assert ours == seen[f"{group}-ours-again"]
        for field in fields:
            assert ours[field] != paper[field]
            assert seen[f"{group}-ours-less-{field}"] == ours | {field: paper[field]}
            assert seen[f"{group}-paper-plus-{field}"] == paper | {field: ours[field]}


def test_only_names_runs_and_groups():
    usual = departures.selected(None)
    assert not [name for name in usual if "-paper-plus-" in name]
    plus = "videos-paper-plus-memory_norms"
    assert departures.selected([plus]) == [plus]
    found = departures.selected(["videos", plus])
    assert set(found) == {plus, *(name for name in usual if name.startswith("videos-"))}
    with refuses("images-ourss", "images-ours"):
        departures.parse(["train", "--only=images-ourss"])


def test_steps_fit_into_the_time_of_ours(tmp_path, monkeypatch):
    """Ours takes half a second a step, the other twice as long, however the machine drifts."""
    drift = iter([1.0, 3.0, 8.0])

    def measured(names, options):
        slower = next(drift)
        costs = {"images-ours": 0.5 * slower, "images-paper": 1.0 * slower}
        return {name: [costs[name]] * 3 for name in names}, {n: {"parameters": 1} for n in names}

    monkeypatch.setattr(departures, "measure_steps", measured)
    options = departures.parse(["calibrate", f"--workdir={tmp_path}"])
    found = [
        departures.calibrate(name, options)
        for name in ("images-ours", "images-ours-again", "images-paper", "images-ours")
    ]
    assert [each["steps"] for each in found] == [1200, 1200, 600, 1200]
    assert found[0] == found[1] == found[3] and found[2]["over_ours"] == 2
    slow = departures.parse(["calibrate", f"--workdir={tmp_path / 'short'}", "--minutes=1"])
    assert departures.calibrate("images-ours", slow)["steps"] == 15  # at eight times the cost


def test_differences_at_equal_time_and_equal_examples():
    found = departures_report.summarise(
        "images",
        {
            "images-ours": curve(6.0, 5.0, 4.0),
            "images-ours-again": curve(6.1, 5.1, 4.125),
            "images-ours-less-gated_kernel": curve(5.0, 4.5, each=7.5, seconds=90),
            "images-ours-less-softmax_law": curve(6.0, 5.0, 4.0625),
            "images-ours-less-pixel_inputs": curve(5.0, 4.0, 3.5),
        },
    )
    assert found["common_examples"] == 15
    assert found["spread"] == pytest.approx({"time": 0.125, "examples": 0.1})
    kernel = found["runs"]["images-ours-less-gated_kernel"]
    assert kernel["minutes"] == 3 and kernel["per_second"] == pytest.approx(15 / 180)
    assert kernel["time"] == {"bits": 4.5, "difference": 0.5, "exceeds": True}
    assert kernel["examples"] == {"bits": 4.5, "difference": -1.0, "exceeds": True}
    assert not found["runs"]["images-ours-less-softmax_law"]["time"]["exceeds"]


def test_without_a_second_seed_nothing_counts():
    found = departures_report.summarise(
        "images", {"images-ours": curve(5.0), "images-paper": curve(6.0)}
    )
    assert found["spread"] == {"time": None, "examples": None}
    paper = found["runs"]["images-paper"]["time"]
    assert paper == {"bits": 6.0, "difference": 1.0, "exceeds": None}


@pytest.mark.slow
def test_two_small_runs_from_calibration_to_page(tmp_path, monkeypatch):
    monkeypatch.setitem(departures.SHARED, "images", SMALL)
    monkeypatch.setattr(
        departures,
        "measure_steps",
        lambda names, options: (
            {n: [15] for n in names},
            {n: {"parameters": len(n)} for n in names},
        ),
    )
    names = ("images-ours", "images-ours-less-prediction_path")
    flags = [f"--workdir={tmp_path / 'runs'}", "--minutes=1"]
    for name in names:
        departures.train_one(name, departures.parse(["train", *flags]))
    # A finished run is left as it is, and another time is refused.
    departures.train_one(names[0], departures.parse(["train", *flags]))
    with refuses("minutes", 2, 1, names[0]):
        departures.train_one(names[0], departures.parse(["train", flags[0], "--minutes=2"]))
    departures.main(["report", flags[0], f"--out={tmp_path}"])
    found = results_of(tmp_path, "departures", tmp_path / "runs")["groups"]["images"]
    assert list(found["runs"]) == list(names) and found["common_examples"] == 8
    ours, less = (found["runs"][name]["calibration"] for name in names)
    assert ours["steps"] == less["steps"] == 4 and less["over_ours"] == 1
    assert json.loads((tmp_path / "runs" / f"{names[0]}.json").read_text()) == ours


def test_wrong_use_is_one_clear_error(tmp_path):
    with refuses("data_dir", "tiny-imagenet-200.zip"):
        departures.main(["train", "--only=images"])
    with refuses(tmp_path, "images-ours"):
        departures.main(["report", f"--workdir={tmp_path}", f"--out={tmp_path}"])
