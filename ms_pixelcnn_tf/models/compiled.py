"""Compiling a method into one graph, on the backends that need it."""

import keras


def compile_function(function, **shapes):
    """`function` as one graph with a dynamic batch: traced once, whatever the batch sizes.

    Args:
        function: takes one tensor or dict of tensors a name of `shapes`.
        **shapes: `(shape, dtype)` of each argument (or a dict of such), without the batch axis.

    Returns:
        On TensorFlow a `tf.function`; on other backends `function` itself, run eagerly.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    def spec(entry):
        if isinstance(entry, dict):
            return {name: spec(value) for name, value in entry.items()}
        shape, dtype = entry
        return tf.TensorSpec((None, *shape), dtype)

    signature = [spec(entry) for entry in shapes.values()]
    # A closure of its own: TensorFlow warns of retracing when instances share a method's code.
    return tf.function(
        lambda *arguments: function(*arguments), input_signature=signature, autograph=False
    )
