"""One training a folder."""

import json
import multiprocessing
import os
import pathlib
import socket
import threading

import pytest

from ms_pixelcnn_tf.training import lock
from ms_pixelcnn_tf.training.lock import LOCK, is_trained_in, training_in
from support.commands import hold
from support.errors import refuses


def began(pid):
    """As a lock file says it."""
    fields = pathlib.Path(f"/proc/{pid}/stat")
    return int(fields.read_text().split()[21]) if fields.exists() else None


def test_a_second_training_is_refused_and_told_whose_the_first_is(tmp_path):
    folder = tmp_path / "new" / "run"
    with training_in(folder):
        assert is_trained_in(folder)
        with refuses(folder, f"process {os.getpid()}", socket.gethostname(), "--workdir"):
            with training_in(folder):
                pytest.fail("two trainings in one folder")
        assert is_trained_in(folder)
    assert not is_trained_in(folder)
    with training_in(folder):
        pass


def test_folders_do_not_lock_one_another(tmp_path):
    with training_in(tmp_path / "a"), training_in(tmp_path / "b"):
        assert is_trained_in(tmp_path / "a") and is_trained_in(tmp_path / "b")
    assert not is_trained_in(tmp_path / "c")


def test_a_lock_of_a_killed_process_is_stale(tmp_path):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path, there))
    process.start()
    pid = here.recv()
    assert is_trained_in(tmp_path)
    with refuses(tmp_path, f"process {pid}"), training_in(tmp_path):
        pass
    process.kill()
    process.join()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == pid  # it could not tidy up
    assert not is_trained_in(tmp_path)
    with training_in(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "text, taken",
    [
        ({"pid": 2**22 + 1, "host": socket.gethostname()}, False),  # beyond Linux's largest
        ({"pid": os.getpid(), "host": socket.gethostname()}, True),
        ({"pid": os.getpid(), "host": socket.gethostname(), "began": began(os.getpid())}, True),
        ({"pid": os.getpid(), "host": socket.gethostname(), "began": 1}, False),  # its number, anew
        ({"pid": 1, "host": socket.gethostname()}, True),
        ({"pid": 7, "host": "elsewhere"}, True),
        ({}, False),
        ("no json", False),
        (["pid"], False),
    ],
)
def test_without_locks_what_the_file_says_decides(tmp_path, monkeypatch, text, taken):
    def no_locks(descriptor, kind):
        raise OSError("no locks on this file system")

    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    (tmp_path / LOCK).write_text(text if isinstance(text, str) else json.dumps(text))
    assert is_trained_in(tmp_path) == taken
    if taken:
        with refuses(tmp_path, "trained in", text["pid"], text["host"]), training_in(tmp_path):
            pass
    else:
        with training_in(tmp_path):
            assert is_trained_in(tmp_path)


def test_looking_does_not_stand_in_the_way(tmp_path):
    """Scales that start at once look at one another's folders."""
    done = threading.Event()

    def look():
        while not done.is_set():
            is_trained_in(tmp_path)

    with training_in(tmp_path):
        pass
    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            with training_in(tmp_path):
                pass
    finally:
        done.set()
        looking.join()
