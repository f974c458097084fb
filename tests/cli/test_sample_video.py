"""bin/sample of video models: what they are given, what is drawn, what is told."""

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.cli import flags, sample
from ms_pixelcnn_tf.configs import DataConfig, RunConfig, TrainConfig, VideoConfig
from ms_pixelcnn_tf.data.procedural.push_physics import FOLLOW
from ms_pixelcnn_tf.drawing import animation, film
from ms_pixelcnn_tf.models import VideoPixelCNN
from ms_pixelcnn_tf.runs.folder import CONFIG
from ms_pixelcnn_tf.runs.run import Run
from support.commands import exit_status
from support.errors import missing_facts
from support.fake_run import make_fake_run
from support.proofs import eagerly

NUM, STEPS, GIVEN, SIDE, LEVELS, SCALE = 3, 5, 2, 8, 64, 2


class FakeVideo:
    """Samples that are the uniforms, and keep what they are given; remembers what it was asked."""

    calls = []  # of all models

    def __init__(self, config):
        self.config = config

    def decode(self, uniforms, given_frames, conditions=None):
        batch, config = len(given_frames), self.config
        shape = (*config.image_size, config.channels)
        assert uniforms.shape == (batch, config.predicted_frames, *shape)
        assert given_frames.shape == (batch, config.given_frames, *shape)
        assert tuple(conditions or ()) == config.conditions
        for values in (conditions or {}).values():
            assert values.shape[:2] == (batch, config.num_frames) and values.dtype == "float32"
        self.calls.append((given_frames, conditions))
        return (uniforms * config.num_levels).astype("uint8")

    def upscale(self, low_frames, given_frames, uniforms):
        config, count = self.config, given_frames.shape[1]
        assert low_frames.shape[2:4] == config.sizes[0]
        assert given_frames.shape[2:4] == config.image_size
        np.testing.assert_array_equal(low_frames[:, :count], given_frames[:, :, ::2, ::2])
        self.calls.append((low_frames, given_frames))
        new = (uniforms * config.num_levels).astype("uint8")
        new[:, :, ::2, ::2] = low_frames[:, count:]
        return np.concatenate([given_frames, new], axis=1)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Makes runs whose models are `FakeVideo`."""
    monkeypatch.setattr(FakeVideo, "calls", [])
    monkeypatch.setattr(Run, "model", lambda self, **options: FakeVideo(self.config.model))

    def make(name="run", dataset="shapes_push", data_seed=3, source_size=0, **fields):
        model = VideoConfig(
            **(
                {
                    "image_size": SIDE,
                    "num_levels": LEVELS,
                    "num_frames": STEPS,
                    "given_frames": GIVEN,
                }
                | fields
            )
        )
        where = DataConfig(dataset=dataset, data_seed=data_seed, source_size=source_size)
        run = RunConfig(model, where, TrainConfig())
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).write_text(run.to_json())

    return make


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs bin/sample in a folder of its own; returns its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        options = ["--workdir=run", f"--num={NUM}", f"--scale={SCALE}", "--out=video.png"]
        return exit_status(monkeypatch, sample.main, *options, *arguments)

    return run


def true_clips(split="test_seen", first=0, side=SIDE, steps=STEPS, seed=3, read=0):
    """Clips as levels, read at side `read`, of which every n-th pixel is kept."""
    source = data.load(
        "shapes_push", image_size=side, seed=seed, num_frames=steps, source_size=read
    )
    found = source.examples(split, np.arange(first, first + NUM))
    return found | {"frames": pixels.quantise(found["frames"], LEVELS)}


def strip_cells(path="video.png", rows=2, side=SIDE, steps=STEPS, names=("real", "sample")):
    """The frames in a strip: uint8 `[NUM, rows, T, side, side, 3]`."""
    drawn = np.asarray(Image.open(path))
    shape = (NUM, rows, steps, side, side)
    assert drawn.shape == (*film.strip_size(shape, names, GIVEN, SCALE), 3)
    cell, found = side * SCALE + 2 * film.BORDER, np.empty((*shape, 3), "uint8")
    left = film.label_width(names) + film.BORDER
    for clip, row, t in np.ndindex(NUM, rows, steps):
        top = film.LINE + clip * (rows * cell + film.GAP) + row * cell + film.BORDER
        start = left + t * cell + (film.GAP if t >= GIVEN else 0)
        found[clip, row, t] = drawn[top:, start:][: side * SCALE : SCALE, : side * SCALE : SCALE]
    return found


def test_real_beside_sampled(command, runs, capsys):
    runs()
    assert command() == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    counts = "clips 0 to 2", "shapes_push", "test_seen", "2 frames given", "3 sampled"
    assert not missing_facts(told, "video.png", *counts)
    clips, shown = true_clips(), strip_cells()
    real = pixels.dequantise(clips["frames"], LEVELS)
    np.testing.assert_array_equal(shown[:, 0], real)
    np.testing.assert_array_equal(shown[:, 1, :GIVEN], real[:, :GIVEN])
    assert (shown[:, 1, GIVEN:] != real[:, GIVEN:]).mean() > 0.9
    ((given, conditions),) = FakeVideo.calls
    np.testing.assert_array_equal(given, clips["frames"][:, :GIVEN])
    for field in ("actions", "states"):
        np.testing.assert_array_equal(conditions[field], clips[field])


@pytest.mark.parametrize("suffix", ["gif", "webp", "GIF"])
def test_an_animation_with_a_strip_beside_it(command, runs, tmp_path, capsys, suffix):
    runs()
    assert command() == 0
    before = strip_cells()
    assert command(f"--out=out/arm.{suffix}", "--fps=20") == 0
    told = capsys.readouterr().out
    assert not missing_facts(told, f"out/arm.{suffix}", "out/arm.png", "clips 0 to 2")
    np.testing.assert_array_equal(strip_cells("out/arm.png"), before)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"arm.{suffix}", "arm.png"}
    with Image.open(f"out/arm.{suffix}") as moving:
        assert (moving.n_frames, moving.info["loop"]) == (STEPS, 0)
        size = animation.animation_size((NUM, 2, STEPS, SIDE, SIDE), ("real", "sample"), SCALE)
        assert moving.size == size[::-1]
        moving.load()
        assert moving.info["duration"] == 50


def test_several_futures_and_the_seed(command, runs):
    runs()
    names = ("real", "sample 1", "sample 2", "sample 3")
    assert command("--futures=3") == 0
    shown = strip_cells(rows=4, names=names)
    sampled = shown[:, 1:, GIVEN:]
    for one in range(3):
        np.testing.assert_array_equal(shown[:, 1 + one, :GIVEN], shown[:, 0, :GIVEN])
        for other in range(one):
            assert (sampled[:, one] != sampled[:, other]).mean() > 0.9
    # However many are asked for, each is the same.
    assert command("--futures=3") == 0
    np.testing.assert_array_equal(strip_cells(rows=4, names=names), shown)
    assert command() == 0
    np.testing.assert_array_equal(strip_cells(), shown[:, :2])
    assert command("--first=1") == 0
    np.testing.assert_array_equal(strip_cells()[:-1], shown[1:, :2])
    assert command("--seed=1") == 0
    assert (strip_cells()[:, 1, GIVEN:] != sampled[:, 0]).mean() > 0.9


def test_another_split_and_another_data_set(command, runs):
    runs(dataset="shapes")  # whatever it was trained on
    assert command("--dataset=shapes_push", "--split=test_novel", "--first=4") == 0
    clips = true_clips("test_novel", 4, seed=0)
    np.testing.assert_array_equal(strip_cells()[:, 0], pixels.dequantise(clips["frames"], LEVELS))


def test_defaults(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs()
    assert exit_status(monkeypatch, sample.main, "--workdir=run") == 0
    told = capsys.readouterr().out
    assert not missing_facts(told, "video.gif", "video.png", "clips 0 to 3", "shapes_push")
    names = ("real", "sample")
    wanted = film.strip_size((4, 2, STEPS, SIDE, SIDE), names, GIVEN, 128 // SIDE)
    assert np.asarray(Image.open("video.png")).shape == (*wanted, 3)


def test_a_model_of_frames_alone(command, runs):
    runs(action_size=0, state_size=0)
    assert command() == 0
    assert FakeVideo.calls[0][1] is None


def noise(*shape):
    return np.random.default_rng(7).uniform(-1, 1, shape).astype("float32")


def test_driving_the_arm(command, runs, tmp_path, capsys):
    runs()
    own = noise(STEPS, 5)
    np.save(tmp_path / "own.npy", own)
    assert command("--actions=own.npy") == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 2 and not missing_facts(told, "own.npy", "real")
    clips, shown = true_clips(), strip_cells(rows=1, names=("sample",))
    real = pixels.dequantise(clips["frames"], LEVELS)
    np.testing.assert_array_equal(shown[:, 0, :GIVEN], real[:, :GIVEN])
    _, conditions = FakeVideo.calls[-1]
    actions, states = conditions["actions"], conditions["states"]
    np.testing.assert_array_equal(actions[:, : GIVEN - 1], clips["actions"][:, : GIVEN - 1])
    np.testing.assert_array_equal(actions[:, GIVEN - 1 :], np.stack([own[GIVEN - 1 :]] * NUM))
    np.testing.assert_array_equal(states[:, :GIVEN], clips["states"][:, :GIVEN])
    for t in range(GIVEN, STEPS):
        wanted = states[:, t - 1] + FOLLOW * (actions[:, t - 1] - states[:, t - 1])
        np.testing.assert_allclose(states[:, t], wanted, atol=1e-6)
    each, poses = noise(NUM, STEPS, 5), noise(NUM, STEPS, 5) / 2
    np.save(tmp_path / "each.npy", each)
    np.save(tmp_path / "poses.npy", poses)
    assert command("--actions=each.npy", "--states=poses.npy", "--futures=2") == 0
    assert strip_cells(rows=2, names=("sample 1", "sample 2")).shape[1] == 2
    _, conditions = FakeVideo.calls[-1]
    np.testing.assert_array_equal(conditions["actions"][::2, 1:], each[:, 1:])
    np.testing.assert_array_equal(conditions["actions"][1::2, 1:], each[:, 1:])
    np.testing.assert_array_equal(conditions["states"][::2, GIVEN:], poses[:, GIVEN:])


def test_upscalers_in_turn(command, runs):
    short = {"variant": "OT_upscaler", "num_frames": 3}
    runs()
    runs("run16", image_size=16, **short)
    runs("run32", image_size=32, **short, given_frames=1, data_seed=9)  # trained on other data
    assert command() == 0
    low = strip_cells()
    FakeVideo.calls.clear()
    assert command("--upscaler=run16", "--upscaler=run32", "--futures=2") == 0
    shown = strip_cells(rows=3, side=32, names=("real", "sample 1", "sample 2"))
    clips = true_clips(side=32)["frames"]
    real = pixels.dequantise(clips, LEVELS)
    np.testing.assert_array_equal(shown[:, 0], real)
    np.testing.assert_array_equal(shown[:, 1, :GIVEN], real[:, :GIVEN])
    np.testing.assert_array_equal(shown[:, 1, GIVEN:, ::4, ::4], low[:, 1, GIVEN:])
    # All that is given is sub-sampled from the largest, before anything is made of it.
    for (given, _), side in zip(FakeVideo.calls, (8, 8, 16), strict=True):
        step = 32 // side
        np.testing.assert_array_equal(given[::2, :GIVEN], clips[:, :GIVEN, ::step, ::step])
    assert (true_clips()["frames"] != clips[:, :, ::4, ::4]).any()  # where it is another kind
    # Every stage and every future has its own uniforms.
    assert (shown[:, 1, GIVEN:, 1::2] != shown[:, 2, GIVEN:, 1::2]).mean() > 0.9
    assert (shown[:, 1, GIVEN:, 1:17:2, 1:17:2] != shown[:, 1, GIVEN:, ::4, ::4]).mean() > 0.9


@pytest.mark.parametrize("source_sizes, read", [((0, 16), 0), ((32, 0), 32), ((16, 64), 64)])
def test_frames_are_read_as_the_models_know_them(command, runs, source_sizes, read):
    runs(source_size=source_sizes[0])
    runs("run16", image_size=16, variant="OT_upscaler", source_size=source_sizes[1])
    assert command("--upscaler=run16") == 0
    clips = true_clips(side=16, read=read)["frames"]
    np.testing.assert_array_equal(strip_cells(side=16)[:, 0], pixels.dequantise(clips, LEVELS))
    np.testing.assert_array_equal(FakeVideo.calls[0][0], clips[:, :GIVEN, ::2, ::2])


@pytest.mark.parametrize("steps", [3, 20])
def test_an_upscaler_alone_enlarges_the_true_clips(command, runs, steps):
    runs(image_size=16, variant="OT_upscaler", num_frames=steps)
    assert command() == 0
    shown = strip_cells(side=16, steps=steps)
    real = pixels.dequantise(true_clips(side=16, steps=steps)["frames"], LEVELS)
    np.testing.assert_array_equal(shown[:, 0], real)
    np.testing.assert_array_equal(shown[:, 1, :, ::2, ::2], real[:, :, ::2, ::2])
    np.testing.assert_array_equal(shown[:, 1, :GIVEN], real[:, :GIVEN])
    assert (shown[:, 1, GIVEN:] != real[:, GIVEN:]).mean() > 0.6


UP16 = ["--upscaler=run16"]
FRAMES_ALONE = {"action_size": 0, "state_size": 0}


@pytest.mark.parametrize(
    "fields, arguments, facts",
    [
        ({}, ["--text=a star"], ("videos", "OT", "--text")),
        ({}, ["--label=0"], ("videos", "OT", "--label")),
        ({}, ["--trajectory"], ("videos", "OT", "--trajectory")),
        ({}, ["--prompts=a.jsonl"], ("videos", "OT", "--prompts")),
        ({}, ["--out=a.mp4"], ("--out", "a.mp4", "videos", ".gif", ".webp", ".png")),
        ({}, ["--out="], ("--out", "videos", ".gif", ".webp", ".png")),
        ({}, ["--out=run.gif"], ("--out", "run.gif", "folder")),
        ({}, ["--fps=51"], ("--fps", "51", "1 to 50")),
        ({}, ["--fps=0"], ("--fps", "0", "above")),
        ({}, ["--split=test"], ("shapes_push", "split", "test", "train")),
        ({}, ["--first=998"], ("clips 998 to 1000", "test_seen", "shapes_push")),
        ({}, ["--first=-1"], ("clips -1 to 1", "test_seen", "shapes_push")),
        ({}, ["--num=9000000"], ("clips 0 to 8999999", "test_seen", "shapes_push")),
        ({}, ["--seed=-1"], ("seed", "-1")),
        ({}, ["--dataset=shapes"], ("shapes", "images", "videos")),
        ({}, ["--dataset=shape"], ("dataset", "shape", "shapes")),
        ({}, ["--dataset=robot_pushing"], ("robot_pushing", "data_dir")),
        ({"channels": 1}, [], ("shapes_push", "channels=1")),
        ({"action_size": 4}, [], ("actions", "4", "shapes_push", "5")),
        ({"state_size": 3}, [], ("states", "3", "shapes_push", "5")),
        ({}, ["--futures=90000000"], ("--futures", "90000000", "1 to 1000")),
        ({}, ["--num=900", "--scale=40"], ("900 clips", "5 frames", "2 rows", "40", "--num")),
        ({}, ["--futures=1000", "--out=a.webp"], ("20038x147", "16383", "--out")),
        ({}, ["--states=good.npy"], ("--states", "--actions")),
        ({}, ["--actions=nan.npy"], ("--actions", "nan.npy", "nan", "frame 1", "number 0")),
        ({}, ["--actions=short.npy"], ("--actions", "short.npy", "[4, 5]", "[5, 5]", "[3, 5, 5]")),
        ({}, ["--actions=words.npy"], ("--actions", "words.npy", "<U1", "floats")),
        ({}, ["--actions=pickled.npy"], ("--actions", "pickled.npy", ".npy file")),
        ({}, ["--actions=absent.npy"], ("--actions", "no file", "absent.npy")),
        ({}, ["--actions="], ("--actions", "no file")),
        ({}, ["--actions=good.npy", "--states=short.npy"], ("--states", "short.npy", "[4, 5]")),
        ({"state_size": 0}, ["--actions=good.npy", "--states=good.npy"], ("states", "--states")),
        (FRAMES_ALONE, ["--actions=good.npy"], ("actions", "--actions")),
        ({}, ["--upscaler=absent"], ("absent", "run")),
        ({}, ["--upscaler=run"], ("--upscaler", "run", "OT", "OT_upscaler")),
        ({}, [*UP16, *UP16], ("--upscaler", "run16", "8", "16")),
        ({"image_size": 16}, UP16, ("--upscaler", "run16", "8", "16")),
        ({"num_levels": 256}, UP16, ("run16", "num_levels", "64", "run", "256")),
        ({"image_size": 256}, ["--upscaler=run512"], ("8 to 256",)),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    command, runs, tmp_path, capsys, fields, arguments, facts
):
    runs(**fields)
    for size in (16, 512):
        runs(f"run{size}", variant="OT_upscaler", image_size=size)
    (tmp_path / "run.gif").mkdir()
    bad = noise(STEPS, 5)
    np.save(tmp_path / "good.npy", bad)
    np.save(tmp_path / "short.npy", bad[1:])
    np.save(tmp_path / "words.npy", np.full((STEPS, 5), "a"))
    np.save(tmp_path / "pickled.npy", bad.astype(object))
    bad[1, 0] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    before = sorted(tmp_path.iterdir())
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not missing_facts(error, *facts), error
    assert sorted(tmp_path.iterdir()) == before and not FakeVideo.calls


def test_states_of_other_data_are_asked_for(command, runs, tmp_path, capsys, monkeypatch):
    runs()
    np.save(tmp_path / "good.npy", noise(STEPS, 5))
    source = data.load("shapes_push", image_size=SIDE)
    source.name, source.splits = "others", ("train", "holdout")
    monkeypatch.setattr(source, "size", lambda split: 100)
    monkeypatch.setattr(
        source,
        "examples",
        lambda split, indices, fields: data.load("shapes_push", image_size=SIDE).examples(
            "train", indices, fields
        ),
    )
    monkeypatch.setattr("ms_pixelcnn_tf.runs.source.load_source", lambda run, data_dir: source)
    assert command("--actions=good.npy") == 2
    told = capsys.readouterr().err
    assert not missing_facts(told, "others", "states", "--states"), told
    assert command("--actions=good.npy", "--states=good.npy") == 0
    assert not missing_facts(capsys.readouterr().out, "others", "holdout")


@pytest.mark.parametrize(
    "flag",
    [
        "--actions=a.npy",
        "--states=a.npy",
        "--futures=2",
        "--fps=8",
        "--first=0",
        "--split=test_seen",
        "--dataset=shapes",
        "--data_dir=.",
        "--upscaler=run",
    ],
)
def test_a_model_of_images_takes_no_flag_of_videos(command, tmp_path, monkeypatch, capsys, flag):
    make_fake_run(tmp_path / "run", monkeypatch)
    assert command(flag) == 2
    name = flag.split("=")[0]
    assert not missing_facts(capsys.readouterr().err, "images", "OlogN", name)


def test_the_size_told_is_the_size_drawn(command, runs, monkeypatch, capsys):
    runs()
    assert command("--futures=2") == 0
    height, width, _ = np.asarray(Image.open("video.png")).shape
    monkeypatch.setattr(flags, "MAX_PIXELS", height * width - 1)
    assert command("--futures=2") == 2
    error = capsys.readouterr().err
    assert not missing_facts(error, f"{height * width:,} pixels", "--futures"), error
    monkeypatch.setattr(flags, "MAX_PIXELS", height * width)
    assert command("--futures=2") == 0


def test_help_shows_the_flags_of_both(capsys):
    with pytest.raises(SystemExit):
        sample.main(["--help"])
    told = capsys.readouterr().out
    for flag in ("--trajectory", "--text", "--actions", "--futures", "--upscaler", "--fps"):
        assert flag in told


def test_real_models_roll_out_and_upscale_twice(command, runs, monkeypatch):
    small = dict.fromkeys(("frame_features", "lstm_features", "features", "head_features"), 4)
    small |= {"frame_blocks": 0, "residual_blocks": 1, "num_mixtures": 1, "num_frames": 4}
    upscaler = {"variant": "OT_upscaler", "given_frames": 1}
    runs(**small)
    runs("run16", **small | upscaler | {"image_size": 16, "num_frames": 3})
    runs("run32", **small | upscaler | {"image_size": 32, "num_frames": 2})
    monkeypatch.setattr(Run, "model", lambda self, **options: VideoPixelCNN(self.config.model))
    with eagerly():
        assert command("--upscaler=run16", "--upscaler=run32") == 0
    shown = pixels.quantise(strip_cells(side=32, steps=4), LEVELS)
    real, sampled = shown[:, 0], shown[:, 1]
    np.testing.assert_array_equal(real, true_clips(side=32, steps=4)["frames"])
    np.testing.assert_array_equal(sampled[:, :GIVEN], real[:, :GIVEN])
    for step in (1, 2, 4):  # new pixels at every size, from the first sampled frame on
        differs = (sampled != real)[:, GIVEN:, ::step, ::step]
        assert differs.mean(axis=(0, 2, 3, 4)).min() > 0.5
