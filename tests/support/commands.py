"""Commands as the shell would run them."""

import sys

from ms_pixelcnn_tf.cli import flags


def exit_status(monkeypatch, main, *arguments):
    """Runs a command; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    try:
        flags.run(main)
    except SystemExit as end:
        return end.code
    return 0
