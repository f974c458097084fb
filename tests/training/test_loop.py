"""A run that stops and goes on equals one that did not; the folder guards its configuration."""

import dataclasses
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.draws import epoch_permutation
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.training import loop, snapshots, step
from ms_pixelcnn_tf.training.checkpoint import CONFIG, latest_step
from ms_pixelcnn_tf.training.datasheet import DATASHEET, read_names
from ms_pixelcnn_tf.training.interrupt import Interrupted, InterruptGuard
from ms_pixelcnn_tf.training.lock import training_in
from ms_pixelcnn_tf.training.monitor import METRICS, read_metrics
from ms_pixelcnn_tf.training.trained import load_model, read_run
from support.runs import assert_same_state, curve, state
from support.silent import SilentProgress
from support.tiny import TinySource, tiny_run
from support.tiny_video import TinyFilm, tiny_video_run


class StoppedProgress(SilentProgress):
    """Presses Ctrl-C after step `stop_at`."""

    stop_at = None

    def update(self, step, bits):
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def progress(monkeypatch):
    monkeypatch.setattr(StoppedProgress, "stop_at", None)
    monkeypatch.setattr(loop, "Progress", StoppedProgress)
    return StoppedProgress


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its configuration, folder and averaged model."""
    workdir = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Progress", StoppedProgress)
        return tiny_run(), workdir, loop.train(tiny_run(), workdir, TinySource())


def stop_and_go_on(monkeypatch, stop_at, run, workdir, then=None):
    """Interrupts a run after a step, and lets it, or `then`, go on to the end."""
    monkeypatch.setattr(StoppedProgress, "stop_at", stop_at)
    with pytest.raises(Interrupted, match=f"step {stop_at}"):
        loop.train(run, workdir, TinySource())
    assert latest_step(workdir) == stop_at
    monkeypatch.setattr(StoppedProgress, "stop_at", None)
    loop.train(then or run, workdir, TinySource())


def test_resumed_equals_uninterrupted_with_all_that_presets_use(tmp_path, monkeypatch):
    run = tiny_run(
        output="softmax",
        num_classes=3,
        flip=True,
        crop_size=2,
        schedule="exponential",
        optimizer="rmsprop",
        base_features=9,
        head_features=9,
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
    monkeypatch.setattr(StoppedProgress, "stop_at", 2)
    monkeypatch.setattr(StoppedProgress, "say", lambda self, line: said.append(line))
    with pytest.raises(Interrupted, match="stopped after step 2, saved"):
        loop.train(tiny_run(steps=3), tmp_path, TinySource())
    assert any("stopping" in line for line in said)


def test_checkpoint_holds_every_variable(finished):
    _, workdir, averaged = finished
    saved = state(workdir)
    for part in ("model", "averaged"):
        shapes = sorted(v.shape for name, v in saved.items() if name.startswith(part + "/"))
        assert shapes == sorted(tuple(v.shape) for v in averaged.variables)
    slots = [name for name in saved if name.startswith("optimizer/")]
    assert len(slots) == 2 * len(averaged.trainable_variables) + 1  # Adam, iteration


@pytest.mark.parametrize(
    "overrides",
    [
        {"variant": "ON", "output": "softmax", "base_features": 9, "head_features": 9},
        {"upscaler": "A", "output": "softmax", "channels": 1, "num_classes": 3},
        {"upscaler": "B", "output": "softmax", "patch_size": 2, "decoder_features": 9},
        {"upscaler": "B", "output": "dmol", "patch_size": 2, "ema_decay": 0.0},
    ],
)
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
    changed = tiny_run(
        log_every=1, checkpoint_every=1, sample_every=9, evaluate_every=2, data_dir="elsewhere"
    )
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


@pytest.mark.parametrize(
    "source, message",
    [
        (OtherPixels, "fingerprint was"),
        (OtherClasses, r"class_names was \[\], now \[\"a\", \"c\", \"b\"\]"),
        (FewerImages, "examples was .*30.* now .*29"),
    ],
)
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


def test_a_free_softmax_starts_uniform_without_a_look_at_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "level_histogram", None)
    config = tiny_run(output="softmax", num_levels=4, softmax_law="free", steps=1)
    model = MultiscalePixelCNN(config.model)
    model.start_at_marginal(np.arange(4)[None])
    assert not any(network.output_bias.numpy().any() for network in (model.base, *model.upscalers))
    loop.train(config, tmp_path, TinySource())


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(first):
    """Whatever it is doing: here nothing that would ever look at a flag."""
    program = (
        "import sys, time\n"
        "from ms_pixelcnn_tf.training.interrupt import InterruptGuard\n"
        "with InterruptGuard(lambda line: print(line, flush=True)) as guard:\n"
        "    print('ready', flush=True)\n"
        "    while not guard.requested: time.sleep(0.01)\n"
        "    print(guard.requested, flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(first)
    assert process.stdout.readline().startswith("stopping at the next step")
    assert process.stdout.readline() == f"{int(first)}\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM


def test_handlers_are_as_before_after_it():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with InterruptGuard():
        os.kill(os.getpid(), signal.SIGTERM)
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_validation_stops_it_and_the_next_session_makes_up_for_it(
    finished, tmp_path, monkeypatch, number, code
):
    scored = loop.evaluate

    def evaluate_and_signal(*arguments, before_batch, **more):
        def signal_first():
            os.kill(os.getpid(), number)
            before_batch()

        return scored(*arguments, before_batch=signal_first, **more)

    monkeypatch.setattr(loop, "evaluate", evaluate_and_signal)
    with pytest.raises(Interrupted, match="after step 3, saved") as stopped:
        loop.train(tiny_run(), tmp_path, TinySource())
    assert stopped.value.exit_code == code
    assert latest_step(tmp_path) == 3 and not read_metrics(tmp_path)
    monkeypatch.setattr(loop, "evaluate", scored)
    loop.train(tiny_run(), tmp_path, TinySource())
    assert_same_state(tmp_path, finished[1])
    assert curve(tmp_path) == curve(finished[1])


def test_a_config_that_is_no_text_is_told(tmp_path):
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="config.json"):
        loop.train(tiny_run(), tmp_path, TinySource())
    (tmp_path / CONFIG).unlink()
    (tmp_path / DATASHEET).write_text("{}")
    with pytest.raises(UserError, match="data.json is damaged"):
        read_names(tmp_path, "class_names")


def with_bad_examples(monkeypatch, indices):
    """Training images whose likelihood at the third term is not finite."""
    bad = TinySource().examples("train", np.array(indices))["image"] // 128
    make = step.train_log_prob_terms

    def terms_of(model, batch, offsets, config):
        terms = make(model, batch, offsets, config)
        same = tf.reduce_all(batch["image"][:, None] == bad[None], axis=(2, 3, 4))
        nan = tf.where(tf.reduce_any(same, axis=1), np.nan, 0.0)
        terms["2to4/group3"] += tf.cast(nan, terms["2to4/group3"].dtype)
        return terms

    monkeypatch.setattr(step, "train_log_prob_terms", terms_of)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(StoppedProgress, "say", lambda self, line: said.append(line))
    run = tiny_run(steps=8, checkpoint_every=1, checkpoints_kept=9, log_every=1)
    order = np.concatenate([epoch_permutation(30, run.train.seed, epoch) for epoch in range(2)])
    with_bad_examples(monkeypatch, order[12:13])  # in the fourth step alone
    loop.train(run, tmp_path, TinySource())
    before, after = (
        tf.train.load_checkpoint(str(tmp_path / "checkpoints" / f"step-{number}"))
        for number in (3, 4)
    )
    for name in before.get_variable_to_shape_map():
        if name.startswith(("model/", "averaged/", "optimizer/")):
            np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name))
    last = state(tmp_path)
    (skipped,) = (value for name, value in last.items() if "skipped_steps" in name)
    assert skipped == 1
    assert [line for line in said if "skipped" in line] == [
        "term 2to4/group3 is nan at step 4: the step is skipped"
    ]
    for name, value in last.items():
        if name.startswith(("model/", "averaged/")):
            assert np.isfinite(value).all() and not np.array_equal(value, before.get_tensor(name))
    assert all(np.isfinite(line["train_bits"]) for line in read_metrics(tmp_path))


def test_too_many_in_a_row_end_the_run_and_leave_the_batch(tmp_path, monkeypatch):
    run = tiny_run(steps=9, checkpoint_every=1, max_skipped_steps=3)
    order = epoch_permutation(30, run.train.seed, 0)
    with_bad_examples(monkeypatch, order[[4, 12, 16, 20]])  # in the second step, and in three more
    with pytest.raises(UserError, match="2to4/group3 is nan at step 4, and 3 steps in a row were"):
        loop.train(run, tmp_path, TinySource())
    assert latest_step(tmp_path) == 5
    with np.load(tmp_path / loop.BAD_BATCH, allow_pickle=False) as saved:
        assert saved["step"] == 6
        expected = TinySource().examples("train", order[20:24])["image"] // 128
        np.testing.assert_array_equal(saved["image"], expected)


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
    loop.train(run, tmp_path, TinySource())
    assert snapshots.steps(tmp_path / "checkpoints") == [5, 6]
    assert snapshots.steps(tmp_path / "best") == [4]
    model = load_model(tmp_path, checkpoint="best")
    found = evaluate(model, TinySource(), "validation", 4)
    assert found.bits_per_dim == pytest.approx(truly[3].bits_per_dim, rel=1e-6)
    assert found.bits_per_dim != pytest.approx(truly[5].bits_per_dim, rel=1e-6)
    with pytest.raises(UserError, match="unknown checkpoint 'bets'; did you mean 'best'"):
        load_model(tmp_path, checkpoint="bets")
    shutil.rmtree(tmp_path / "best")
    with pytest.raises(UserError, match="has no best checkpoint"):
        load_model(tmp_path, checkpoint="best")


def test_a_damaged_newest_checkpoint_is_warned_of_and_the_run_goes_on_from_the_one_before(
    finished, tmp_path
):
    loop.train(tiny_run(steps=4), tmp_path, TinySource())
    (tmp_path / "checkpoints" / "step-4.index").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-4 is damaged: .*that of step 2 is used"):
        assert load_model(tmp_path) is not None
    with pytest.warns(UserWarning, match="step-4 is damaged"):
        loop.train(tiny_run(), tmp_path, TinySource())
    assert_same_state(tmp_path, finished[1])
    assert curve(tmp_path) == curve(finished[1])


@pytest.mark.parametrize("length", [3000, 20_000])  # the first checkpoint's; TensorBoard's, later
def test_a_disk_that_fills_up_ends_training_in_one_line(tmp_path, length):
    """Wherever it is met: in TensorBoard's files, metrics or a checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = tiny_run(steps=2000, checkpoint_every=1000, evaluate_every=1000, log_every=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        with pytest.raises(UserError, match="cannot be saved|nothing more can be written"):
            loop.train(run, tmp_path, TinySource())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_in_which_another_trains_is_refused(tmp_path):
    with (
        training_in(tmp_path),
        pytest.raises(UserError, match=f"trained in by process {os.getpid()}"),
    ):
        loop.train(tiny_run(), tmp_path, TinySource())
    assert not (tmp_path / CONFIG).exists()


