"""A run killed at any moment goes on as if nothing had been: weights, metrics, TensorBoard."""

import multiprocessing
import random
import signal
import time

import pytest

from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.runs.checkpoint import latest_step
from ms_pixelcnn_tf.runs.folder import CHECKPOINTS
from support.commands import train_tiny
from support.runs import assert_same_run

pytestmark = pytest.mark.slow
KILLS = 20
STEPS = 300
RUN = {
    "steps": STEPS,
    "checkpoint_every": 2,
    "evaluate_every": 10,
    "sample_every": 30,
    "log_every": 1,
    "ema_decay": 0.9,
    "variant": "ON",
    "image_size": 4,
    "num_classes": 3,
}


@pytest.fixture(scope="module")
def server():
    """Forks each training from a process that has imported all of it, and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ms_pixelcnn_tf.training.loop", "support.commands"])
    return context


def trained_for(server, workdir, moment):
    """Trains in a process, which is killed when `moment(process, workdir)` returns, if it lives so
    long; to its end with None.

    Returns the exit code.
    """
    process = server.Process(target=train_tiny, args=(workdir, RUN))
    process.start()
    if moment is not None:
        moment(process, workdir)
        process.kill()
    process.join()
    return process.exitcode


def goes_on(process, workdir):
    """Waits for a new checkpoint."""
    started, first = time.monotonic(), latest_step(workdir)
    while process.is_alive() and latest_step(workdir) == first:
        time.sleep(0.002)
        assert time.monotonic() - started < 120


def in_training(generator):
    def moment(process, workdir):
        goes_on(process, workdir)
        time.sleep(generator.uniform(0, 0.1))

    return moment


def while_saving(generator):
    """Waits for a checkpoint's temporary file, and a random part of the time that saving takes."""

    def moment(process, workdir):
        goes_on(process, workdir)
        while process.is_alive():
            if list((workdir / CHECKPOINTS).glob(f"{snapshots.TEMPORARY}*")):
                break
            time.sleep(0.0002)
        time.sleep(generator.uniform(0, 0.01))

    return moment


def at_any_time(generator):
    """From the process's first moment on: building, restoring, cutting back what was written.

    Not long after it trains again, though: a fast machine would be at the run's end before it has
    been killed often enough.
    """

    def moment(process, workdir):
        last, end = (
            latest_step(workdir) + STEPS // (2 * KILLS),
            time.monotonic() + generator.uniform(0, 6),
        )
        while time.monotonic() < end and latest_step(workdir) < last:
            time.sleep(0.002)

    return moment


def test_a_run_killed_many_times_equals_one_that_was_not(server, tmp_path):
    assert trained_for(server, tmp_path / "whole", None) == 0
    killed, generator = tmp_path / "killed", random.Random(0)
    torn = kills = 0
    for number in range(3 * KILLS):
        if kills == KILLS or latest_step(killed) > STEPS - 30:
            break
        kind = (in_training, while_saving, at_any_time)[number % 3]
        kills += trained_for(server, killed, kind(generator)) == -signal.SIGKILL
        torn += bool(list((killed / CHECKPOINTS).glob(f"{snapshots.TEMPORARY}*")))
    assert kills == KILLS, f"{kills} kills, at step {latest_step(killed)}"
    assert torn, "no kill fell into the writing of a checkpoint"
    assert trained_for(server, killed, None) == 0
    assert_same_run(killed, tmp_path / "whole")
    print(f"{kills} kills survived, {torn} of them in the writing of a checkpoint")
