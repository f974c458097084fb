"""Many small operations as one program."""

import keras


def fuse(function):
    """`function` compiled by XLA on TensorFlow, where each operation has to be sent off by itself.

    It is compiled once for each shape of its arguments. On other backends it is left as it is: JAX
    compiles whole graphs anyway.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False, jit_compile=True)
