"""Many small operations as one program."""

import contextlib
import contextvars

import keras

_allowed = contextvars.ContextVar("allowed", default=True)


def fuse(function):
    """`function` compiled by XLA on TensorFlow, where each operation has to be sent off by itself.

    It is compiled once for each shape of its arguments. On other backends it is left as it is: JAX
    compiles whole graphs anyway.
    """
    if keras.backend.backend() != "tensorflow" or not _allowed.get():
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False, jit_compile=True)


@contextlib.contextmanager
def unfused():
    """While entered, graphs are traced without: for programs that have no XLA, as servers."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)
