"""Table 4's benchmark on models small enough to trace in seconds."""

import importlib.util

import numpy as np
import pytest

import density
import ms_pixelcnn_tf as ms
import table4
from ms_pixelcnn_tf.configs.shared import paper_values
from parts import rounds, samplers, sizes, speed
from support.errors import refuses
from support.models import randomise
from support.workers import in_process
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = [
    "--batches=2",
    "--size=4",
    "--base=2",
    "--width=8",
    "--blocks=1",
    "--layers=1",
    "--on_layers=1",
    "--repeats=2",
    "--naive_evaluations=2",
    "--outputs=dmol",
    "--only=images",
]


def test_evaluations_change_no_image():
    model = ms.build_model(variant="ON", image_size=4, base_layers=1, base_features=8)
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("int32")
    np.testing.assert_array_equal(samplers.evaluations(model, 3)(images), images)


def rows_of(arguments):
    return table4.rows_of(table4.parse(arguments))


def test_rows_are_compared_with_on_and_naive_sampling_is_extrapolated(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "workers", in_process)
    table4.main([*SMALL, f"--out={tmp_path}"])
    rows = results_of(tmp_path, "table4_images")["rows"]
    assert [(row["model"], row["sampler"]) for row in rows] == [
        ("ON", "naive"),
        ("ON", "cached"),
        ("OlogN A", "steps"),
        ("OlogN A", "graph"),
        ("OlogN B", "steps"),
        ("OlogN B", "graph"),
    ]
    naive, cached, *others = rows
    assert naive["extrapolated_by"] == 4 * 4 / 2  # a DMOL: one evaluation a pixel
    assert naive["first_seconds"] is None
    assert naive["faster_than_naive"]["median"] == cached["faster_than_cached"]["median"] == 1
    for row in (cached, *others):
        assert row["extrapolated_by"] == 1 and row["first_seconds"] > 0
    assert not list(speed.goals(rows))  # no goal is of a batch of 2


def test_ratios_are_of_one_round_and_goals_of_their_own_groups(monkeypatch):
    seconds = {  # by row and round: sampling, likelihood
        "ON, naive": [(9000, 2), (8000, 2), (9900, 3)],
        "ON, cached": [(10, 4), (6, 4), (4, 4)],
        "OlogN A, in-graph": [(3, 3), (4, 2), (3.3, 3)],
    }
    rows = [
        speed.Row(f"images, softmax, batch {batch}", model, "ON", sampler, ("", {}))
        for batch in (1, 30)
        for model, sampler in [("ON", "naive"), ("ON", "cached"), ("OlogN A", "graph")]
    ]

    def run(subjects, repeats):
        times = {
            name: [{"sampling": a, "likelihood": b} for a, b in seconds[name][:repeats]]
            for name in subjects
        }
        return times, dict.fromkeys(times, {})

    monkeypatch.setattr(rounds, "run", run)
    found = speed.measure(rows, 3)
    assert [(row["group"], row["model"], row["sampler"]) for row in found] == [
        (row.group, row.model, row.sampler) for row in rows
    ]
    fast = found[2]
    assert fast["sampling_over_likelihood"] == pytest.approx({"median": 1.1, "min": 1, "max": 2})
    # The rounds' own ratios are 3000, 2000 and 3000; those of the medians would be 9000 / 3.3.
    assert fast["faster_than_naive"]["median"] == pytest.approx(3000)
    assert fast["faster_than_cached"]["median"] == pytest.approx(1.5)
    assert [figure for figure, *_ in speed.goals(found)] == [
        "sample / likelihood: OlogN A, images, softmax, batch 30",
        "sample / likelihood: ON, images, softmax, batch 30",
        "× naive: OlogN A, images, softmax, batch 30",
        "× cached: OlogN A, images, softmax, batch 1",
    ]


def test_the_rows_are_those_of_the_paper_and_what_it_left_out():
    rows = rows_of([])
    names = {(row.group, row.name) for row in rows}
    assert len(names) == len(rows) == 2 * (8 + 6) + 9  # batches of softmax and dmol
    assert {row.group for row in rows} == {
        *(f"images, {law}, batch {n}" for law in ("softmax", "dmol") for n in (30, 1)),
        "videos, batch 1",
    }
    videos = {row.name for row in rows if row.frames == 18}
    assert {"OTN, naive", "OTN, cached", "OT, a step a call", "OTlogN, in-graph"} < videos
    for row in rows:
        config = ms.configs.make_run(**row.worker[1]).model
        assert config.variant == row.variant
        assert config.base_features == (
            128 if row.variant != "OT_baseline" else config.base_features
        )


