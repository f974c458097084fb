"""bin/sample by prompts: what is asked of the model, what is drawn, what is told."""

import json

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import flags, sample
from ms_pixelcnn_tf.drawing import contact_sheet
from support.commands import exit_status
from support.errors import missing_facts
from support.fake_run import SMALL, make_fake_run, use_real_model

ALL = {"num_classes": 2, "text": True, "num_keypoints": 3, "num_segments": 2}
POINTS = [[4, 4, 1], [0, 0, 0], [12, 8, 1]]
NUM, SCALE = 3, 2
CELL = 16 * SCALE + 2
WIDTH = sample.PANEL_SIDE + contact_sheet.GAP + NUM * CELL + 2


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs bin/sample in a folder of its own; returns its exit status."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.json").write_text(json.dumps(POINTS))
    (tmp_path / "half.json").write_text(
        json.dumps({"size": [32, 32], "points": {"beak": [8, 8], "wing": [24, 16]}})
    )
    mask = np.zeros((32, 32), "uint8")
    mask[:16], mask[16:, 8:] = 1, 2
    Image.fromarray(mask).save(tmp_path / "mask.png")

    def run(*arguments):
        options = ["--workdir=run", f"--num={NUM}", f"--scale={SCALE}", "--out=samples.png"]
        return exit_status(monkeypatch, sample.main, *options, *arguments)

    return run


def picture(path="samples.png"):
    return np.asarray(Image.open(path)).astype(int)


def has_colour(pixels, number):
    return (pixels == contact_sheet.colour_of(number)).all(axis=-1).any()


def test_one_prompt_by_flags(command, tmp_path, monkeypatch):
    model = make_fake_run(tmp_path / "run", monkeypatch, **ALL)
    given = ["--label=star", "--text=a bird", "--keypoints=half.json", "--segmentation=mask.png"]
    assert command(*given) == 0
    (asked,) = model.calls
    assert asked["label"].tolist() == [1] * NUM and asked["text"].shape == (NUM, 201)
    assert asked["keypoints"].shape == (NUM, 32, 32, 3) and asked["keypoints"].sum() == 2 * NUM
    assert asked["keypoints"][0, 8, 8, 0] == 1 and asked["segmentation"].shape == (NUM, 32, 32, 2)
    drawn = picture()
    panel = drawn[:, : sample.PANEL_SIDE]
    assert drawn.shape[1] == WIDTH and drawn.shape[0] > sample.PANEL_SIDE
    assert all(has_colour(panel, number) for number in (0, 1))  # segments and dots
    assert has_colour(panel[90:128], 1) and not has_colour(panel[:50, 80:], 1)
    assert tuple(panel[32, 32]) == contact_sheet.colour_of(0)
    assert tuple(panel[64, 96]) == contact_sheet.colour_of(2)


def test_a_row_a_prompt(command, tmp_path, monkeypatch):
    model = make_fake_run(tmp_path / "run", monkeypatch, text=True)
    captions = ["a red star", "a very long caption that says much of a blue square and more", ""]
    lines = "\n".join(json.dumps({"text": caption}) for caption in captions)
    (tmp_path / "prompts.jsonl").write_text(lines)
    assert command("--prompts=prompts.jsonl") == 0
    (asked,) = model.calls
    assert len(asked["text"]) == 3 * NUM
    assert [row.tolist() for row in asked["text"]].count(asked["text"][NUM].tolist()) == NUM
    drawn = picture()
    assert drawn.shape[1] == WIDTH
    levels = model.sample(3 * NUM, None, 0)
    first = drawn[2 : 2 + 16 * SCALE, sample.PANEL_SIDE + contact_sheet.GAP + 2 :][:, : 16 * SCALE]
    np.testing.assert_array_equal(first[::SCALE, ::SCALE], levels[0])
    before = picture()
    assert command("--prompts=prompts.jsonl") == 0
    np.testing.assert_array_equal(picture(), before)
    assert command("--prompts=prompts.jsonl", "--trajectory") == 0
    tall = picture()
    assert tall.shape[0] == 3 * (NUM * CELL + 2 + contact_sheet.GAP) - contact_sheet.GAP
    assert tall.shape[1] == sample.PANEL_SIDE + contact_sheet.GAP + 3 * CELL + 2


