"""Runs of video models: stopped and gone on with, and refused where the data does not fit."""

import json

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import RunConfig, make_run
from ms_pixelcnn_tf.data.subsampled import Subsampled
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.models import VideoPixelCNN
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import events, fit_to_data
from ms_pixelcnn_tf.training.interrupt import Interrupted
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from support.errors import refuses
from support.runs import TinyFilm, TinySource, state, tiny_run, tiny_video_run, train

ALL = {
    "augment": "jitter,mirror",
    "random_crop": True,
    "micro_batch_size": 2,
    "optimizer": "rmsprop",
    "centered": True,
    "schedule": "steps",
    "drop_steps": "2",
    "past_samples": 2,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its configuration, folder and averaged model."""
    workdir = tmp_path_factory.mktemp("finished")
    run = tiny_video_run(sample_every=4, steps=6, **ALL)
    return run, workdir, train(run, workdir, TinyFilm())


@pytest.mark.slow
def test_resumed_equals_uninterrupted_with_all_that_may_be_given(finished, tmp_path):
    run, uninterrupted, _ = finished
    # Between two steps that sample the past.
    with refuses("step 5", error=Interrupted):
        train(run, tmp_path, TinyFilm(), stop_after=5)
    train(run, tmp_path, TinyFilm())
    got, expected = state(tmp_path), state(uninterrupted)
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.slow
def test_a_reloaded_model_has_the_bits_of_the_last_validation(finished):
    run, workdir, model = finished
    reloaded, source = Run(workdir).model(), TinyFilm()
    assert isinstance(reloaded, VideoPixelCNN)
    first, second = (evaluate(m, source, "validation", 2) for m in (model, reloaded))
    assert first == second
    last = read_metrics(workdir)[-1]
    assert last["validation_bits"] == first.bits_per_dim
    assert last["validation_nats"] == first.nats_per_dim
    assert set(last["validation_terms"]) == {"group1", "group2", "group3", "group4"}


@pytest.mark.slow
def test_tensorboard_shows_clips_in_both_units(finished):
    _, workdir, _ = finished
    found = {tag for _, tag, _ in events.values(workdir / TENSORBOARD)}
    assert {"samples", "validation/nats", "validation/bits", "train/clips_per_second"} <= found


def test_a_histogram_is_over_all_frames():
    run, source = tiny_video_run("OTN"), TinyFilm()
    frames = source.examples("train", np.arange(13), ("frames",))["frames"]
    np.testing.assert_array_equal(
        fit_to_data.level_histogram(source, run.model),
        [np.bincount((frames // 64).ravel(), minlength=4)],
    )


class NoValidation(TinyFilm):
    splits = ("train", "test_novel")


class UnknownSides(TinyFilm):
    lateral = {}
    mirrored_fields = ("frames",)


@pytest.mark.parametrize(
    "run, source, facts",
    [
        (tiny_run(), TinyFilm, ("tiny_film", "videos", "variant OlogN", "images", "OT_baseline")),
        (tiny_video_run(), TinySource, ("tiny", "images", "variant OT", "videos", "shapes_push")),
        (tiny_video_run(image_size=8), TinyFilm, ("8 with 1 channels", "tiny_film of 4 with 1")),
        (tiny_video_run(channels=3), TinyFilm, ("4 with 3 channels", "tiny_film of 4 with 1")),
        (tiny_video_run(num_frames=5), TinyFilm, ("5 frames", "tiny_film", 4)),
        (tiny_video_run(action_size=5), TinyFilm, ("action_size", 5, "tiny_film", 3, 0)),
        (tiny_video_run(state_size=3), TinyFilm, ("state_size", 3, "tiny_film", 2, 0)),
        (tiny_video_run(), NoValidation, ("tiny_film", "no validation", "videos")),
        (
            tiny_video_run(map_dropout=0.2),
            TinyFilm,
            ("map_dropout", 0.2, "keypoints", "segmentation", "--conditions"),
        ),
        (tiny_run(map_noise=0.5), TinySource, ("map_noise", 0.5, "keypoints", "segmentation")),
        (tiny_run(maps_from=1), TinySource, ("maps_from", 1, "keypoints", "segmentation")),
        (tiny_video_run(augment="mirror"), UnknownSides, ("actions and states", "tiny_film")),
    ],
)
def test_a_model_that_is_not_the_datas_is_told_before_anything_is_written(
    tmp_path, run, source, facts
):
    with refuses(*facts):
        train(run, tmp_path / "run", source())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "dataset, variant, facts",
    [
        ("shapes", "OT", ("shapes", "images", "variant OT", "videos")),
        ("shapes_push", "OlogN", ("shapes_push", "videos", "variant OlogN", "images")),
    ],
)
def test_data_of_the_other_kind_is_told_before_it_is_opened(dataset, variant, facts):
    with refuses(*facts):
        load_source(make_run(dataset, variant))


def test_clips_are_as_long_as_the_models_and_sizes_may_be_left_out():
    run = make_run("shapes_push", "OT", image_size=16, num_frames=5, action_size=0, state_size=0)
    source = load_source(run)
    assert source.num_frames == 5 and data.load("shapes_push").num_frames == 20
    assert fit_to_data.fit_to_source(run, source) == run


def test_a_run_reads_every_nth_pixel_and_old_runs_read_all():
    fields = {"image_size": 16, "num_frames": 3}
    run = make_run("shapes_push", "OT", source_size=32, **fields)
    source, large = (
        load_source(run),
        load_source(make_run("shapes_push", "OT_upscaler", **fields | {"image_size": 32})),
    )
    assert fit_to_data.fit_to_source(run, source) == run
    np.testing.assert_array_equal(
        source.examples("validation", [3])["frames"],
        large.examples("validation", [3])["frames"][:, :, ::2, ::2],
    )
    with refuses("source_size", -1, 0):
        make_run("shapes_push", "OT", source_size=-1)
    with refuses("source_size", 40, 0, "multiple of 16"):
        load_source(make_run("shapes_push", "OT", source_size=40, **fields))

    whole = make_run("shapes_push", "OT", **fields)
    stored = json.loads(whole.to_json())
    assert stored["data"].pop("source_size") == 0  # as runs were before there was the field
    assert RunConfig.from_json(json.dumps(stored)) == whole
    assert RunConfig.from_json(run.to_json()) == run


@pytest.mark.slow
def test_a_run_goes_on_with_no_other_pixels(tmp_path):
    run = tiny_video_run(steps=2)
    train(run, tmp_path, Subsampled(TinyFilm(8), 2))
    for other in (Subsampled(TinyFilm(16), 4), TinyFilm(4)):
        with refuses(tmp_path, "fingerprint"):
            train(run, tmp_path, other)


@pytest.mark.slow
def test_a_folder_of_videos_takes_no_run_of_images(finished):
    _, workdir, _ = finished
    with refuses("the data", workdir):
        train(tiny_run(), workdir, TinySource())


@pytest.mark.slow
def test_other_actions_are_other_data(finished):
    run, workdir, _ = finished
    changed = TinyFilm()
    changed.sequences["train"]["actions"][3] += 1
    with refuses(workdir, "fingerprint"):
        train(run, workdir, changed)
