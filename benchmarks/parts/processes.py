"""Pins processes to cores, and trains runs in processes of their own."""

import os
import subprocess
import sys

from ms_pixelcnn_tf.errors import UserError


def pin(core):
    """Restricts this process to one core, if the system can; None: the first usable one."""
    if not hasattr(os, "sched_setaffinity"):
        return
    usable = sorted(os.sched_getaffinity(0))
    if core is not None and core not in usable:
        raise UserError(f"core {core} is not to be had; valid: {', '.join(map(str, usable))}")
    os.sched_setaffinity(0, {usable[0] if core is None else core})


def train_each(command, names, options, flags):
    """Trains runs one after the other, each in a process of its own. Exits with the status of the
    first that fails, which has printed the reason.

    Args:
        command: start of a command line that trains the run given by `--only`.
        names: of the runs.
        options: an argparse namespace.
        flags: names of its fields to pass on unless they are None.
    """
    for name in names:
        print(f"run: {name}", flush=True)
        given = [(flag, getattr(options, flag)) for flag in flags]
        own = [f"--{flag}={value}" for flag, value in given if value is not None]
        status = _wait(subprocess.Popen([sys.executable, *command, f"--only={name}", *own]))
        if status:
            sys.exit(status)


def _wait(process):
    """Exit status of a process; after Ctrl-C, waits until it has saved."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()
