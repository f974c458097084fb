"""Many processes train what one trains: real ones, that speak over the loopback."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data.batches.pipeline import iterate, training_batches
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.training.monitor import TENSORBOARD
from ms_pixelcnn_tf.training.replicas import Replicas
from support.commands import free_ports
from support.errors import missing_facts, refuses
from support.models import as_flags, small_image
from support.runs import TinyFilm, TinySource, curve, shown, state

pytestmark = pytest.mark.slow
FLAGS = as_flags(small_image(image_size=8, base_size=4, num_levels=4, base_layers=1)) + [
    "--batch_size=7",
    "--evaluation_examples=8",
    "--sample_every=0",
    "--ema_decay=0.9",
    "--evaluate_every=3",
    "--log_every=1",
    "--checkpoint_every=2",
    "--learning_rate=0.01",
    "--final_learning_rate=0.01",
]
PROGRAM = "from ms_pixelcnn_tf.cli import flags, train; flags.run(train.main)"
TOLERANCE = {"rtol": 2e-4, "atol": 2e-6}  # sums in another order, over six steps of Adam


def start(workdir, workers=1, *more, of_each=None):
    """Processes that train together."""
    ports, processes = free_ports(workers), []
    for index in range(workers):
        environment = dict(os.environ)
        if workers > 1:
            environment["TF_CONFIG"] = json.dumps(
                {
                    "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
                    "task": {"type": "worker", "index": index},
                }
            )
        own = of_each[index] if of_each else []
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *FLAGS, f"--workdir={workdir}", *more, *own],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return processes


def ended(processes, timeout=300):
    """Exit codes and what was said, each process's."""
    said = [process.communicate(timeout=timeout)[0] for process in processes]
    return [process.returncode for process in processes], said


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one process."""
    workdir = tmp_path_factory.mktemp("alone")
    codes, said = ended(start(workdir, 1, "--steps=6"))
    assert codes == [0], said
    return workdir


def assert_close(workdir, other):
    got, expected = state(workdir), state(other)
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], err_msg=name, **TOLERANCE)
    for line, wanted in zip(curve(workdir), curve(other), strict=True):
        assert (line["step"], line["examples"]) == (wanted["step"], wanted["examples"])
        for name in ("train_bits", "validation_bits"):
            assert line[name] == pytest.approx(wanted[name], rel=1e-5)
    assert shown(workdir).keys() == shown(other).keys()


@pytest.mark.parametrize("workers, more", [(2, ["--micro_batch_size=0"]), (3, [])])
def test_workers_train_what_one_process_trains(alone, tmp_path, workers, more):
    """Seven examples a step, so that no two workers have the same number of three."""
    codes, said = ended(start(tmp_path, workers, "--steps=6", *more))
    assert codes == [0] * workers, said
    assert_close(tmp_path, alone)
    # Only the chief writes: one file of events, and no line twice (`curve`, `shown`).
    assert len(list((tmp_path / TENSORBOARD).iterdir())) == 1
    assert "validation" in said[0] and all("validation" not in other for other in said[1:])


def test_a_worker_that_is_killed_ends_the_others_and_the_same_commands_go_on(tmp_path):
    processes = start(tmp_path, 2, "--steps=100000", "--checkpoint_every=1")
    while latest_step(tmp_path) < 3:
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.05)
    processes[1].kill()
    killed = time.monotonic()
    (code, _), (said, _) = ended(processes, timeout=120)
    assert time.monotonic() - killed < 60
    assert code == 2, said
    assert not missing_facts(said, "error: a worker", "last checkpoint"), said
    reached = latest_step(tmp_path)
    assert reached >= 3
    processes = start(tmp_path, 2, "--steps=100000", "--checkpoint_every=1")
    while latest_step(tmp_path) < reached + 3:
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)  # either one stops both, saved
    codes, said = ended(processes, timeout=60)
    assert codes == [143, 143], said
    assert not missing_facts(said[0], f"from step {reached}"), said[0]
    assert not missing_facts(said[0], "stopped", f"step {latest_step(tmp_path)}"), said[0]


def test_after_a_killed_worker_the_run_ends_as_one_that_lost_none(tmp_path):
    more = [
        "--steps=40",
        "--checkpoint_every=1",
        "--learning_rate=1e-3",
        "--final_learning_rate=1e-3",
    ]
    codes, said = ended(start(tmp_path / "alone", 1, *more))
    assert codes == [0], said
    processes = start(tmp_path / "killed", 2, *more)
    while latest_step(tmp_path / "killed") < 3:
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.01)
    processes[1].kill()
    codes, said = ended(processes, timeout=120)
    assert codes[0] == 2, said
    assert 3 <= latest_step(tmp_path / "killed") < 40
    codes, said = ended(start(tmp_path / "killed", 2, *more))
    assert codes == [0, 0], said
    assert_close(tmp_path / "killed", tmp_path / "alone")


def test_workers_with_other_flags_are_refused(tmp_path):
    processes = start(tmp_path, 2, "--steps=6", of_each=[[], ["--features=6"]])
    codes, said = ended(processes, timeout=120)
    assert codes == [2, 2], said
    assert all(not missing_facts(each, "2 workers", "same configuration") for each in said)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "boss", "index": 0}}',
    ],
)
def test_what_is_no_cluster_is_told(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with refuses("TF_CONFIG", "cluster", "worker", "task", "index"):
        Replicas()


@dataclasses.dataclass
class FakeReplicas:
    """Some of so many."""

    number: int
    workers: int
    worker: int
    rows = Replicas.rows


@pytest.mark.parametrize("workers, devices", [(1, 1), (2, 1), (3, 1), (2, 2), (5, 1)])
def test_every_example_is_some_workers_once_an_epoch(workers, devices):
    source, batch_size = TinySource(), 10  # of 30 examples
    whole = iterate(training_batches(source, batch_size=batch_size, seed=4))
    parts = [
        iterate(
            training_batches(
                source,
                batch_size=batch_size,
                seed=4,
                rows=FakeReplicas(workers * devices, workers, worker).rows(batch_size),
            )
        )
        for worker in range(workers)
    ]
    for _ in range(6):  # two epochs
        together = np.concatenate([next(part)["image"].numpy() for part in parts])
        np.testing.assert_array_equal(together, next(whole)["image"])


@pytest.mark.parametrize(
    "source, options",
    [
        (TinyFilm(8), {"fields": ("frames", "actions"), "past_samples": 2}),
        (
            data.load("shapes", image_size=8),
            {
                "fields": ("image", "keypoints", "segmentation"),
                "map_noise": 0.5,
                "map_dropout": 0.3,
            },
        ),
    ],
    ids=["past_samples", "map_noise"],
)
def test_what_is_drawn_for_an_example_is_the_same_on_every_worker(source, options):
    options |= {"batch_size": 4, "seed": 4}
    whole = next(iterate(training_batches(source, **options)))
    parts = [
        next(iterate(training_batches(source, rows=FakeReplicas(2, 2, worker).rows(4), **options)))
        for worker in range(2)
    ]
    for field, values in whole.items():
        together = np.concatenate([part[field].numpy() for part in parts])
        np.testing.assert_array_equal(together, values)


def test_more_replicas_than_examples_are_refused():
    with refuses("batch_size", 3, "4 replicas"):
        FakeReplicas(4, 2, 0).rows(3)


@pytest.mark.parametrize(
    "example",
    [
        "tiny_run(batch_size=6, micro_batch_size=2, num_classes=3, crop_size=2), TinySource()",
        "tiny_video_run('OTN', image_size=8, batch_size=3, past_samples=1, steps=4), TinyFilm(8)",
    ],
    ids=["images", "videos"],
)
def test_two_devices_of_one_process_train_what_one_trains(example, tmp_path):
    """`MirroredStrategy`, on two logical CPUs; uneven rows, in parts."""
    program = textwrap.dedent(f"""
        import tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
        from ms_pixelcnn_tf.training import loop
        from ms_pixelcnn_tf.training.replicas import Replicas
        from support.runs import TinyFilm, TinySource, tiny_run, tiny_video_run
        run, source = {example}
        loop.train(run, "{tmp_path}/alone", source)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        replicas = Replicas(strategy)
        assert replicas.number == 2 and replicas.is_chief
        loop.train(run, "{tmp_path}/mirrored", source, replicas)
    """)
    tests = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": tests},
    )
    assert done.returncode == 0, done.stderr
    assert_close(tmp_path / "mirrored", tmp_path / "alone")
