"""bin/train --scale=each: every scale of a model by a process of its own, all at once.

Each scale's term of the likelihood needs only ground truth, so the processes have nothing to tell
one another (Reed et al., 2017, section 3).
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence

from ms_pixelcnn_tf.errors import UserError

EACH = "each"
SECONDS_BETWEEN_LOOKS = 0.1
PROGRAM = (sys.executable, "-m", "ms_pixelcnn_tf.cli.train")


def is_asked_for(arguments: Sequence[str]) -> bool:
    """Whether the last --scale among the arguments is "each"."""
    return _split(arguments)[0].scale == EACH


def commands(arguments: Sequence[str], scales: Iterable[str], workdir: str) -> dict[str, list[str]]:
    """The arguments of `bin/train` for each scale: dict scale → list."""
    _, others = _split(arguments)
    return {scale: [*others, f"--scale={scale}", f"--workdir={workdir}"] for scale in scales}


def _split(arguments):
    """What each scale's process is given anew, as a namespace, and all other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--scale")
    parser.add_argument("--workdir")
    return parser.parse_known_args(arguments)


def launch(
    arguments: Sequence[str], scales: Iterable[str], workdir: str, program: Sequence[str] = PROGRAM
) -> None:
    """Runs the scales' processes to their ends; SIGINT and SIGTERM are handed on to all.

    Args:
        arguments: of the command.
        scales: names of all scales.
        workdir: the run's folder.
        program: what is started with each scale's arguments.

    Raises:
        UserError: if one failed; the others have gone on to their ends.
    """
    each = commands(arguments, scales, workdir)
    print("on many machines that see the same folder, one each:")
    for own in each.values():
        print(f"  bin/train {shlex.join(own)}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # they share what there is
    with _noted_signals() as received:
        processes = {
            # A session of its own: a terminal's Ctrl-C comes once, from here.
            scale: subprocess.Popen(
                [*program, *own],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                env=environment,
            )
            for scale, own in each.items()
        }
        lines = threading.Lock()
        readers = [
            threading.Thread(target=_show, args=(scale, process.stdout, lines))
            for scale, process in processes.items()
        ]
        for reader in readers:
            reader.start()
        handed_on = 0
        while any(process.poll() is None for process in processes.values()):
            for number in received[handed_on:]:
                handed_on += 1
                for process in processes.values():
                    if process.poll() is None:
                        process.send_signal(number)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        for reader in readers:
            reader.join()
    if received:
        sys.exit(128 + received[0])
    codes = {scale: process.returncode for scale, process in processes.items()}
    failed = [f"{scale} (exit code {code})" for scale, code in codes.items() if code]
    if failed:
        raise UserError(
            f"of {len(codes)} scales, failed: {', '.join(failed)}; the same command goes on with "
            "those that are not finished"
        )


@contextlib.contextmanager
def _noted_signals():
    """While entered, SIGINT and SIGTERM do nothing but stand in the list that it yields."""
    received = []

    def note(number, frame):
        del frame
        received.append(number)

    previous = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _show(scale, stream, lines):
    """Prints a process's lines with its scale before them, never two at once."""
    for line in stream:
        with lines:
            print(f"[{scale}] {line}", end="", flush=True)
