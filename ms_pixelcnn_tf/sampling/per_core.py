"""Runs a function of many small operations on all cores, each with its part of the batch."""

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras

MOST_PARTS = 8  # measured on 2 cores

_allowed = contextvars.ContextVar("allowed", default=True)


def by_cores(function: Callable, fused: bool, batch_axis: int) -> Callable:
    """Makes `function` a program of its own, which each core runs on its part of the batch.

    One program of small operations keeps only one core busy. Other backends than TensorFlow compile
    whole graphs anyway: there, as inside `unfused`, the function is returned unchanged.

    Args:
        function: maps trees of tensors to a list of tensors; all have the batch on the same axis.
        fused: whether XLA compiles it, once for each shape of its arguments; if not, TensorFlow
            starts each operation separately.
        batch_axis: axis of the batch, 0 or -2.

    Returns:
        A function of the same arguments. It does not split a batch of fewer images than parts.
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
        # All parts have the same size, so one compilation serves them; zeros fill the last one.
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
    """A `tf.function` that stays a function of its own in the graphs that call it."""
    import tensorflow as tf

    if fused:
        return tf.function(function, autograph=False, jit_compile=True)
    attributes = {"_noinline": True}
    return tf.function(function, autograph=False, experimental_attributes=attributes)


def _parts():
    """Parts of a batch: one per core that TensorFlow uses, up to `MOST_PARTS`; 1 with a GPU."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return 1
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(tf.config.threading.get_inter_op_parallelism_threads() or cores, MOST_PARTS)


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """Turns off `by_cores` in its context, for graphs that have to run without XLA."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)
