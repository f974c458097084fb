"""A run that stops and goes on equals one that did not; the folder guards its configuration."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.training import loop
from ms_pixelcnn_tf.training.checkpoint import CONFIG, latest_step, load_model, read_run
from ms_pixelcnn_tf.training.datasheet import DATASHEET, read_names
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from ms_pixelcnn_tf.training.monitor import METRICS, read_metrics
from tiny import TinySource, tiny_run


class SilentProgress:
    """Stands in for the live line; presses Ctrl-C after step `stop_at`."""

    stop_at = None

    def __init__(self, first_step, steps):
        del first_step, steps

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def say(self, line):
        pass

    def update(self, step, bits):
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def progress(monkeypatch):
    monkeypatch.setattr(SilentProgress, "stop_at", None)
    monkeypatch.setattr(loop, "Progress", SilentProgress)
    return SilentProgress


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its configuration, folder and averaged model."""
    workdir = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Progress", SilentProgress)
        return tiny_run(), workdir, loop.train(tiny_run(), workdir, TinySource())


def state(workdir):
    """Every tensor of the newest checkpoint, by name, except how long it took."""
    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(
            ("state/seconds", "state/cpu_seconds", "save_counter", "_CHECKPOINTABLE")
        )
    }


def stop_and_go_on(monkeypatch, stop_at, run, workdir, then=None):
    """Interrupts a run after a step, and lets it, or `then`, go on to the end."""
    monkeypatch.setattr(SilentProgress, "stop_at", stop_at)
    with pytest.raises(Interrupted, match=f"step {stop_at}"):
        loop.train(run, workdir, TinySource())
    assert latest_step(workdir) == stop_at
    monkeypatch.setattr(SilentProgress, "stop_at", None)
    loop.train(then or run, workdir, TinySource())


def assert_same_state(workdir, other):
    got, expected = state(workdir), state(other)
    assert expected.keys() == got.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_resumed_equals_uninterrupted_with_all_that_presets_use(tmp_path, monkeypatch):
    run = tiny_run(
        output="softmax", num_classes=3, flip=True, crop_size=2, schedule="exponential",
        optimizer="rmsprop", base_features=9, head_features=9,
    )
    loop.train(run, tmp_path / "whole", TinySource())
    stop_and_go_on(monkeypatch, 4, run, tmp_path / "stopped")
    assert_same_state(tmp_path / "stopped", tmp_path / "whole")


def test_resumed_equals_uninterrupted(finished, tmp_path, monkeypatch):
    _, uninterrupted, _ = finished
    stop_and_go_on(monkeypatch, 3, tiny_run(), tmp_path)

    expected, got = state(uninterrupted), state(tmp_path)
    assert expected.keys() == got.keys()
    parts = ("model", "averaged", "optimizer", "state/step", "state/recent_bits")
    assert all(any(name.startswith(part) for name in got) for part in parts)
    assert_same_state(tmp_path, uninterrupted)
    assert curve(tmp_path) == curve(uninterrupted)


@pytest.mark.parametrize("stop_at", [2, 4])  # before and after the validation of step 3
def test_the_mean_of_training_bits_outlives_a_stop(finished, tmp_path, monkeypatch, stop_at):
    stop_and_go_on(monkeypatch, stop_at, tiny_run(), tmp_path)
    assert curve(tmp_path) == curve(finished[1])


def test_the_user_hears_of_the_stop_at_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(SilentProgress, "stop_at", 2)
    monkeypatch.setattr(SilentProgress, "say", lambda self, line: said.append(line))
    with pytest.raises(Interrupted, match="stopped after step 2, saved"):
        loop.train(tiny_run(steps=3), tmp_path, TinySource())
    assert any("stopping" in line for line in said)


def curve(workdir):
    """The lines of metrics.jsonl, less how long it took."""
    lines = read_metrics(workdir)
    for line in lines:
        del line["seconds"], line["cpu_seconds"]
    return lines


