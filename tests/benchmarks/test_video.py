"""The video benchmark on models small enough to train and trace in seconds."""

import re

import numpy as np
import pytest

import table4
import video
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.configs.presets import VIDEO_PRESETS
from ms_pixelcnn_tf.models import VideoPixelCNN
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from parts import rounds, samplers, speed, video_report
from support.errors import refuses
from support.models import randomise
from support.workers import in_process
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = {
    "image_size": 16,
    "num_frames": 4,
    "frame_blocks": 0,
    "frame_features": 8,
    "lstm_features": 8,
    "frame_decoder_blocks": 1,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
}


def video_rows():
    return list(speed.video_rows(table4.parse(["--only=videos"])))


def test_every_run_is_valid_and_of_its_variant():
    runs = {name: video.configuration(name) for name in video.RUNS}
    assert {name.split("-")[0] for name in runs} == {row.variant for row in video_rows()}
    for name, run in runs.items():
        assert run.model.variant == name.split("-")[0]
        assert run.train.batch_size == video.SHARED["batch_size"]
    plain, changed = runs["OTlogN-short"], runs["OTlogN-short-augmented"]
    assert changed.train.augmentations == ("jitter", "mirror") and not plain.train.augmentations
    assert plain.model == changed.model == runs["OTlogN"].model
    assert plain.train.steps == changed.train.steps < runs["OTlogN"].train.steps


def test_speeds_are_extrapolated_and_compared_with_naive_sampling(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEO_PRESETS, "small", VIDEO_PRESETS["small"] | SMALL)
    monkeypatch.setattr(rounds, "workers", in_process)
    arguments = [
        "--preset=small",
        "--video_size=16",
        "--frames=5",
        "--repeats=1",
        "--naive_evaluations=3",
    ]
    table4.main(["--only=videos", *arguments, f"--out={tmp_path}"])
    rows = results_of(tmp_path, "table4_videos")["rows"]
    assert {row["model"] for row in rows} == set(speed.VIDEOS)
    fewer = {(row["model"], row["sampler"]): row["fewer_flops_than_naive"] for row in rows}
    assert fewer.pop(("OTN", "naive")) == 1 and min(fewer.values()) > 100
    assert fewer["OT", "graph"] < fewer["OT" + speed.HALF, "graph"]
    for row in rows:
        ratio = row["sampling_over_likelihood"]
        assert 0 < ratio["min"] == ratio["median"] == ratio["max"]  # of one round
    scales = {(row["model"], row["sampler"]): row["extrapolated_by"] for row in rows}
    # Three timed evaluations stand for one a sub-pixel of three frames, one frame for three.
    assert scales.pop(("OTN", "naive")) == 16 * 16 * 3 * 3 / 3
    assert scales.pop(("OTN", "cached")) == 3
    assert set(scales.values()) == {1}


def test_evaluations_of_a_decoder_change_no_frame():
    model = VideoPixelCNN(make_run("shapes_push", "OTN", **SMALL).model)
    frame = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype("int32")
    hidden = np.zeros((2, 8, 8, 8), "float32")
    (factor,) = model.decoder.factors(FrameContext(frame, {"past": hidden}), frame)
    assert np.isfinite(factor.params).all()
    np.testing.assert_array_equal(samplers.frame_evaluations(model, 2)(frame, hidden), frame)


def test_the_eye_for_pushes_finds_the_real_ones():
    """In rendered clips, pushed objects are seen where they end, not where they were."""
    source = data.load("shapes_push", image_size=64)
    at_end, at_start = [], []
    for index in range(60):
        episode = source.episode("test_seen", index)
        moved = np.linalg.norm(episode.positions[-1] - episode.positions[1], axis=-1)
        frame = source.examples("test_seen", np.array([index]), ("frames",))["frames"][0, -1]
        for which in np.flatnonzero(moved >= 0.5):
            thing, path = episode.objects[which], episode.positions[:, which]
            at_end.append(video_report.shows(frame, thing, path[-1]))
            at_start.append(video_report.shows(frame, thing, path[1]))
    assert len(at_end) >= 10
    assert np.mean(at_end) > 0.8 and np.mean(at_start) < 0.3


