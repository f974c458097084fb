"""Table 4's benchmark on models small enough to trace in seconds."""

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
import table4
from ms_pixelcnn_tf.configs.shared import paper_values
from parts import rounds, samplers, speed
from support.errors import refuses
from support.models import randomise
from support.workers import in_process
from support.written_results import goals_met, results_of

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
    options = table4.parse(arguments)
    return [*speed.image_rows(options), *speed.video_rows(options)]


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
    assert not table4.targets(rows)  # no goal is of a batch of 2


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
    names = {(group, model, column): name for group, model, _, column, name, *_ in table4.TARGETS}
    large, small = "images, softmax, batch 30", "images, softmax, batch 1"
    assert goals_met(table4.targets(found)) == {
        names[large, "OlogN A", "sampling_over_likelihood"]: True,
        names[large, "ON", "sampling_over_likelihood"]: True,
        names[large, "OlogN A", "faster_than_naive"]: True,
        names[small, "OlogN A", "faster_than_cached"]: False,
    }


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
        (["--only=pictures"], ("part", "pictures", "images")),
        (["--outputs=sofmax"], ("output", "sofmax", "softmax")),
        (["--batches=3,no"], ("--batches", "3,no")),
        (["--batches=3,1,3"], ("--batches", "3,1,3", "twice")),
    ],
)
def test_wrong_values_are_told(arguments, facts):
    with refuses(*facts):
        table4.main(arguments)
