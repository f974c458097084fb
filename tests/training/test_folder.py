"""What the folder of a run holds, and which configurations and data it refuses."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.runs.datasheet import DATASHEET
from ms_pixelcnn_tf.runs.folder import CONFIG
from ms_pixelcnn_tf.runs.lock import training_in
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop
from support.errors import refuses
from support.models import small_image
from support.runs import TinyFilm, TinySource, state, tiny_run, tiny_video_run, train


def test_checkpoint_holds_every_variable(finished):
    _, workdir, averaged = finished
    saved = state(workdir)
    for part in ("model", "averaged"):
        shapes = sorted(v.shape for name, v in saved.items() if name.startswith(part + "/"))
        assert shapes == sorted(tuple(v.shape) for v in averaged.variables)
    slots = [name for name in saved if name.startswith("optimizer/")]
    assert len(slots) == 2 * len(averaged.trainable_variables) + 1  # Adam, iteration


def test_metrics_are_a_curve(finished):
    _, workdir, _ = finished
    lines = read_metrics(workdir)
    assert [line["step"] for line in lines] == [3, 6]
    assert [line["examples"] for line in lines] == [12, 24]
    assert 0 < lines[0]["seconds"] < lines[1]["seconds"]
    assert set(lines[0]["validation_terms"]) == {"base", *(f"2to4/group{g}" for g in (2, 3, 4))}
    assert list((workdir / "tensorboard").iterdir())


@pytest.mark.parametrize(
    "changes, facts",
    [
        ({"steps": 5}, ("steps", 6, 5)),
        ({"features": 6, "seed": 3}, ("features", 8, 6, "seed", 0, 3)),
        ({"features": 6, "seed": 3, "flip": True, "epsilon": 1.0, "batch_size": 2}, ("2 more",)),
    ],
)
def test_another_configuration_is_refused(finished, changes, facts):
    _, workdir, _ = finished
    before = (workdir / CONFIG).read_text()
    with refuses(workdir, *facts):
        train(tiny_run(**changes), workdir, TinySource())
    assert (workdir / CONFIG).read_text() == before


class OtherClasses(TinySource):
    class_names = ("a", "c", "b")


class FewerImages(TinySource):
    def __init__(self):
        super().__init__()
        self._arrays["train"] = self._arrays["train"][0][:-1], self._arrays["train"][1]


class OtherPixels(TinySource):
    def __init__(self):
        super().__init__()
        self._arrays["train"][1]["image"][7, 0, 0, 0] ^= 1


@pytest.mark.parametrize(
    "source, facts",
    [
        (OtherPixels, ("fingerprint",)),
        (OtherClasses, ("class_names", "[]", '["a", "c", "b"]')),
        (FewerImages, ("examples", 30, 29)),
    ],
)
def test_changed_data_is_refused(finished, source, facts):
    _, workdir, _ = finished
    before = (workdir / CONFIG).read_text(), (workdir / DATASHEET).read_text()
    with refuses(workdir, *facts):
        train(tiny_run(), workdir, source())
    assert before == ((workdir / CONFIG).read_text(), (workdir / DATASHEET).read_text())


def test_a_folder_that_tensorflow_takes_for_a_pattern_is_refused(tmp_path):
    with refuses("workdir", tmp_path / "run[1]", "--workdir"):
        train(tiny_run(), tmp_path / "run[1]", TinySource())
    assert not (tmp_path / "run[1]").exists()


def test_a_data_set_of_videos_is_refused(tmp_path):
    with refuses("shapes_push", "videos", "variant OlogN"):
        train(tiny_run(), tmp_path / "run", data.load("shapes_push"))
    assert not (tmp_path / "run").exists()


def test_a_softmax_starts_at_the_marginal():
    source = TinySource()
    config = tiny_run(output="softmax", num_levels=4).model
    histogram = loop.level_histogram(source, config)
    levels = source.examples("train", np.arange(30))["image"] // 64
    np.testing.assert_array_equal(histogram, [np.bincount(levels.ravel(), minlength=4)])
    model = MultiscalePixelCNN(config)
    model.start_at_marginal(histogram)
    expected = np.log((histogram[0] + 1) / (histogram[0] + 1).sum())
    for network in (model.base, *model.upscalers):
        np.testing.assert_allclose(network.output_bias.numpy()[:4], expected, rtol=1e-5)


def test_a_free_softmax_starts_uniform_without_a_look_at_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "level_histogram", None)
    config = tiny_run(output="softmax", num_levels=4, softmax_law="free", steps=1)
    model = MultiscalePixelCNN(config.model)
    model.start_at_marginal(np.arange(4)[None])
    assert not any(network.output_bias.numpy().any() for network in (model.base, *model.upscalers))
    train(config, tmp_path, TinySource())


def test_the_best_and_the_last_checkpoints_stay(tmp_path, monkeypatch):
    scored, truly = loop.evaluate, []

    def score(*arguments, **more):
        """Ranks the fourth validation first."""
        truly.append(scored(*arguments, **more))
        return dataclasses.replace(
            truly[-1], bits_per_dim=(5.0, 6.0, 4.0, 3.0, 3.5, 3.0)[len(truly) - 1]
        )

    monkeypatch.setattr(loop, "evaluate", score)
    run = tiny_run(steps=6, evaluate_every=1, checkpoint_every=1, checkpoints_kept=2)
    train(run, tmp_path, TinySource())
    assert snapshots.steps(tmp_path / "checkpoints") == [5, 6]
    assert snapshots.steps(tmp_path / "best") == [4]
    model = Run(tmp_path).model(checkpoint="best")
    found = evaluate(model, TinySource(), "validation", 4)
    assert found.bits_per_dim == pytest.approx(truly[3].bits_per_dim, rel=1e-6)
    assert found.bits_per_dim != pytest.approx(truly[5].bits_per_dim, rel=1e-6)
    with refuses("checkpoint", "bets", "'best'"):
        Run(tmp_path).model(checkpoint="bets")
    shutil.rmtree(tmp_path / "best")
    with refuses(tmp_path, "no best checkpoint"):
        Run(tmp_path).model(checkpoint="best")


def test_a_folder_in_which_another_trains_is_refused(tmp_path):
    with training_in(tmp_path), refuses(tmp_path, f"process {os.getpid()}"):
        train(tiny_run(), tmp_path, TinySource())
    assert not (tmp_path / CONFIG).exists()


@pytest.mark.slow
def test_labels_condition_the_model_and_must_be_the_datas(tmp_path):
    run = tiny_run(num_classes=3, steps=1, label_features=4, sample_every=1)
    model = train(run, tmp_path, TinySource())
    assert model.sample(2, {"label": np.array([0, 2])}).shape == (2, 4, 4, 1)
    with refuses("num_classes", 2, "tiny", 3):
        train(tiny_run(num_classes=2), tmp_path / "other", TinySource())
    folders = loop.fit_to_source(tiny_run(labels="folders"), TinySource())
    assert folders.model.num_classes == 3


@pytest.mark.slow
def test_data_and_maps_are_as_the_configuration_says(tmp_path, monkeypatch):
    """Of 5 images whose maps are empty until step 2; and of clips with samples in their past."""
    seen = []
    original = loop.training_batches

    def watched(source, **options):
        names = ("maps_from", "map_dropout", "map_noise", "past_samples")
        seen.append((source.size("train"), *(options[name] for name in names)))
        return original(source, **options)

    monkeypatch.setattr(loop, "training_batches", watched)
    run = make_run(
        "shapes",
        conditions="segmentation",
        train_examples=5,
        maps_from=2,
        map_dropout=0.25,
        map_noise=0.125,
        steps=3,
        batch_size=2,
        **small_image(image_size=8, base_size=4, channels=3),
        evaluation_examples=2,
        sample_every=0,
    )
    train(run, tmp_path / "run")
    train(tiny_video_run(past_samples=2, steps=3), tmp_path / "clips", TinyFilm())
    assert seen == [(5, 2, 0.25, 0.125, 0), (13, 0, 0.0, 0.0, 2)]
