"""Commands as the shell would run them, and functions for other processes to run."""

import os
import socket
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


def hold(folder, connection):
    """Trains in a folder, as far as others can see, until told to end."""
    from ms_pixelcnn_tf.runs.lock import training_in

    with training_in(folder):
        connection.send(os.getpid())
        connection.recv()


def train_tiny(workdir, fields):
    """Trains on `TinySource`."""
    from ms_pixelcnn_tf.training import loop
    from support.runs import TinySource, tiny_run

    loop.train(tiny_run(**fields), workdir, TinySource())


def free_ports(count):
    """Ports of this machine that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
