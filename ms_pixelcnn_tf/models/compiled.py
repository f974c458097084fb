"""Compiling a function of a model into one graph."""

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

    signature = [spec(name, entry) for name, entry in shapes.items()]
    # A closure of its own: TensorFlow warns of retracing when instances share a method's code.
    return tf.function(
        lambda *arguments: function(model, *arguments), input_signature=signature, autograph=False
    )


def _on_jax(function, model):
    import jax  # pyright: ignore[reportMissingImports]: an optional backend

    @jax.jit
    def stateless(values, *arguments):
        with keras.StatelessScope(zip(model.variables, values, strict=True)):
            return function(model, *arguments)

    # The variables' values are arguments: a graph would keep those that it was traced with.
    return lambda *arguments: stateless([v.value for v in model.variables], *arguments)