def test_labels_alone_fill_a_grid_and_in_a_file_rows(command, tmp_path, monkeypatch):
    model = make_fake_run(tmp_path / "run", monkeypatch, num_classes=2)
    assert command() == 0
    assert model.calls[-1]["label"].tolist() == [0, 1, 0]
    grid = picture().shape
    assert grid == (2 * CELL + 2, 2 * CELL + 2, 3)
    assert command("--label=star") == 0 and picture().shape == grid
    assert model.calls[-1]["label"].tolist() == [1, 1, 1]
    (tmp_path / "prompts.jsonl").write_text('{"label": "star"}\n{"label": 0}\n')
    assert command("--prompts=prompts.jsonl") == 0
    assert model.calls[-1]["label"].tolist() == [1, 1, 1, 0, 0, 0]
    assert picture().shape == (2 * (CELL + 2) + contact_sheet.GAP, WIDTH, 3)


TEXT, LABEL = {"text": True}, {"num_classes": 2}


@pytest.mark.parametrize(
    "config, arguments, facts",
    [
        ({}, ["--label=1"], ("unconditional", "--label")),
        ({}, ["--prompts=prompts.jsonl"], ("unconditional", "--prompts")),
        (LABEL, ["--text=a"], ("conditioned", "label", "--text")),
        (LABEL, ["--label=stra"], ("label", "stra", "star")),
        (TEXT, [], ("conditioned", "text", "--text")),
        (ALL, ["--text=a"], ("conditioned", "--label", "--keypoints", "--segmentation")),
        (TEXT, ["--text=a", "--prompts=prompts.jsonl"], ("both", "--prompts", "--text")),
        (TEXT, ["--prompts=prompts.jsonl"], ("prompts.jsonl, line 2", "text", "missing")),
        (TEXT, ["--prompts=absent.jsonl"], ("absent.jsonl", "No such file")),
        (TEXT, ["--prompts="], ("No such file",)),
        (TEXT, ["--text=a", "--num=9000000"], ("pixels", "--num", "--scale")),
        (TEXT, ["--text=a", "--seed=-1"], ("seed", "-1")),
        ({"num_keypoints": 2}, ["--keypoints=points.json"], ("points.json", "keypoints", "3", "2")),
        ({"num_segments": 1}, ["--segmentation=mask.png"], ("mask.png", "2")),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    command, tmp_path, monkeypatch, capsys, config, arguments, facts
):
    make_fake_run(tmp_path / "run", monkeypatch, **config)
    (tmp_path / "prompts.jsonl").write_text('{"text": "fine"}\n{}\n')
    before = sorted(tmp_path.iterdir())
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not missing_facts(error, *facts), error
    assert sorted(tmp_path.iterdir()) == before


def test_the_size_told_is_the_size_drawn(command, tmp_path, monkeypatch, capsys):
    make_fake_run(tmp_path / "run", monkeypatch, **(ALL | {"num_classes": 0}))
    prompt = {"text": "wide " * 60, "keypoints": POINTS, "segmentation": "mask.png"}
    (tmp_path / "prompts.jsonl").write_text("\n".join([json.dumps(prompt)] * 3))
    for more in ([], ["--trajectory"]):
        assert command("--prompts=prompts.jsonl", *more) == 0
        height, width, _ = picture().shape
        monkeypatch.setattr(flags, "MAX_PIXELS", height * width - 1)
        assert command("--prompts=prompts.jsonl", *more) == 2
        assert not missing_facts(capsys.readouterr().err, f"{height * width:,} pixels")
        monkeypatch.setattr(flags, "MAX_PIXELS", height * width)
        assert command("--prompts=prompts.jsonl", *more) == 0


def test_captions_of_any_script_are_drawn(command, tmp_path, monkeypatch):
    make_fake_run(tmp_path / "run", monkeypatch, text=True)
    for caption in ("наука 学 \U0001f426 \x00\x1b[1m", "\udc80 broken", "x" * 500, " ", "a\nb\tc"):
        (tmp_path / "prompts.jsonl").write_text(json.dumps({"text": caption}))
        assert command("--prompts=prompts.jsonl") == 0


def test_a_real_model_takes_the_conditions(command, tmp_path, monkeypatch):
    small = SMALL | {
        "text_features": 8,
        "text_width": 8,
        "spatial_features": 4,
        "spatial_blocks": 1,
    }
    config = make_fake_run(tmp_path / "run", monkeypatch, **small, **ALL).config
    use_real_model(monkeypatch, config)
    given = ["--label=star", "--text=a bird", "--keypoints=half.json", "--segmentation=mask.png"]
    assert command(*given) == 0
    assert picture().shape[1] == WIDTH
