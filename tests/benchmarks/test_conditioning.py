"""The conditioning benchmark: how answers are counted, and its numbers from small runs."""

import numpy as np
import pytest

import conditioning
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.runs import scales as parts
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from parts import conditioning_report
from parts.prompts import SPLIT, prompts
from support.errors import refuses
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = {
    "num_levels": 32,
    "image_size": 32,
    "base_size": 8,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "text_features": 8,
    "text_width": 8,
    "spatial_features": 4,
    "spatial_blocks": 1,
    "joint_features": 8,
    "label_features": 4,
    "encoder_shared_to": 0,
    "steps": 2,
    "batch_size": 2,
    "warmup_steps": 0,
    "evaluation_examples": 2,
    "sample_every": 0,
}


def rendered(count, kind="keypoints"):
    """Held-out prompts and the pictures they describe."""
    source = data.load("shapes", image_size=32)
    asked = prompts(source, count, kind).asked
    return source.examples(SPLIT, np.arange(count), ("image",))["image"], asked


def test_the_pictures_described_are_right_and_those_of_others_at_chance():
    images, asked = rendered(300)
    found = conditioning_report.hits(images, asked)
    assert found["right"] >= 0.99 and found["none"] < 0.01
    assert found["asked"] == sum(map(len, asked))
    others = conditioning_report.hits(np.roll(images, -1, axis=0), asked)
    assert others["right"] < 0.35


def test_exchanged_colours_are_those_of_the_other_place():
    source = data.load("shapes", image_size=32)
    related = prompts(source, 60, "keypoints", form="relation")
    images = source.examples(SPLIT, related.indices, ("image",))["image"]
    assert conditioning_report.hits(images, related.asked)["right"] >= 0.99
    assert (
        conditioning_report.hits(images, conditioning_report.exchanged(related.asked))["right"] == 0
    )
    twice = conditioning_report.exchanged(conditioning_report.exchanged(related.asked))
    assert twice == related.asked


def test_a_blank_picture_shows_nothing():
    images, asked = rendered(20)
    found = conditioning_report.hits(np.zeros_like(images), asked)
    assert (found["right"], found["none"]) == (0, 1)


def test_shares_are_of_main_and_other_shapes():
    images, asked = rendered(60)
    mains = [shapes[:1] for shapes in asked]
    alone = conditioning_report.hits(images, mains)
    whole = conditioning_report.hits(images, asked)
    assert alone["right"] == whole["right_main"]
    share = whole["right_main"] * 60 + whole["right_others"] * (whole["asked"] - 60)
    assert whole["right"] == pytest.approx(share / whole["asked"])


def test_chance_is_that_of_another_prompts_colour():
    assert conditioning_report.chance([[(0, 1, 1), (1, 2, 2)], [(0, 1, 1), (1, 2, 2)]]) == 1
    four = [[(colour, 1, 1)] for colour in range(4)]
    assert conditioning_report.chance(four) == pytest.approx(1 / 4)


def test_the_stages_of_a_run_are_all_of_its_scales():
    for name in conditioning.RUNS:
        runs = [conditioning.configuration(name, stage) for stage in conditioning.STAGES]
        scales = ",".join(run.model.scale for run in runs)
        assert scales == "base,16,32"
        assert {run.data for run in runs} == {runs[0].data}
        conditional = name != "unconditional"
        for field, told in (
            ("maps_from", False),
            ("map_dropout", False),
            ("map_noise", conditional),
        ):
            changed = [getattr(run.train, field) > 0 for run in runs]
            assert changed == [conditional, told]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two steps of two of the benchmark's runs, one with its base apart from the rest."""
    folder = tmp_path_factory.mktemp("conditioning")
    for name, scales in (("text-keypoints", ("base", "16,32")), ("unconditional", ("all",))):
        fields = conditioning.RUNS[name]
        for scale in scales:
            run = make_run("shapes", **SMALL | fields, scale=scale)
            source = load_source(run)
            run = loop.fit_to_source(run, source)
            loop.train(run, parts.folder_of(folder / name, run), source)
    return folder


def test_the_numbers_of_a_report_fit_together(trained, tmp_path, monkeypatch):
    for name in set(conditioning.RUNS) - {path.name for path in trained.iterdir()}:
        monkeypatch.delitem(conditioning.RUNS, name)
    arguments = ["--prompts=12", "--examples=6", "--rows=2"]
    conditioning.main(["report", f"--workdir={trained}", f"--out={tmp_path}", *arguments])
    results = results_of(tmp_path, "conditioning", trained)
    runs = results["runs"]
    assert results["minutes"].keys() == conditioning.RUNS.keys()
    assert all(minutes > 0 for minutes in results["minutes"].values())
    assert {run["run"] for run in runs} == set(conditioning.RUNS) - {"unconditional"}
    for run in runs:
        assert run["detector"]["right"] >= 0.99
        assert 0 < run["chance"] < 0.5
        assert run["usual"]["asked"] >= 12
        assert run["related"]["asked"] == run["usual_related"]["asked"] == 2 * 12
        exchanged = run["related_exchanged"]
        assert exchanged["asked"] == 2 * 12 and run["related"]["right"] + exchanged["right"] <= 1
        assert len({run["nats"], run["nats_of_others"], run["unconditional_nats"]}) == 3
    assert (tmp_path / "conditioning.png").is_file()


@pytest.mark.parametrize(
    "arguments, facts",
    [
        (["train", "--only=text"], ("run", "text", "text-keypoints")),
        (["train", "--only=text-keypoints", "--stage=64"], ("stage", 64, "16,32")),
        (["report", "--workdir=absent"], ("absent", "run")),
    ],
)
def test_mistakes_are_told(arguments, facts):
    with refuses(*facts):
        conditioning.main(arguments)