def test_the_front_is_where_an_object_comes_to():
    """An object's colour is near its front edge in the frame it moves to, not in the one before."""
    source = data.load("shapes_push", image_size=32)
    after, before = [], []
    for index in range(60):
        episode = source.episode("test_seen", index)
        frames = source.examples("test_seen", np.array([index]), ("frames",))["frames"][0]
        for thing, path in zip(episode.objects, episode.positions.swapaxes(0, 1), strict=True):
            if np.linalg.norm(path[-1] - path[1]) >= video_report.PUSHED:
                fastest, place = video_report.front_of(path, thing.radius, 2)
                assert fastest >= 2
                after.append(video_report.shows(frames[fastest], thing, place, 0))
                before.append(video_report.shows(frames[fastest - 1], thing, place, 0))
    assert len(after) >= 20
    assert np.mean(after) > 0.8 and np.mean(before) < 0.4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three steps of an OT and an OTlogN each."""
    folder = tmp_path_factory.mktemp("video")
    runs = {"OT": {"variant": "OT"}, "OTlogN-augmented": {"variant": "OTlogN", "augment": "jitter"}}
    for name, fields in runs.items():
        shared = {
            "num_frames": 12,
            "steps": 3,
            "batch_size": 1,
            "evaluation_examples": 2,
            "sample_every": 0,
        }
        run = make_run("shapes_push", **fields, **SMALL | shared)
        source = load_source(run)
        loop.train(loop.fit_to_source(run, source), folder / name, source)
    return folder, runs


def test_the_numbers_of_table2_tell_splits_and_actions_apart(trained, tmp_path, monkeypatch):
    folder, runs = trained
    monkeypatch.setattr(video, "RUNS", runs)
    arguments = ["--examples=4", "--pushes=2", "--rows=1"]
    video.main(["table2", f"--workdir={folder}", f"--out={tmp_path}", *arguments])
    results = results_of(tmp_path, "video", folder)["runs"]
    assert set(results) == set(runs)
    for found in results.values():
        assert set(found["nats"]) == set(video_report.SPLITS)
        assert len({*found["nats"].values(), *found["nats_of_others"].values()}) == 6
        assert found["pushes"]["objects"] == 2
        assert found["pushes"]["real_at_push"] > found["pushes"]["copied_at_front"]
    assert (tmp_path / "video.png").is_file()


def test_swapped_actions_are_nothing_to_a_model_without():
    source = data.load("shapes_push", image_size=16, num_frames=4)
    nats = {}
    for name, sizes in (("none", {"action_size": 0, "state_size": 0}), ("both", {})):
        model = VideoPixelCNN(make_run("shapes_push", "OT", **SMALL | sizes).model)
        randomise(model)
        for fields in ((), ("actions",), ("states",), ("actions", "states")):
            nats[name, fields] = video_report.swapped(model, source, 4, fields)
    assert len({value for (name, _), value in nats.items() if name == "none"}) == 1
    assert len({value for (name, _), value in nats.items() if name == "both"}) == 4


def test_augmentation_is_set_beside_the_same_run_without():
    def run(*nats):
        return {"nats": dict(zip(video_report.SPLITS, nats, strict=True))}

    runs = {"OTlogN": run(1.0, 1.1, 1.2, 2.0), "OTlogN-augmented": run(1.1, 1.1, 1.0, 1.5)}
    numbers = list(video_report.augmented(runs))[-1].splitlines()[-1]
    assert re.findall(r"[-+.\d]+", numbers) == "+0.100 +0.000 -0.200 -0.500 0.800 0.500".split()
    assert not list(video_report.augmented({"OTlogN": runs["OTlogN"]}))


@pytest.mark.parametrize(
    "arguments, facts",
    [
        (["tabel2"], ("mode", "tabel2", "table2")),
        (["train", "--only=OTT"], ("run", "OTT", "OT")),
        (["table2", "--workdir=absent"], ("absent", "run")),
    ],
)
def test_mistakes_are_told(arguments, facts):
    with refuses(*facts):
        video.main(arguments)
