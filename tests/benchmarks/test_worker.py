"""A benchmark's subjects in processes of their own."""

import os

import pytest

from parts.worker import Worker, peak_memory, workers
from support.errors import refuses

pytestmark = pytest.mark.slow


def test_workers_are_processes_that_keep_their_subject():
    counters = {name: ("support.workers:Counter", start) for name, start in (("a", 0), ("b", 10))}
    with workers(counters) as running:
        own = {worker.facts["process"] for worker in running.values()} | {os.getpid()}
        assert len(own) == 3
        for expected in (1, 2):
            assert running["a"].measure() == expected
            assert running["b"].measure() == expected + 10


def test_a_fault_of_the_subject_is_told():
    worker = Worker("support.workers:Faulty", 0)
    with pytest.raises(RuntimeError, match="ValueError: no such number"):  # the subject's own words
        worker.measure()
    worker.close()


def test_a_mistake_of_the_users_stays_one():
    with refuses("unknown start; valid: none"):  # the subject's own words
        Worker("support.workers:Mistaken", 0)


def test_a_killed_worker_is_told():
    worker = Worker("support.workers:Killed", 0)
    with refuses("worker", "exit code 9"):
        worker.measure()
    worker.close()


@pytest.mark.skipif(
    peak_memory() is None, reason="this system does not tell a process's peak memory"
)
def test_the_peak_of_memory_is_the_workers_own_and_stays():
    worker = Worker("support.workers:Holder", 0)
    before, peak = worker.measure()
    assert 250 < peak - before < 300  # MiB
    again, _ = worker.measure()  # what it held is free by now
    assert again > peak - 1
    worker.close()
