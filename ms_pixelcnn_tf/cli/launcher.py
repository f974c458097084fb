"""bin/train --scale=each: every scale of a model by a process of its own, all at once.

Each scale's term of the likelihood needs only ground truth, so the processes have nothing to tell one
another (Reed et al., 2017, section 3).
"""

import contextlib
import shlex
import signal
import subprocess
import sys
import threading

from ms_pixelcnn_tf.errors import UserError

EACH = "each"
PROGRAM = (sys.executable, "-m", "ms_pixelcnn_tf.cli.train")


def is_asked_for(arguments):
    """Whether the last --scale among the arguments is "each"."""
    values = [value for flag, value in zip(arguments, arguments[1:]) if flag == "--scale"]
    values += [argument[8:] for argument in arguments if argument.startswith("--scale=")]
    return EACH in values


def commands(arguments, scales, workdir):
    """The arguments of `bin/train` for each scale: dict scale → list."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument not in ("--scale", "--workdir") and not argument.startswith(
            ("--scale=", "--workdir=")
        ):
            kept.append(argument)
        skip = argument in ("--scale", "--workdir")
    return {scale: [*kept, f"--scale={scale}", f"--workdir={workdir}"] for scale in scales}


def launch(arguments, scales, workdir, program=PROGRAM):
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
    processes, lines = {}, threading.Lock()
    with _handed_on(processes) as received:
        for scale, own in each.items():
            # A session of its own: a terminal's Ctrl-C comes once, from here.
            processes[scale] = subprocess.Popen(
                [*program, *own], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", start_new_session=True,
            )
        readers = [
            threading.Thread(target=_show, args=(scale, process.stdout, lines))
            for scale, process in processes.items()
        ]
        for reader in readers:
            reader.start()
        codes = {scale: process.wait() for scale, process in processes.items()}
        for reader in readers:
            reader.join()
    if received:
        sys.exit(128 + received[0])
    failed = [f"{scale} (exit code {code})" for scale, code in codes.items() if code]
    if failed:
        raise UserError(
            f"of {len(codes)} scales, failed: {', '.join(failed)}; the same command goes on with those "
            "that are not finished"
        )


@contextlib.contextmanager
def _handed_on(processes):
    """While entered, SIGINT and SIGTERM go to the processes. Yields the numbers of those that came."""
    received = []

    def hand_on(number, frame):
        del frame
        received.append(number)
        for process in list(processes.values()):
            if process.poll() is None:
                process.send_signal(number)

    previous = {each: signal.signal(each, hand_on) for each in (signal.SIGINT, signal.SIGTERM)}
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
