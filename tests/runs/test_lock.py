"""One training a folder."""

import json
import multiprocessing
import os
import socket
import threading

import pytest

from ms_pixelcnn_tf.runs.lock import LOCK, is_trained_in, owner_file, training_in
from support.commands import hold
from support.errors import refuses


def owner_of(folder):
    return json.loads(owner_file(folder / LOCK).read_text())


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
    assert owner_of(tmp_path)["pid"] == pid  # it could not tidy up
    assert not is_trained_in(tmp_path)
    with training_in(tmp_path):
        assert owner_of(tmp_path)["pid"] == os.getpid()


@pytest.mark.parametrize("text", ['{"pid": 1, "host": "elsewhere"}', "{}", "no json", '["pid"]'])
def test_what_stale_files_say_does_not_matter(tmp_path, text):
    """Owner's files, and lock files of before, which said it themselves."""
    (tmp_path / LOCK).write_text(text)
    owner_file(tmp_path / LOCK).write_text(text)
    assert not is_trained_in(tmp_path)
    with training_in(tmp_path):
        assert is_trained_in(tmp_path)
    assert not is_trained_in(tmp_path)


@pytest.mark.parametrize("text", [None, "no json", '["pid"]', "{}"])
def test_an_owner_that_is_not_named_is_refused_all_the_same(tmp_path, text):
    with training_in(tmp_path):
        owner = owner_file(tmp_path / LOCK)
        owner.unlink() if text is None else owner.write_text(text)
        with refuses(tmp_path, "process unknown", "host unknown"), training_in(tmp_path):
            pytest.fail("two trainings in one folder")


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
