"""Many small operations as one program, and a batch as one program a core."""

import contextlib
import contextvars
import os

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


def fuse_by_cores(function):
    """`fuse`, with a part of the batch for each core: a program of small operations fills one only.

    Args:
        function: of trees of tensors, to a list of tensors; the batch is the last axis but one of all.

    Returns:
        A function of the same arguments. Where there are fewer images than cores it calls one program
        for all.
    """
    program, cores = fuse(function), _cores()
    if program is function or cores == 1:
        return program
    import tensorflow as tf

    def by_cores(*arguments):
        batch = tf.shape(tf.nest.flatten(arguments)[0])[-2]
        size = -(-batch // cores)

        def results(core):
            # All parts have one size, so that one program serves them: the last overlap.
            first = core * size
            start = tf.minimum(first, batch - size)
            parts = tf.nest.map_structure(lambda t: t[..., start : start + size, :], arguments)
            return [result[..., first - start :, :] for result in program(*parts)]

        return [tf.concat(parts, axis=-2) for parts in zip(*map(results, range(cores)))]

    def call(*arguments):
        batch = tf.shape(tf.nest.flatten(arguments)[0])[-2]
        return tf.cond(batch < cores, lambda: program(*arguments), lambda: by_cores(*arguments))

    return call


def _cores():
    """How many cores TensorFlow computes with; 1 where a GPU does."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def unfused():
    """While entered, graphs are traced without: for programs that have no XLA, as servers."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)
