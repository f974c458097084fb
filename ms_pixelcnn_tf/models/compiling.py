"""Compiling a function of a model into one graph."""

import functools
from collections.abc import Callable
from typing import Any

import keras


def compile_function(function: Callable, model: keras.Model, **shapes: Any) -> Callable:
    """`function(model, …)` as one graph.

    Args:
        function: takes the model, then one tensor or dict of tensors a name of `shapes`.
        model: whose variables the graph reads; all exist already.
        **shapes: `(shape, dtype)` of each argument (or a dict of such), without the batch axis.

    Returns:
        A function of the arguments alone. On TensorFlow a `tf.function`, traced once for any batch;
        on JAX it is traced once a batch size; on other backends it runs eagerly.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _on_tensorflow(function, model, shapes)
    if backend == "jax":
        return _on_jax(function, model)
    return lambda *arguments: function(model, *arguments)


def graph_of(compiled: Callable) -> Any:
    """TensorFlow's graph of what `compile_function` made; None on other backends."""
    traced = getattr(compiled, "get_concrete_function", None)
    return None if traced is None else traced().graph


def _on_tensorflow(function, model, shapes):
    import tensorflow as tf

    def spec(name, entry):
        if isinstance(entry, dict):
            return {key: spec(key, value) for key, value in entry.items()}
        shape, dtype = entry
        return tf.TensorSpec((None, *shape), dtype, name)

    function = never_empty(functools.partial(function, model))
    signature = [spec(name, entry) for name, entry in shapes.items()]
    # A closure of its own: TensorFlow warns of retracing when instances share a method's code.
    return tf.function(
        lambda *arguments: function(*arguments), input_signature=signature, autograph=False
    )


def never_empty(function: Callable) -> Callable:
    """A TensorFlow function of tensors `[B, …]`, made right for B = 0.

    TensorFlow's fused convolutions give an empty batch a wrong shape, and what reads it fails. So
    an empty batch becomes one of zeros, of which nothing is returned.

    Args:
        function: takes and returns tensors, or nested structures of them, the batch first.
    """
    import tensorflow as tf

    def filled(values, added):
        paddings = [[0, added]] + [[0, 0]] * (len(values.shape) - 1)
        return tf.ensure_shape(tf.pad(values, paddings), (None, *values.shape[1:]))

    def of_any_batch(*arguments):
        count = tf.shape(tf.nest.flatten(arguments)[0])[0]
        added = tf.cast(count == 0, tf.int32)
        arguments = tf.nest.map_structure(lambda values: filled(values, added), arguments)
        return tf.nest.map_structure(lambda values: values[:count], function(*arguments))

    return of_any_batch


def _on_jax(function, model):
    import jax  # pyright: ignore[reportMissingImports]: an optional backend

    @jax.jit
    def stateless(values, *arguments):
        with keras.StatelessScope(zip(model.variables, values, strict=True)):
            return function(model, *arguments)

    # The variables' values are arguments: a graph would keep those that it was traced with.
    return lambda *arguments: stateless([v.value for v in model.variables], *arguments)