def test_deterministic_runs_have_equal_hashes(tmp_path):
    """Two processes, each from the start, with all that could differ between them."""
    program = (
        "import sys\nfrom support.processes import train_tiny\n"
        "train_tiny(sys.argv[1], {'deterministic': True, 'steps': 12, 'output': 'softmax',"
        " 'base_features': 9, 'head_features': 9, 'num_classes': 3, 'micro_batch_size': 2})"
    )
    hashes = []
    for name in ("first", "second"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / name)],
            check=True,
            timeout=300,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        digest = hashlib.sha256()
        for key, value in sorted(state(tmp_path / name).items()):
            digest.update(key.encode() + np.ascontiguousarray(value).tobytes())
        hashes.append(digest.hexdigest())
    assert hashes[0] == hashes[1]


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
    with pytest.raises(UserError, match="is of another model"):
        load_model(tmp_path)


def test_labels_condition_the_model_and_must_be_the_datas(tmp_path):
    run = tiny_run(num_classes=3, steps=1, label_features=4, sample_every=1)
    model = loop.train(run, tmp_path, TinySource())
    assert model.sample(2, {"label": np.array([0, 2])}).shape == (2, 4, 4, 1)
    with pytest.raises(UserError, match="num_classes is 2, but tiny has 3"):
        loop.train(tiny_run(num_classes=2), tmp_path / "other", TinySource())
    folders = loop.fit_to_source(tiny_run(labels="folders"), TinySource())
    assert folders.model.num_classes == 3


def test_data_and_maps_are_as_the_configuration_says(tmp_path, monkeypatch):
    """A run on 5 images whose maps are empty until step 2; and one of clips with samples in their past."""
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
        image_size=8,
        base_size=4,
        train_examples=5,
        maps_from=2,
        map_dropout=0.25,
        map_noise=0.125,
        steps=3,
        batch_size=2,
        base_layers=1,
        base_features=8,
        residual_blocks=1,
        features=8,
        head_features=8,
        spatial_features=4,
        spatial_blocks=1,
        evaluation_examples=2,
        sample_every=0,
    )
    loop.train(run, tmp_path / "run")
    loop.train(tiny_video_run(past_samples=2, steps=3), tmp_path / "clips", TinyFilm())
    assert seen == [(5, 2, 0.25, 0.125, 0), (13, 0, 0.0, 0.0, 2)]