def test_the_papers_own_model_has_no_departure_and_an_evaluation_a_channel():
    papers = [row for row in rows_of(["--only=images"]) if row.model == speed.PAPERS]
    assert {row.group for row in papers} == {f"images, softmax, batch {n}" for n in (30, 1)}
    for row in papers:
        config = ms.configs.make_run(**row.worker[1]).model
        assert (config.upscaler, config.output, config.features) == ("A", "softmax", 128)
        for name, value in paper_values(config).items():
            assert getattr(config, name) == value, name


@pytest.mark.parametrize(
    ("fields", "evaluations"),
    [
        ({"variant": "ON"}, 1),
        ({"upscaler": "A"}, 1),
        ({"upscaler": "B"}, 1),
        ({"upscaler": "A", "type_a_colour": "masked"}, 3),
    ],
)
def test_only_a_channel_masked_network_is_evaluated_once_a_channel(fields, evaluations):
    sizes = {"image_size": 4} | ({} if "variant" in fields else {"base_size": 2})
    model = ms.build_model(**fields, **sizes, output="softmax", base_layers=1, residual_blocks=1)
    assert samplers.group_evaluations(model) == evaluations


@pytest.mark.parametrize(
    ("upscaler", "output", "type_a_colour"),
    [("A", "softmax", "head"), ("A", "softmax", "masked"), ("B", "dmol", "head")],
)
def test_steps_one_by_one_decode_the_same_image(upscaler, output, type_a_colour):
    model = ms.build_model(
        upscaler=upscaler,
        output=output,
        type_a_colour=type_a_colour,
        image_size=8,
        base_size=2,
        base_layers=1,
        base_features=6,
        residual_blocks=1,
        features=6,
        head_features=6,
        decoder_layers=1,
        decoder_features=6,
        patch_size=2,
        dtype="float64",
    )
    randomise(model)
    uniforms = np.random.default_rng(0).random((3, 8, 8, 3))
    levels = samplers.StepByStep(model)(uniforms)
    np.testing.assert_array_equal(np.asarray(levels), model.decode(uniforms))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--only=pictures"], ("--only", "pictures", "images")),
        (["--outputs=sofmax"], ("output", "sofmax", "softmax")),
        (["--batches=3,no"], ("--batches", "3,no")),
        (["--batches=3,1,3"], ("--batches", "3,1,3", "twice")),
    ],
)
def test_wrong_values_are_told(arguments, facts):
    with refuses(*facts):
        table4.main(arguments)


def test_sizes_are_compared_where_both_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "workers", in_process)
    flags = ["--only=sizes", "--sizes=4,8", "--on_sizes=4", f"--out={tmp_path}"]
    table4.main([*SMALL[2:7], "--repeats=2", *flags])
    found = results_of(tmp_path, "scaling")["rows"]
    assert [(row["variant"], sizes.side(row)) for row in found] == [
        ("OlogN", 4),
        ("ON", 4),
        ("OlogN", 8),
    ]
    for row in found:
        seconds = sizes.microseconds(row)["median"] * sizes.side(row) ** 2 / 1e6
        assert seconds == pytest.approx(row["sampling_seconds"]["median"])
    assert "faster_than_cached" in found[0] and "faster_than_cached" not in found[2]
    assert (tmp_path / "scaling.png").is_file()


@pytest.mark.parametrize(
    "main, arguments", [(table4.main, ["--only=sizes"]), (density.main, ["report"])]
)
def test_a_missing_matplotlib_is_reported_before_the_work(monkeypatch, main, arguments):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refuses("matplotlib", "[benchmarks]"):
        main(arguments)


def test_evaluations_grow_with_the_logarithm():
    counts = {
        row.worker[1]["image_size"] if row.variant == "OlogN" else row.name: sum(
            sizes.evaluations(ms.configs.make_run(**row.worker[1]).model)
        )
        for row in rows_of(["--only=sizes"])
    }
    assert counts["ON, cached"] == 64 * 64  # the last, hence the largest
    olog = [counts[size] for size in (16, 32, 64, 128, 256, 512)]
    assert np.diff(olog).tolist() == [3] * 5


def rows_by_size(**seconds_a_pixel):
    return [
        {
            "variant": "OlogN",
            "fields": {"image_size": int(size[1:])},
            "sampling_seconds": {"median": value * int(size[1:]) ** 2},
            "memory": 1024.0 * int(size[1:]) / 100,
        }
        for size, value in seconds_a_pixel.items()
    ]


def test_growth_counts_from_64_on():
    falling = list(sizes.goals(rows_by_size(_32=1.0, _64=3.0, _128=2.0, _512=2.0)))
    assert [found for *_, found in falling] == ["1.00 at most", "5.12 GiB"]
    rising = list(sizes.goals(rows_by_size(_64=1.0, _128=0.5, _256=0.6)))
    assert [found for *_, found in rising] == ["1.20 at most"]


def test_a_size_out_of_reach_is_told():
    with refuses("image_size", 20, "base_size", 8):
        table4.main(["--only=sizes", "--sizes=20"])
