"""Counts the floating-point operations of a model's likelihood from its kernels.

    bin/benchmark flops --preset=small

These networks apply every kernel, convolution or dense, once at each position of a map. So one
element of a kernel is one multiply-add per position: 2 operations. The count is of the operations
that are executed: masked kernels in full, since the mask multiplies the kernel and the product runs
dense, and convolutions in full at the border, where they read zeros. Biases, gates, other
element-wise work, look-ups of embeddings and the output distribution itself are not counted.

The one exception is the projection of a conditioning vector, which runs once per image.

`graph_flops` counts the same operations from a traced graph. It serves every model, and the two
counts check each other.
"""

import math

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run

TRAINING_FACTOR = 3  # forward, gradient of the features, gradient of the weights


def forward_flops(model):
    """Operations of `log_prob_terms` for one image.

    Args:
        model: a `models.MultiscalePixelCNN`.

    Returns:
        dict name → int, with the keys of `model.term_dims`.
    """
    base, *names = model.term_dims
    flops = {base: layer_flops(model.base, model.sizes[0], model.base.conditioning_projection)}
    for index, (name, upscaler) in enumerate(zip(names, model.upscalers, strict=True)):
        size = model.sizes[index // 3]  # groups live on the lower scale's grid
        owner = upscaler if hasattr(upscaler, "conditioning_projection") else upscaler.trunk
        flops[name] = layer_flops(upscaler, size, owner.conditioning_projection)
    return flops


def training_flops(model):
    """Operations of one training step for one image: 3 × forward, the usual convention."""
    return TRAINING_FACTOR * sum(forward_flops(model).values())


def layer_flops(layer, size, once_an_image=None):
    """Operations of a layer's kernels on a map.

    Args:
        layer: a built Keras layer; the layers inside it count too.
        size: `(height, width)` of its map.
        once_an_image: a layer inside it that is applied to a vector instead of a map, or None.

    Returns:
        int, for one example.
    """
    vector = kernel_elements(once_an_image) if once_an_image is not None else 0
    return 2 * (math.prod(size) * (kernel_elements(layer) - vector) + vector)


def kernel_elements(layer):
    """Number of elements in the kernels of a layer and of the layers inside it."""
    return sum(math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1)


def graph_flops(function, *signature):
    """Operations of the convolutions and matrix products in the graph of a function.

    Args:
        function: a function of tensors.
        *signature: `tf.TensorSpec`s (or dicts of them) of fixed shapes, batch 1.

    Returns:
        int: 2 per multiply-add. Of two branches, the costlier one counts.

    Raises:
        ValueError: for a loop with products if the graph does not hold its number of iterations,
            and for a choice among several branches.
    """
    import tensorflow as tf

    graph = tf.function(function, autograph=False).get_concrete_function(*signature).graph
    return 2 * _products_in(graph)


def _products_in(graph):
    """Multiply-adds of the operations that the graph's outputs need."""
    needed, left = set(), [output.op for output in graph.outputs]
    while left:
        op = left.pop()
        if op not in needed:
            needed.add(op)
            left += [*(value.op for value in op.inputs), *op.control_inputs]
    return sum(map(_multiply_adds, needed))


def _products_within(op, attribute):
    """Multiply-adds of a function that an operation calls."""
    return _products_in(op.graph._get_function(op.get_attr(attribute).name).graph)


def _turns(loop):
    """The largest number of iterations of a loop: one of its inputs, which is -1 if not given."""
    import tensorflow as tf

    told = loop.inputs[1]
    if told.op.type == "Max":  # of one number, in Keras' recurrent layers
        told = told.op.inputs[0]
    turns = tf.get_static_value(told)
    if turns is None or turns < 0:
        raise ValueError(
            f"{loop.name} does not tell how often it runs; give a function without such a loop"
        )
    return int(turns)


def _multiply_adds(op):
    """Multiply-adds of one operation of a graph, or of the functions that it calls; else 0."""
    if op.type in ("PartitionedCall", "StatefulPartitionedCall"):
        return _products_within(op, "f")
    if op.type in ("While", "StatelessWhile"):
        each = _products_within(op, "body")
        return each and each * _turns(op)
    if op.type in ("If", "StatelessIf"):
        return max(_products_within(op, branch) for branch in ("then_branch", "else_branch"))
    if op.type in ("Case", "StatelessCase"):
        raise ValueError(f"{op.name} is a choice among several branches, which is not counted")
    if op.type in ("Conv2D", "Conv1D"):
        kernel = op.inputs[1].shape
        return op.outputs[0].shape.num_elements() * kernel[:-1].num_elements()
    if op.type == "MatMul":
        left = op.inputs[0].shape
        return op.outputs[0].shape.num_elements() * left[0 if op.get_attr("transpose_a") else 1]
    if op.type.startswith("BatchMatMul"):
        left = op.inputs[0].shape
        return op.outputs[0].shape.num_elements() * left[-2 if op.get_attr("adj_x") else -1]
    return 0


def main(arguments):
    """Prints the count of each term; flags give the configuration, as in `bin/train`."""
    parser = flags.Parser("benchmark flops", __doc__)
    parser.add_argument("--preset", default="tiny", help="recipe (default tiny)")
    flags.add_config_flags(parser)
    fields = vars(parser.parse(arguments))
    with flags.quiet_start():
        from ms_pixelcnn_tf.models import MultiscalePixelCNN
    model = MultiscalePixelCNN(make_run(**fields).model)
    flops = forward_flops(model)
    for name, count in flops.items():
        print(f"{name:>16} {count / 1e6:12.1f} MFLOP an image")
    print(f"{'forward':>16} {sum(flops.values()) / 1e6:12.1f} MFLOP an image")
    print(f"{'training step':>16} {training_flops(model) / 1e6:12.1f} MFLOP an image")


if __name__ == "__main__":
    flags.run(main)
