"""Scores of images: exact, ranked, and on whose files they are."""

import csv
import io
import math

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.drawing import grids
from ms_pixelcnn_tf.evaluation import scoring
from support.cases import fast
from support.errors import refuses
from support.models import random_conditions, random_levels, random_model
from support.proofs import taken

KINDS = {
    "A": {"image_size": 8, "channels": 3, "num_levels": 5, "upscaler": "A", "output": "softmax"},
    "B": {"image_size": 8, "num_levels": 256, "upscaler": "B"},
    "ON": {"variant": "ON", "num_levels": 7, "num_classes": 3},
}


@pytest.fixture(scope="module", params=fast(list(KINDS), 1))
def model(request):
    return random_model(**KINDS[request.param])


def test_the_sub_pixels_surprise_adds_up_to_the_likelihood(model):
    images, conditions = random_levels(model, 5), random_conditions(model, 5)
    bits = scoring.surprise(model, images, conditions, batch_size=2)
    assert bits.shape == images.shape
    nats = bits.reshape(5, -1).sum(axis=1) * math.log(2)
    np.testing.assert_allclose(nats, -np.asarray(model.log_prob(images, conditions)), rtol=1e-5)


def test_each_sub_pixel_has_the_surprise_of_its_own_term(model):
    """Where an image's last group differs, only the surprise of that group differs."""
    images = random_levels(model, 1)
    other = images.copy()
    last = other[:, -1, -1].astype(int)
    other[:, -1, -1] = (last + 1) % model.config.num_levels  # decoded last by all of them
    conditions = taken(random_conditions(model, 1), [0])
    one, two = (scoring.surprise(model, levels, conditions) for levels in (images, other))
    changed = np.argwhere(np.abs(one - two).max(axis=(0, 3)) > 1e-6)
    assert [tuple(place) for place in changed] == [(images.shape[1] - 1, images.shape[2] - 1)]
    terms = {
        k: -float(v[0]) / math.log(2) for k, v in model.log_prob_terms(images, conditions).items()
    }
    base = one[0, :: images.shape[1] // model.sizes[0][0], :: images.shape[2] // model.sizes[0][1]]
    assert base.sum() == pytest.approx(terms["base"], rel=1e-5)
    for name, value in terms.items():
        if name != "base":
            size = int(name.split("to")[0])
            row, column = {"2": (0, 1), "3": (1, 0), "4": (1, 1)}[name[-1]]
            step = images.shape[1] // (2 * size)
            own = one[0, row * step :: 2 * step, column * step :: 2 * step]
            assert own.sum() == pytest.approx(value, rel=1e-4), name


def test_conditions_hold_for_all_or_one_each():
    model = random_model(**KINDS["ON"])
    images = np.repeat(random_levels(model, 1), 3, axis=0)
    each = scoring.surprise(model, images, {"label": np.array([0, 1, 2])}, batch_size=2)
    for label in range(3):
        for_all = scoring.surprise(model, images, {"label": np.array([label])}, batch_size=2)
        np.testing.assert_allclose(for_all[label], each[label], rtol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 1e-3


def test_scores_are_ranked_and_their_numbers_are_those_of_the_images(tmp_path):
    generator = np.random.default_rng(0)
    blank = np.full((8, 8, 3), 3, "uint8")
    noise = generator.integers(0, 32, (8, 8, 3)).astype("uint8")
    images = np.stack([noise, blank])
    bits = np.stack([np.full((8, 8, 3), 5.0), np.full((8, 8, 3), 4.0)]).astype("float32")
    bits[1, 0, 0] = 40.0
    orders = {
        rank_by: [
            score.file for score in scoring.scores(["noise", "blank"], images, bits, 32, rank_by)
        ]
        for rank_by in scoring.RANKS
    }
    # Likelier, but simpler by more, and with something odd in it.
    assert orders == {
        "bits": ["noise", "blank"],
        "less_png": ["blank", "noise"],
        "peak": ["blank", "noise"],
    }
    found = scoring.scores(["noise", "blank"], images, bits, 32)
    first, second = found
    assert second.bits_per_dim == pytest.approx(5.0)
    assert second.nats == pytest.approx(5 * 192 * math.log(2))
    assert first.peak_bits == pytest.approx(40.0) and second.peak_bits == pytest.approx(5.0)
    for score, image in zip(found, (blank, noise), strict=True):
        file = io.BytesIO()
        Image.fromarray(pixels.dequantise(image[None], 32)[0]).save(file, "PNG", optimize=True)
        assert score.png_bits_per_dim == pytest.approx(8 * len(file.getvalue()) / 192)
        assert score.corrected_bits_per_dim == score.bits_per_dim - score.png_bits_per_dim
    scoring.write_csv(tmp_path / "new" / "scores.csv", found)
    rows = list(csv.DictReader((tmp_path / "new" / "scores.csv").open()))
    assert [row["rank"] for row in rows] == ["1", "2"] and rows[0]["file"] == "blank"
    assert float(rows[1]["nats"]) == pytest.approx(second.nats, rel=1e-5)


def test_folders_in_folders_are_read_and_the_rest_is_told(tmp_path):
    model = random_model(**KINDS["A"])
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("z.png", "a/b/y.png", ".hidden/x.png", ".w.png"):
        Image.fromarray(np.full((20, 30, 3), 200, "uint8")).save(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    names, images, skipped = scoring.read_folder(str(tmp_path), model.config)
    assert names == ["a/b/y.png", "z.png"] and images.shape == (2, 8, 8, 3)
    assert (images == pixels.quantise(np.full((1, 1, 1), 200, "uint8"), 5)).all()
    assert [path for path, _ in skipped] == [str(tmp_path / "a" / "notes.txt")]
    with refuses(tmp_path / "a" / "notes.txt", "no image", 1):
        scoring.read_folder(str(tmp_path / "a" / "notes.txt"), model.config)


def test_a_heat_map_is_brightest_where_the_surprise_is(tmp_path):
    bits = np.zeros((4, 4, 1), "float32")
    bits[1, 2] = 8.0
    picture = grids.heat_map(np.zeros((4, 4, 1), "uint8"), bits, highest=8.0, scale=1)
    right = picture[2:6, 8:12].astype(int).sum(axis=-1)
    assert np.unravel_index(right.argmax(), right.shape) == (1, 2) and right[0, 0] == 0
