"""Table 4's benchmark on models small enough to trace in seconds."""

import json

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
import table4
from ms_pixelcnn_tf.configs.density import paper_values
from ms_pixelcnn_tf.errors import UserError
from parts import rounds, samplers, speed
from support import in_process
from support.proofs import randomise

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


def rows_of(arguments):
    options = table4.parse(arguments)
    return [*speed.image_rows(options), *speed.video_rows(options)]


def test_the_page_and_the_numbers_are_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rounds, "workers", in_process.workers)
    table4.main([*SMALL, f"--out={tmp_path}"])
    page = (tmp_path / "table4_images.md").read_text(encoding="utf-8")
    assert page.strip() in capsys.readouterr().out
    assert str(tmp_path) not in page
    rows = json.loads((tmp_path / "table4_images.json").read_text(encoding="utf-8"))["rows"]
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
        assert page.count(f"| {row['model']}, {speed.HOW[row['sampler']]} |") == 1
    assert "Goals" not in page  # none is of a batch of 2


def test_ratios_are_of_one_round_and_goals_of_their_own_groups(monkeypatch):
    seconds = {  # by row and round: sampling, likelihood
        "ON, naive": [(9000, 2), (8000, 2), (9900, 3)],
        "ON, cached": [(10, 4), (6, 4), (4, 4)],
        "OlogN A, in-graph": [(3, 3), (4, 2), (3.3, 3)],
    }
    rows = [
        speed.Row(f"images, softmax, batch {batch}", model, "ON", sampler, ())
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
    fast = speed.find(found, "OlogN A", "graph")
    assert fast["sampling_over_likelihood"] == pytest.approx({"median": 1.1, "min": 1, "max": 2})
    # The rounds' own ratios are 3000, 2000 and 3000; those of the medians would be 9000 / 3.3.
    assert fast["faster_than_naive"]["median"] == pytest.approx(3000)
    assert fast["faster_than_cached"]["median"] == pytest.approx(1.5)
    lines = [line for line in table4.targets(found).splitlines() if "≤" in line or "≥" in line]
    goals = {line.split("|")[1].strip(): line for line in lines}
    assert goals.keys() == {
        "sample / likelihood, type A",
        "sample / likelihood, cached ON",
        "OlogN (A) against naive ON",
        "OlogN (A) against cached ON",
    }
    met = {name: line.rsplit("|", 2)[1].strip() for name, line in goals.items()}
    assert met == {
        "sample / likelihood, type A": "yes",
        "sample / likelihood, cached ON": "yes",
        "OlogN (A) against naive ON": "yes",
        "OlogN (A) against cached ON": "no",
    }
    assert "batch 1 " in goals["OlogN (A) against cached ON"]
    assert "batch 30 " in goals["OlogN (A) against naive ON"]


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
    ("arguments", "message"),
    [
        (["--only=pictures"], "unknown part 'pictures'.*images"),
        (["--outputs=sofmax"], "unknown output 'sofmax'"),
        (["--batches=3,no"], "batches"),
        (["--batches=3,1,3"], "has a number twice"),
    ],
)
def test_wrong_values_are_told(arguments, message):
    with pytest.raises(UserError, match=message):
        table4.main(arguments)