def test_checkpoint_holds_every_variable(finished):
    _, workdir, averaged = finished
    saved = state(workdir)
    for part in ("model", "averaged"):
        shapes = sorted(v.shape for name, v in saved.items() if name.startswith(part + "/"))
        assert shapes == sorted(tuple(v.shape) for v in averaged.variables)
    slots = [name for name in saved if name.startswith("optimizer/")]
    assert len(slots) == 2 * len(averaged.trainable_variables) + 1  # Adam, iteration


@pytest.mark.parametrize("overrides", [
    {"variant": "ON", "output": "softmax", "base_features": 9, "head_features": 9},
    {"upscaler": "A", "output": "softmax", "channels": 1, "num_classes": 3},
    {"upscaler": "B", "output": "softmax", "patch_size": 2, "decoder_features": 9},
    {"upscaler": "B", "output": "dmol", "patch_size": 2, "ema_decay": 0.0},
])
def test_every_kind_of_model_reloads_bit_for_bit(overrides, tmp_path):
    run = tiny_run(**({"steps": 2, "evaluate_every": 2} | overrides))
    model = loop.train(run, tmp_path, TinySource())
    reloaded = load_model(tmp_path)
    labels = {"label": np.arange(5) % 3} if run.model.num_classes else None
    np.testing.assert_array_equal(
        model.sample(5, labels, seed=1), reloaded.sample(5, labels, seed=1)
    )
    first, second = (evaluate(m, TinySource(), "validation", 3) for m in (model, reloaded))
    assert first == second


def test_reloaded_model_agrees_with_the_last_validation(finished):
    run, workdir, model = finished
    reloaded = load_model(workdir)
    np.testing.assert_array_equal(model.sample(5, seed=1), reloaded.sample(5, seed=1))
    first, second = (evaluate(m, TinySource(), "validation", 3) for m in (model, reloaded))
    assert first == second
    assert read_metrics(workdir)[-1]["validation_bits"] == pytest.approx(first.bits_per_dim)


def test_averages_differ_from_the_weights_and_none_means_the_model(finished, tmp_path):
    _, workdir, _ = finished
    saved = state(workdir)
    name = next(name for name in saved if name.startswith("model/"))
    assert not np.array_equal(saved[name], saved["averaged" + name.removeprefix("model")])
    run = tiny_run(ema_decay=0.0, steps=1, output="softmax")
    model = loop.train(run, tmp_path, TinySource())
    np.testing.assert_array_equal(model.sample(3), load_model(tmp_path).sample(3))


def test_metrics_are_a_curve(finished):
    _, workdir, _ = finished
    lines = read_metrics(workdir)
    assert [line["step"] for line in lines] == [3, 6]
    assert [line["examples"] for line in lines] == [12, 24]
    assert 0 < lines[0]["seconds"] < lines[1]["seconds"]
    assert set(lines[0]["validation_terms"]) == {"base", *(f"2to4/group{g}" for g in (2, 3, 4))}
    assert list((workdir / "tensorboard").iterdir())


def test_steps_may_grow_and_lines_after_the_checkpoint_are_dropped(finished, tmp_path):
    run = tiny_run(steps=2)
    loop.train(run, tmp_path, TinySource())
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 3, "validation_bits": 0.0}\n{"step": 4, "vali')
    loop.train(tiny_run(steps=4), tmp_path, TinySource())
    assert latest_step(tmp_path) == 4
    assert read_run(tmp_path).train.steps == 4
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 3, 4]
    assert all(line["validation_bits"] > 0 for line in read_metrics(tmp_path))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 5}, "steps was 6, now 5"),
        ({"features": 6, "seed": 3}, "features was 8, now 6; seed was 0, now 3"),
        ({"features": 6, "seed": 3, "flip": True, "epsilon": 1.0, "batch_size": 2}, "and 2 more"),
    ],
)
def test_another_configuration_is_refused(finished, changes, message):
    _, workdir, _ = finished
    before = (workdir / CONFIG).read_text()
    with pytest.raises(UserError, match=message):
        loop.train(tiny_run(**changes), workdir, TinySource())
    assert (workdir / CONFIG).read_text() == before


