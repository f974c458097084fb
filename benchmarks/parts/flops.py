"""Counts the floating-point operations of the convolutions and matrix products in a graph.

The count is of the operations that are executed, 2 per multiply-add: masked kernels in full, since
the mask multiplies the kernel and the product runs dense, and convolutions in full at the border,
where they read zeros. Biases, gates, other element-wise work, look-ups of embeddings and the output
distribution itself are not counted.
"""

TRAINING_FACTOR = 3  # forward, gradient of the features, gradient of the weights


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


def likelihood_flops(model, crop=None, halo=0):
    """Operations of a model's likelihood for one example, counted from its graph.

    Args:
        model: a model of images or videos.
        crop: side of the crops on which an image model's scales are scored; None: no crops.
        halo: pixels around a crop.
    """
    import tensorflow as tf

    from ms_pixelcnn_tf.models import checks
    from ms_pixelcnn_tf.models.image import factorisation
    from ms_pixelcnn_tf.models.video import checks as video_checks
    from ms_pixelcnn_tf.models.video import rollout

    config, is_video = model.config, model.example_field == "frames"
    shapes = (video_checks if is_video else checks).condition_shapes(config)
    given = {name: tf.TensorSpec((1, *shape), dtype) for name, (shape, dtype) in shapes.items()}
    frames = (config.num_frames,) if is_video else ()
    shape = (1, *frames, *config.image_size, config.channels)

    def score(examples, given):
        if is_video:
            return rollout.log_prob_by_frame(model, examples, given)
        offsets = tf.constant([[0.0, 0.0]]) if crop else None
        return factorisation.log_prob_terms(model, examples, given, crop, offsets, halo)

    return graph_flops(score, tf.TensorSpec(shape, tf.int32), given)


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
