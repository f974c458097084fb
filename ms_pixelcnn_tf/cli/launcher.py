"""bin/train --scale=each: trains all scales of a model at once, each in its own process.

Each scale's term of the likelihood needs only ground truth, so the processes do not communicate
(Reed et al., 2017, section 3).
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
    """The arguments of `bin/train` for each scale: scale → list."""
    _, others = _split(arguments)
    return {scale: [*others, f"--scale={scale}", f"--workdir={workdir}"] for scale in scales}


def _split(arguments):
    """The flags that are replaced for each process, as a namespace, and all other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--scale")
    parser.add_argument("--workdir")
    return parser.parse_known_args(arguments)


def launch(
    arguments: Sequence[str], scales: Iterable[str], workdir: str, program: Sequence[str] = PROGRAM
) -> None:
    """Runs one process per scale until all have ended; passes SIGINT and SIGTERM on to them.

    Args:
        arguments: the command's arguments.
        scales: names of all scales.
        workdir: the run folder.
        program: the program that is started with each scale's arguments.

    Raises:
        UserError: if a process failed, after all have ended.
    """
    each = commands(arguments, scales, workdir)
    print("on many machines that see the same folder, one each:")
    for own in each.values():
        print(f"  bin/train {shlex.join(own)}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # they share the GPU memory
    with _noted_signals() as received:
        processes = {
            # In its own session, so that a terminal's Ctrl-C reaches it only once, from here.
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
    """While entered, only records SIGINT and SIGTERM, in the list that it yields."""
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
    """Prints each line of a process after the name of its scale, one line at a time."""
    for line in stream:
        with lines:
            print(f"[{scale}] {line}", end="", flush=True)
