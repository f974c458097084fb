"""A run killed at any moment goes on as if nothing had been: weights, metrics, TensorBoard."""

import multiprocessing
import random
import signal
import time

import pytest

from ms_pixelcnn_tf.training import snapshots
from ms_pixelcnn_tf.training.checkpoint import CHECKPOINTS, latest_step
from processes import train_tiny
from runs import assert_same_run

pytestmark = pytest.mark.slow
KILLS = 20
STEPS = 300
RUN = {
    "steps": STEPS, "checkpoint_every": 1, "evaluate_every": 10, "sample_every": 30, "log_every": 1,
    "ema_decay": 0.9, "variant": "ON", "image_size": 4, "num_classes": 3,
}


@pytest.fixture(scope="module")
def server():
    """Forks each training from a process that has imported all of it, and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ms_pixelcnn_tf.training.loop", "processes"])
    return context


def trained_for(server, workdir, moment):
    """Trains in a process, which is killed when `moment(workdir)` returns, if it lives so long.

    Returns the exit code.
    """
    process = server.Process(target=train_tiny, args=(workdir, RUN))
    process.start()
    started, first = time.monotonic(), latest_step(workdir)
    while process.is_alive() and latest_step(workdir) == first:
        time.sleep(0.002)
        assert time.monotonic() - started < 120
    if moment is not None and process.is_alive():
        moment(workdir)
        process.kill()
    process.join()
    return process.exitcode


def at_any_time(generator):
    return lambda workdir: time.sleep(generator.uniform(0, 0.1))


def while_saving(generator):
    """Waits for a checkpoint's temporary file, and a random part of the time that saving takes."""

    def moment(workdir):
        for _ in range(20_000):
            if list((workdir / CHECKPOINTS).glob(f"{snapshots.TEMPORARY}*")):
                break
            time.sleep(0.0002)
        time.sleep(generator.uniform(0, 0.01))

    return moment


def test_a_run_killed_many_times_equals_one_that_was_not(server, tmp_path):
    assert trained_for(server, tmp_path / "whole", None) == 0
    killed, generator = tmp_path / "killed", random.Random(0)
    torn = kills = 0
    for number in range(3 * KILLS):
        if kills == KILLS or latest_step(killed) > STEPS - 10:
            break
        kind = while_saving if number % 2 else at_any_time
        kills += trained_for(server, killed, kind(generator)) == -signal.SIGKILL
        torn += bool(list((killed / CHECKPOINTS).glob(f"{snapshots.TEMPORARY}*")))
    assert kills == KILLS, f"{kills} kills, at step {latest_step(killed)}"
    assert torn, "no kill fell into the writing of a checkpoint"
    assert trained_for(server, killed, None) == 0
    assert_same_run(killed, tmp_path / "whole")
    print(f"{kills} kills survived, {torn} of them in the writing of a checkpoint")
