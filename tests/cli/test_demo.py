"""bin/demo, the whole way, with a model that takes seconds."""

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import demo
from ms_pixelcnn_tf.drawing import contact_sheet
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.folder import CONFIG
from support.errors import refuses

pytestmark = pytest.mark.slow

SMALL = {
    "image_size": 8,
    "base_size": 4,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "spatial_features": 4,
    "spatial_blocks": 1,
    "batch_size": 4,
    "crop_size": 0,
    "evaluation_examples": 8,
    "num_levels": 4,
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "RECIPE", demo.RECIPE | SMALL)


def test_demo_writes_what_it_says(small, tmp_path, capsys):
    demo.main([f"--out={tmp_path}", "--steps=3"])
    said = capsys.readouterr().out
    for text in ("validation", "bits per sub-pixel", "OlogN", "ON, cached", "ON, naive", "times"):
        assert text in said
    grid, trajectory = (
        np.asarray(Image.open(tmp_path / name)) for name in ("samples.png", "trajectory.png")
    )
    side = 8 * demo.SCALE + 2
    assert grid.shape == (2 + demo.ROWS * side, 2 + 5 * side, 3) and grid.std() > 0
    assert (
        trajectory.shape[1] == contact_sheet.GAP + 8 * demo.SCALE + 2 + 2 * side
    )  # panel, pyramid
    assert trajectory.shape[0] > 5 * side
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert latest_step(tmp_path / "run") == 3

    demo.main([f"--out={tmp_path}", "--steps=2"])  # a finished run is made anew
    assert latest_step(tmp_path / "run") == 2


@pytest.mark.parametrize("name", [CONFIG, "mine.txt"])
def test_demo_leaves_what_others_made_alone(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("{}")
    for _ in range(2):
        with refuses(tmp_path / "run", "--out"):
            demo.main([f"--out={tmp_path}"])
    assert (tmp_path / "run" / name).read_text() == "{}"
