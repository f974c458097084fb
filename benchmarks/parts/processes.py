"""Where a benchmark's process runs."""

import os
import subprocess
import sys

from ms_pixelcnn_tf.errors import UserError


def pin(core):
    """Keeps this process to one core, where the system can; None: the first it may use."""
    if not hasattr(os, "sched_setaffinity"):
        return
    usable = sorted(os.sched_getaffinity(0))
    if core is not None and core not in usable:
        raise UserError(f"core {core} is not to be had; valid: {', '.join(map(str, usable))}")
    os.sched_setaffinity(0, {usable[0] if core is None else core})


def train_each(command, names, options, flags):
    """Trains runs one after the other, each in a process of its own; ends with the status of the
    first that fails, which has printed the reason.

    Args:
        command: the start of a command line that trains the run given by `--only`.
        names: of the runs.
        options: an argparse namespace.
        flags: names of those of its fields that are handed on where they are not None.
    """
    for name in names:
        print(f"run: {name}", flush=True)
        given = [(flag, getattr(options, flag)) for flag in flags]
        own = [f"--{flag}={value}" for flag, value in given if value is not None]
        status = _wait(subprocess.Popen([sys.executable, *command, f"--only={name}", *own]))
        if status:
            sys.exit(status)


def _wait(process):
    """Exit status of a process, which is given the time to save after Ctrl-C."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()
