"""bin/score: ranks a folder's images, and writes what it says it writes."""

import csv

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import score
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from support.commands import exit_status
from support.errors import missing_facts
from support.runs import SilentProgress

RUN = {
    "dataset": "shapes",
    "image_size": 8,
    "base_size": 4,
    "num_levels": 32,
    "base_layers": 1,
    "base_features": 6,
    "first_kernel": 3,
    "residual_blocks": 1,
    "features": 6,
    "head_features": 6,
    "crop_size": 0,
    "batch_size": 8,
    "steps": 30,
    "sample_every": 0,
    "evaluation_examples": 4,
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of 30 steps: enough to know noise from pictures."""
    path = tmp_path_factory.mktemp("run")
    run = make_run(**RUN)
    loop.train(run, path, load_source(run), progress=SilentProgress)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four pictures of the data set, one of noise, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    source = load_source(make_run(**RUN))
    for number, image in enumerate(source.examples("test", np.arange(4), ("image",))["image"]):
        (folder / "real").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / "real" / f"{number}.png")
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("uint8")
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.mark.slow
def test_the_odd_one_comes_first_and_all_is_written(workdir, photos, tmp_path, capsys):
    out, heat, raw = tmp_path / "s.csv", tmp_path / "heat", tmp_path / "bits.npz"
    score.main(
        [
            f"--workdir={workdir}",
            str(photos),
            f"--out={out}",
            f"--heatmaps={heat}",
            f"--subpixels={raw}",
            "--batch_size=2",
            "--scale=3",
        ]
    )
    said = capsys.readouterr()
    rows = list(csv.DictReader(out.open()))
    assert [row["rank"] for row in rows] == list("12345") and rows[0]["file"] == "noise.png"
    assert not missing_facts(said.err, "1 of 6 files", "notes.txt")
    assert said.out.splitlines()[1].startswith("noise.png")
    peaks = [float(row["peak_bits"]) for row in rows]
    assert peaks == sorted(peaks, reverse=True)
    assert (
        sorted(path.name for path in heat.iterdir())[0] == "1-noise.png"
        and len(list(heat.iterdir())) == 5
    )
    picture = np.asarray(Image.open(heat / "1-noise.png"))
    assert picture.shape == (8 * 3 + 4, 2 * 8 * 3 + 6, 3) and picture.std() > 5
    with np.load(raw) as found:
        names, bits = list(found["files"]), found["bits"]
    model = Run(workdir).model()
    image = np.asarray(Image.open(photos / "noise.png"))[None] // 8
    nats = -float(model.log_prob(image)[0])
    assert float(rows[0]["nats"]) == pytest.approx(nats, rel=1e-4)
    assert bits[names.index("noise.png")].sum() * np.log(2) == pytest.approx(nats, rel=1e-4)


def test_ranks_are_by_what_is_asked_for(workdir, photos, tmp_path):
    score.main(
        [f"--workdir={workdir}", str(photos), f"--out={tmp_path / 's.csv'}", "--rank_by=less_png"]
    )
    corrected = [
        float(row["corrected_bits_per_dim"]) for row in csv.DictReader((tmp_path / "s.csv").open())
    ]
    assert corrected == sorted(corrected, reverse=True)


def test_one_image_is_scored_too(workdir, photos, tmp_path):
    score.main([f"--workdir={workdir}", str(photos / "noise.png"), f"--out={tmp_path / 's.csv'}"])
    (row,) = csv.DictReader((tmp_path / "s.csv").open())
    assert row["file"] == "noise.png"


@pytest.mark.parametrize(
    "flags, facts",
    [
        (["nowhere"], ("nowhere", "folder", "image")),
        (["{photos}/notes.txt"], ("{photos}/notes.txt", "image")),
        (["{photos}", "--out={photos}"], ("--out", "{photos}", "folder", "file")),
        (
            ["{photos}", "--heatmaps={photos}/noise.png"],
            ("--heatmaps", "{photos}/noise.png", "file", "folder"),
        ),
        (["{photos}", "--heatmaps={photos}/heat"], ("--heatmaps", "folder", "images")),
        (["{photos}", "--label=1"], ("unconditional", "--label")),
        (["{photos}", "--batch_size=0"], ("--batch_size", "0", "above")),
        (["{photos}", "--rank_by=peek"], ("rank_by", "peek", "peak")),
        ([], ("required", "DIR|FILE")),
        (["{photos}", "--model=shapes-tiny"], ("both", "--workdir", "--model")),
    ],
)
def test_mistakes_are_told(workdir, photos, tmp_path, monkeypatch, capsys, flags, facts):
    monkeypatch.chdir(tmp_path)
    flags, facts = ([text.format(photos=photos) for text in one] for one in (flags, facts))
    assert exit_status(monkeypatch, score.main, f"--workdir={workdir}", *flags) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert not missing_facts(error, *facts), error
    assert not (tmp_path / "scores.csv").exists() and len(list(photos.iterdir())) == 3
