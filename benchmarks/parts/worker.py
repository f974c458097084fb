"""Holds subjects of a benchmark, each in its own process, so that each has its own peak memory."""

import contextlib
import importlib
import multiprocessing
import pathlib
import signal
import sys

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError

STATUS = pathlib.Path("/proc/self/status")


class Worker:
    """A process that holds one subject and measures it on request.

    Args:
        name: "module:class" of the subject. It has `measure()`, which measures one round, and
            `facts()`, which describes the subject; both results must be picklable.
        *arguments: of the class.

    Attributes:
        facts: the result of `facts()`, once the subject was ready.
    """

    def __init__(self, name, *arguments):
        context = multiprocessing.get_context("spawn")
        self._connection, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, name, arguments), daemon=True)
        self._process.start()
        far_end.close()
        self.facts = self._receive()

    def measure(self):
        """Measures one round of the subject."""
        self._connection.send("measure")
        return self._receive()

    def close(self):
        """Ends the process, even in the middle of a round."""
        self._connection.close()  # an idle process then ends by itself
        self._process.join(timeout=5)
        self._process.terminate()
        self._process.join()

    def _receive(self):
        try:
            failure, result = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise UserError(
                f"a worker ended by itself with exit code {self._process.exitcode}; if it is -9, "
                "the memory was not enough: measure smaller batches"
            ) from None
        if failure is not None:
            raise failure
        return result


@contextlib.contextmanager
def workers(subjects):
    """Starts workers one after the other, and closes them at the end.

    Args:
        subjects: dict key → arguments of `Worker`.

    Yields:
        dict key → `Worker`.
    """
    started = {}
    try:
        for key, arguments in subjects.items():
            started[key] = Worker(*arguments)
            print(f"ready: {key}", file=sys.stderr, flush=True)
        yield started
    finally:
        for worker in started.values():
            worker.close()


def peak_memory():
    """The peak resident memory of this process, MiB; None if the system does not report it."""
    return _status("VmHWM")


def resident_memory():
    """The resident memory of this process, MiB; None if the system does not report it."""
    return _status("VmRSS")


def _status(name):
    if not STATUS.is_file():
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines[name].split()[0]) / 1024


def _serve(connection, name, arguments):
    module, kind = name.split(":")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    try:
        with flags.quiet_start():  # here, so that the start-up log is hidden
            make = getattr(importlib.import_module(module), kind)
        subject = make(*arguments)
        connection.send((None, subject.facts()))
        while connection.recv() == "measure":
            connection.send((None, subject.measure()))
    except (EOFError, BrokenPipeError):  # the other end is closed
        pass
    except UserError as error:
        connection.send((error, None))
    except Exception as error:
        connection.send((RuntimeError(f"in a worker: {type(error).__name__}: {error}"), None))