def test_what_no_weight_depends_on_may_change(finished, tmp_path, monkeypatch):
    changed = tiny_run(log_every=1, checkpoint_every=1, sample_every=9, evaluate_every=2,
                       data_dir="elsewhere")
    stop_and_go_on(monkeypatch, 3, tiny_run(), tmp_path, then=changed)
    assert read_run(tmp_path) == changed
    got, expected = state(tmp_path), state(finished[1])
    for name in expected:
        if "recent" not in name:  # since the last validation, which is where that was changed to
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


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


@pytest.mark.parametrize("source, message", [
    (OtherPixels, "fingerprint was"),
    (OtherClasses, r"class_names was \[\], now \[\"a\", \"c\", \"b\"\]"),
    (FewerImages, "examples was .*30.* now .*29"),
])
def test_changed_data_is_refused(finished, source, message):
    _, workdir, _ = finished
    before = (workdir / CONFIG).read_text(), (workdir / DATASHEET).read_text()
    with pytest.raises(UserError, match=message):
        loop.train(tiny_run(), workdir, source())
    assert before == ((workdir / CONFIG).read_text(), (workdir / DATASHEET).read_text())


def test_a_folder_that_tensorflow_takes_for_a_pattern_is_refused(tmp_path):
    with pytest.raises(UserError, match="give another --workdir"):
        loop.train(tiny_run(), tmp_path / "run[1]", TinySource())
    assert not (tmp_path / "run[1]").exists()


def test_damaged_metrics_are_told(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 3}\nno json\n')
    with pytest.raises(UserError, match="metrics.jsonl is damaged"):
        read_metrics(tmp_path)


def test_a_data_set_of_videos_is_refused(tmp_path):
    with pytest.raises(UserError, match="shapes_push is a data set of videos"):
        loop.train(tiny_run(), tmp_path / "run", data.load("shapes_push"))
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


def test_two_signals_end_a_run_at_once():
    said = []
    with InterruptGuard(said.append) as guard:
        os.kill(os.getpid(), signal.SIGTERM)
        assert guard.requested and len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_config_that_is_no_text_is_told(tmp_path):
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="config.json"):
        loop.train(tiny_run(), tmp_path, TinySource())
    (tmp_path / CONFIG).unlink()
    (tmp_path / DATASHEET).write_text("{}")
    with pytest.raises(UserError, match="data.json is damaged"):
        read_names(tmp_path, "class_names")


def test_a_term_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    make = loop.make_train_step

    def broken(*arguments):
        train_step = make(*arguments)

        def step(batch, number):
            metrics = train_step(batch, number)
            if number == 2:
                metrics["terms"]["2to4/group3"] = tf.constant(float("nan"))
            return metrics

        return step

    monkeypatch.setattr(loop, "make_train_step", broken)
    with pytest.raises(UserError, match="term 2to4/group3 is nan at step 3"):
        loop.train(tiny_run(), tmp_path, TinySource())
    assert latest_step(tmp_path) == 2


def test_no_checkpoint_and_a_broken_one_are_told(finished, tmp_path):
    with pytest.raises(UserError, match="not a run's folder"):
        load_model(tmp_path)
    (tmp_path / CONFIG).write_text(tiny_run().to_json())
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_model(tmp_path)
    run = tiny_run(steps=1, ema_decay=0.0)
    loop.train(run, tmp_path, TinySource())
    other = dataclasses.replace(run, model=dataclasses.replace(run.model, features=6))
    (tmp_path / CONFIG).write_text(other.to_json())
    with pytest.raises(UserError, match="cannot restore"):
        load_model(tmp_path)


def test_labels_condition_the_model_and_must_be_the_datas(tmp_path):
    run = tiny_run(num_classes=3, steps=1, label_features=4, sample_every=1)
    model = loop.train(run, tmp_path, TinySource())
    assert model.sample(2, {"label": np.array([0, 2])}).shape == (2, 4, 4, 1)
    with pytest.raises(UserError, match="num_classes is 2, but tiny has 3"):
        loop.train(tiny_run(num_classes=2), tmp_path / "other", TinySource())
    folders = loop.fit_to_source(tiny_run(labels="folders"), TinySource())
    assert folders.model.num_classes == 3
