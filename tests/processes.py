"""What tests have other processes do: importable by them."""

import os


def hold(folder, connection):
    """Trains in a folder, as far as others can see, until told to end."""
    from ms_pixelcnn_tf.training.lock import training_in

    with training_in(folder):
        connection.send(os.getpid())
        connection.recv()


def train_tiny(workdir, fields):
    """Trains on `TinySource`."""
    from ms_pixelcnn_tf.training import loop
    from tiny import TinySource, tiny_run

    loop.train(tiny_run(**fields), workdir, TinySource())
