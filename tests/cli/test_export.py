"""bin/export: versions, splits, scales that are missing; exports and names in place of runs."""

import json

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf import pretrained
from ms_pixelcnn_tf.cli import evaluate, export, sample
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.runs import scales
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from support.commands import exit_status
from support.errors import missing_facts, refuses
from support.runs import SilentProgress

pytestmark = pytest.mark.slow

RUN = {
    "dataset": "shapes",
    "image_size": 16,
    "base_size": 4,
    "num_levels": 8,
    "base_layers": 1,
    "base_features": 6,
    "first_kernel": 3,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "crop_size": 0,
    "batch_size": 2,
    "steps": 2,
    "sample_every": 0,
    "evaluation_examples": 4,
    "conditions": "label",
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """The scales base and 8 of a run to 16x16, trained apart."""
    whole = tmp_path_factory.mktemp("runs") / "parts"
    for scale in ("base", "8"):
        run = make_run(**RUN, scale=scale)
        source = load_source(run)
        run = loop.fit_to_source(run, source)
        loop.train(run, scales.folder_of(whole, run), source, progress=SilentProgress)
    return whole


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    """Folder of an export of it, scored on two splits."""
    out = tmp_path_factory.mktemp("exports")
    export.main([f"--workdir={workdir}", f"--out={out}", "--splits=validation,novel", "--limit=3"])
    return out


def test_what_is_trained_is_exported_and_the_rest_named(workdir, tmp_path, capsys):
    export.main([f"--workdir={workdir}", f"--out={tmp_path}", "--version=7"])
    said = capsys.readouterr().out
    assert not missing_facts(said, "scale 16", "8x8", tmp_path / "7", "sample(seed, number, label)")
    model = ms.load(tmp_path)
    assert model.config.image_size == (8, 8) and not model.config.missing_scales
    live = Run(workdir).model(to_sample=True)
    labels = {"label": [0, 4]}
    np.testing.assert_array_equal(model.sample(2, labels, seed=3), live.sample(2, labels, seed=3))


def test_the_card_has_the_scores_that_evaluation_finds(exported, capsys):
    card = json.loads((exported / "1" / "card.json").read_text())
    assert [(row["split"], row["examples"]) for row in card["bits_per_dim"]] == [
        ("validation", 3),
        ("novel", 3),
    ]
    evaluate.main([f"--model={exported}", "--split=novel", "--limit=3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["bits_per_dim"] == pytest.approx(card["bits_per_dim"][1]["bits_per_dim"], rel=1e-6)
    assert card["data"].endswith("every 2nd pixel of 16x16: 8x8") and card["step"] == 2
    assert card["variant"] == "OlogN"


def test_commands_take_an_export_for_a_run(exported, tmp_path, capsys):
    sample.main([f"--model={exported}", "--label=star", "--num=2", f"--out={tmp_path / 's.png'}"])
    assert (tmp_path / "s.png").is_file()
    export.main([f"--model={exported}", f"--out={tmp_path / 'again'}"])
    again, before = (
        json.loads((path / "1" / "card.json").read_text())
        for path in (tmp_path / "again", exported)
    )
    for field in ("step", "bits_per_dim", "data", "parameters"):
        assert again[field] == before[field]


@pytest.mark.parametrize(
    "flags, facts",
    [
        (["--splits=valid"], ("shapes", "split", "valid", "validation")),
        (["--version=0"], ("--version", "0", "above")),
        (["--checkpoint=first"], ("checkpoint", "first", "last", "best")),
        (["--out={file}"], ("--out", "{file}", "file", "folder")),
        (["--model=nothing", "--workdir="], ("both", "--workdir", "--model")),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    workdir, tmp_path, monkeypatch, capsys, flags, facts
):
    (tmp_path / "file").touch()
    flags, facts = ([text.format(file=tmp_path / "file") for text in one] for one in (flags, facts))
    status = exit_status(
        monkeypatch, export.main, f"--workdir={workdir}", f"--out={tmp_path / 'out'}", *flags
    )
    assert status == 2 and not missing_facts(capsys.readouterr().err, *facts)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_none_is_told_with_those_there_are():
    assert pretrained.names()
    with refuses("shapes-huge", *pretrained.names()):
        ms.load("shapes-huge")
