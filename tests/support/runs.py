"""Data sets and runs on which a test trains in seconds, and what such a run leaves."""

import functools
import os
import signal

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.source import ArraySource, Source
from ms_pixelcnn_tf.runs.folder import latest_checkpoint
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.training import events, loop
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from support.models import small_image, small_video

TRAIN = {
    "batch_size": 4,
    "ema_decay": 0.9,
    "log_every": 2,
    "checkpoint_every": 2,
    "sample_every": 0,
    "learning_rate": 0.01,
    "warmup_steps": 2,
}
FILMS = {"train": 13, "validation": 5, "test_novel": 3}
STEPS = 7  # of a sequence, of which a clip is cut
CLOCK = ("state/seconds", "state/cpu_seconds")
OTHERS = ("save_counter", "_CHECKPOINTABLE")


class TinySource(ArraySource):
    """Gray 4x4 images with a darker left half, and labels."""

    name = "tiny"
    description = "tiny (gray 4x4, made for tests)"
    image_size = (4, 4)
    channels = 1
    num_classes = 3

    def __init__(self):
        super().__init__()
        generator = np.random.default_rng(0)
        for split, count in (("train", 30), ("validation", 7)):
            images = generator.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
            images[:, :, :2] //= 2
            labels = generator.integers(0, self.num_classes, count).astype("int32")
            self.set_split(split, images, labels)


class TinyFilm(Source):
    """Gray videos of noise, with actions of three and states of two numbers."""

    name = "tiny_film"
    channels = 1
    is_video = True
    takes_places = True
    splits = tuple(FILMS)
    action_size, state_size = 3, 2
    lateral = {"actions": (0, 2), "states": (1,)}
    mirrored_fields = ("frames", "actions", "states")

    def __init__(self, side=4, num_frames=4):
        self.image_size, self.num_frames = (side, side), num_frames
        self.description = f"tiny_film (gray {side}x{side}, made for tests)"
        generator = np.random.default_rng(0)
        self.sequences = {
            split: {
                "frames": generator.integers(0, 256, (count, STEPS, side, side, 1), dtype="uint8"),
                "actions": generator.normal(size=(count, STEPS, 3)).astype("float32"),
                "states": generator.normal(size=(count, STEPS, 2)).astype("float32"),
            }
            for split, count in FILMS.items()
        }

    def size(self, split):
        self.check_split(split)
        return FILMS[split]

    def examples(self, split, indices, fields=None, places=None):
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, ("frames", "actions", "states"))
        starts = np.zeros(len(indices)) if places is None else places[:, 0]
        steps = (starts * (STEPS - self.num_frames + 1)).astype(int)[:, None]
        steps = steps + np.arange(self.num_frames)
        return {field: self.sequences[split][field][indices[:, None], steps] for field in fields}


def tiny_run(**overrides):
    """The configuration of a run on `TinySource`."""
    steps = {"steps": 6, "evaluate_every": 3}
    return make_run(**(small_image(base_layers=1) | TRAIN | steps | overrides))


def tiny_video_run(variant="OT", **overrides):
    """The configuration of a run on `TinyFilm`."""
    sizes = {"num_levels": 4, "num_frames": 4, "action_size": 3, "state_size": 2}
    steps = {"steps": 4, "evaluate_every": 2, "crop_size": 0}
    return make_run("tiny_film", **(small_video(variant, **sizes) | TRAIN | steps | overrides))


class SilentProgress:
    """A `Progress` that shows nothing.

    Args:
        said: list to which the lines are appended; None for none.
        stop_after: step after which it presses Ctrl-C; None for none.
    """

    def __init__(self, first_step, steps, said=None, stop_after=None):
        del first_step, steps
        self._said, self._stop_after = said, stop_after

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def say(self, line):
        if self._said is not None:
            self._said.append(line)

    def update(self, step, bits):
        if step == self._stop_after:
            os.kill(os.getpid(), signal.SIGINT)


def train(run, workdir, source=None, **progress):
    """Trains silently; the keywords are `SilentProgress`'."""
    return loop.train(run, workdir, source, progress=functools.partial(SilentProgress, **progress))


def state(workdir):
    """Every tensor of the newest checkpoint, by name, except how long it took."""
    reader = tf.train.load_checkpoint(latest_checkpoint(workdir))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith((*CLOCK, *OTHERS))
    }


def curve(workdir):
    """The lines of metrics.jsonl, less how long it took."""
    lines = read_metrics(workdir)
    for line in lines:
        del line["seconds"], line["cpu_seconds"]
    return lines


def shown(workdir):
    """What TensorBoard shows: `(step, tag)` → the value's bytes. No step may be there twice."""
    found = {}
    for step, tag, value in events.values(workdir / TENSORBOARD):
        if not tag.endswith("_per_second"):
            assert (step, tag) not in found, (step, tag)
            found[step, tag] = value.tensor.SerializeToString()
    return found


def assert_same_state(workdir, other):
    """Two runs' newest checkpoints agree bit for bit."""
    got, expected = state(workdir), state(other)
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def assert_same_run(workdir, other):
    """The same of their validation curves and of what TensorBoard shows, too."""
    assert_same_state(workdir, other)
    assert curve(workdir) == curve(other)
    assert shown(workdir) == shown(other)
