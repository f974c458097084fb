"""Many small operations as one program, which each core calls for its part of a batch."""

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras

MOST_PARTS = 8  # measured on 2 cores

_allowed = contextvars.ContextVar("allowed", default=True)


def by_cores(function: Callable, fused: bool, batch_axis: int) -> Callable:
    """`function` as a program of its own, called for a part of the batch on each core at a time.

    A program of small operations fills one core only. On other backends than TensorFlow, which
    compile whole graphs anyway, the function is left as it is.

    Args:
        function: of trees of tensors, to a list of tensors; the batch is the same axis of all.
        fused: whether XLA compiles it, once for each shape of its arguments; if not, TensorFlow
            starts each operation by itself.
        batch_axis: which, 0 or -2.

    Returns:
        A function of the same arguments. Fewer images than parts are one call.
    """
    if keras.backend.backend() != "tensorflow" or not _allowed.get():
        return function
    import tensorflow as tf

    program, parts = _program(function, fused), _parts()
    if parts == 1:
        return program

    def batch_of(arguments) -> Any:
        return tf.shape(tf.nest.flatten(arguments)[0])[batch_axis]

    def in_parts(*arguments):
        # All parts have one size, so that one compilation serves them: zeros fill the last.
        batch = batch_of(arguments)
        fill = -batch % parts

        def cut(tensor):
            paddings = [(0, 0)] * len(tensor.shape)
            paddings[batch_axis] = (0, fill)
            return tf.split(tf.pad(tensor, paddings), parts, axis=batch_axis)

        def joined(results):
            whole = tf.concat(results, axis=batch_axis)
            return whole[:batch] if batch_axis == 0 else whole[..., :batch, :]

        cuts = [cut(tensor) for tensor in tf.nest.flatten(arguments)]
        results = [
            program(*tf.nest.pack_sequence_as(arguments, part)) for part in zip(*cuts, strict=True)
        ]
        return [joined(result) for result in zip(*results, strict=True)]

    def call(*arguments):
        return tf.cond(
            batch_of(arguments) < parts, lambda: program(*arguments), lambda: in_parts(*arguments)
        )

    return call


def _program(function, fused):
    """A `tf.function` that stays one in the graphs that call it."""
    import tensorflow as tf

    if fused:
        return tf.function(function, autograph=False, jit_compile=True)
    attributes = {"_noinline": True}
    return tf.function(function, autograph=False, experimental_attributes=attributes)


def _parts():
    """One for each core that TensorFlow computes on, up to `MOST_PARTS`; 1 where a GPU computes."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return 1
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(tf.config.threading.get_inter_op_parallelism_threads() or cores, MOST_PARTS)


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """While entered, graphs are traced without: for programs that have no XLA, as servers."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)
