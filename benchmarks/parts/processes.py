"""Where a benchmark's process runs."""

import os

from ms_pixelcnn_tf.errors import UserError


def pin(core):
    """Keeps this process to one core, where the system can; None: the first it may use."""
    if not hasattr(os, "sched_setaffinity"):
        return
    usable = sorted(os.sched_getaffinity(0))
    if core is not None and core not in usable:
        raise UserError(f"core {core} is not to be had; valid: {', '.join(map(str, usable))}")
    os.sched_setaffinity(0, {usable[0] if core is None else core})
