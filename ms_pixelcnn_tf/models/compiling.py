"""Compiles a function of a model into one graph."""

import functools
from collections.abc import Callable
from typing import Any

import keras


def compile_function(function: Callable, model: keras.Model, **shapes: Any) -> Callable:
    """Compiles `function(model, …)` into one graph.

    Args:
        function: takes the model, then one tensor or dict of tensors per name in `shapes`.
        model: the model whose variables the graph reads; all of them exist already.
        **shapes: `(shape, dtype)` of each argument, or a dict of such pairs, without the batch
            axis.

    Returns:
        A function of the arguments without the model. On TensorFlow it is a `tf.function`, traced
        once for all batch sizes. On JAX it is traced once per batch size. On other backends it runs
        eagerly.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _on_tensorflow(function, model, shapes)
    if backend == "jax":
        return _on_jax(function, model)
    return lambda *arguments: function(model, *arguments)


def graph_of(compiled: Callable) -> Any:
    """TensorFlow's graph of a function from `compile_function`; None on other backends."""
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
    # A new closure, because TensorFlow warns of retracing when instances share a method's code.
    return tf.function(
        lambda *arguments: function(*arguments), input_signature=signature, autograph=False
    )


def never_empty(function: Callable) -> Callable:
    """Makes a TensorFlow function of tensors `[B, …]` also work for B = 0.

    TensorFlow's fused convolutions return a wrong shape for an empty batch, and later operations
    then fail. So an empty batch is padded with one example of zeros, whose result is dropped.

    Args:
        function: takes and returns tensors, or nested structures of them, with the batch axis
            first.
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

    # The variables' values are arguments: else the graph would keep the values at tracing.
    return lambda *arguments: stateless([v.value for v in model.variables], *arguments)
