"""Videos by the commands: train, go on, evaluate, sample; on `shapes_push`, and on built data."""

import json

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import evaluate, sample, train
from ms_pixelcnn_tf.runs.metrics import read_metrics
from support.commands import exit_status
from support.models import as_flags, small_video

pytestmark = pytest.mark.slow

SIZES = {
    "image_size": 16,
    "base_size": 8,
    "channels": 3,
    "num_levels": 256,
    "num_frames": 4,
    "action_size": 5,
    "state_size": 5,
}
SHORT = [
    "--dataset=shapes_push",
    "--batch_size=2",
    "--warmup_steps=0",
    "--log_every=1",
    "--evaluation_examples=4",
    "--sample_every=0",
]


@pytest.mark.parametrize("variant", ["OT_baseline", "OTN", "OT", "OTlogN"])
def test_train_evaluate_sample(variant, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--workdir=run", *SHORT, *as_flags(small_video(variant, **SIZES))]
    assert exit_status(monkeypatch, train.main, *arguments, "--steps=6", "--evaluate_every=2") == 0
    first, *_, last = read_metrics("run")
    assert last["validation_nats"] < first["validation_nats"]
    capsys.readouterr()

    told = ["--workdir=run", "--split=test_novel", "--limit=4", "--json"]
    assert exit_status(monkeypatch, evaluate.main, *told) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["examples"] == 4
    assert found["nats_per_dim"] == pytest.approx(found["nats"] / (2 * 16 * 16 * 3))
    assert [frame["frame"] for frame in found["frames"]] == [2, 3]
    for parts in (found["terms"].values(), found["frames"]):
        assert sum(part["nats"] for part in parts) == pytest.approx(found["nats"])

    assert exit_status(monkeypatch, sample.main, "--workdir=run", "--num=2", "--out=a.gif") == 0
    with Image.open("a.gif") as moving:
        assert moving.n_frames == 4
    assert np.asarray(Image.open("a.png")).std() > 10


def test_jitter_and_mirror_train_by_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*SHORT, *as_flags(small_video("OT", **SIZES)), "--steps=2"]
    for name, options in (("plain", []), ("changed", ["--augment=jitter,mirror"])):
        own = [*arguments, f"--workdir={name}", *options]
        assert exit_status(monkeypatch, train.main, *own) == 0
    plain, changed = (read_metrics(name)[-1] for name in ("plain", "changed"))
    assert plain["train_bits"] != changed["train_bits"]
