"""The count against counts by hand, and against TensorFlow's own profiler."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2 as frozen,
)

import ms_pixelcnn_tf as ms
from parts import flops
from support.errors import refuses

# 12x12 images, so that no map is a power of two and a swapped factor shows.
SMALL = {
    "image_size": 12,
    "base_size": 6,
    "base_layers": 2,
    "base_features": 10,
    "residual_blocks": 2,
    "features": 12,
    "head_features": 9,
    "decoder_layers": 2,
    "decoder_features": 11,
    "patch_size": 3,
    "num_levels": 16,
    "num_mixtures": 3,
}


def test_a_vector_is_projected_once_an_image():
    plain, labelled = (
        flops.likelihood_flops(ms.build_model(num_classes=n, label_features=4, **SMALL))
        for n in (0, 3)
    )
    # The base's 4 gates of 10 features in 2 layers, and 12 features of 2 blocks in 3 upscalers.
    assert labelled - plain == 2 * 4 * (4 * 10 * 2 + 3 * 12 * 2)


@pytest.mark.parametrize(
    "variant, upscaler, output, fields",
    [
        *(
            (variant, upscaler, output, {})
            for variant, upscaler in (("ON", "A"), ("OlogN", "A"), ("OlogN", "B"))
            for output in ("softmax", "dmol")
        ),
        ("OlogN", "A", "softmax", {"type_a_colour": "masked", "residual_block": "3x3_3x3"}),
    ],
)
def test_the_profiler_agrees(variant, upscaler, output, fields):
    fields = SMALL | fields
    model = ms.build_model(variant=variant, upscaler=upscaler, output=output, **fields)
    batch = 2
    counted = batch * flops.likelihood_flops(model)
    assert counted == pytest.approx(profiled_products(model, batch), rel=1e-3)


def profiled_products(model, batch):
    """Operations of the likelihood's convolutions and matrix products, as the profiler has them."""
    shape = (batch, *model.config.image_size, model.config.channels)
    function = tf.function(lambda images: model.log_prob(images))
    graph = frozen(function.get_concrete_function(tf.TensorSpec(shape, tf.int32))).graph
    options = (
        tf.compat.v1.profiler.ProfileOptionBuilder(
            tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        )
        .with_empty_output()
        .build()
    )
    found = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    total = 0
    while found.children:  # a list of kinds of operation, each the child of the one before
        found = found.children[0]
        if found.name in ("Conv2D", "MatMul", "BatchMatMul", "BatchMatMulV2"):
            total += found.float_ops
    return total


@pytest.mark.parametrize("variant", ["ON", "OlogN"])
def test_the_base_is_a_term_of_the_likelihood(variant):
    model = ms.build_model(variant=variant, **SMALL)
    base = flops.graph_flops(model.base, tf.TensorSpec((1, *model.sizes[0], 3), tf.int32))
    total = flops.likelihood_flops(model)
    assert base == total if variant == "ON" else 0 < base < total


def test_products_in_a_graph_by_hand():
    def function(maps, rows):
        kernel, matrix = tf.ones((3, 3, 5, 7)), tf.ones((4, 6, 2))
        return (
            tf.nn.conv2d(maps, kernel, 1, "SAME"),
            tf.matmul(rows, rows, transpose_a=True),
            tf.matmul(matrix, matrix, transpose_b=True),
        )

    shapes = tf.TensorSpec((1, 4, 6, 5)), tf.TensorSpec((8, 3))
    expected = 4 * 6 * 9 * 5 * 7 + 3 * 3 * 8 + 4 * 6 * 6 * 2
    assert flops.graph_flops(function, *shapes) == 2 * expected


def test_calls_loops_and_branches_in_a_graph_by_hand():
    """A function called twice, a layer's loop over 7 steps, and the costlier of two branches."""
    recurrent = keras.layers.GRU(4, return_sequences=True, use_cudnn=False)
    recurrent.build((None, 7, 3))

    @tf.function(autograph=False)
    def product(rows):
        return tf.matmul(rows, rows, transpose_b=True)

    def function(rows, steps):
        branch = tf.cond(
            steps[0, 0, 0] > 0, lambda: product(rows), lambda: rows @ tf.ones((3, 8)) @ tf.eye(8)
        )
        return product(rows), product(rows), recurrent(steps), branch

    shapes = tf.TensorSpec((8, 3)), tf.TensorSpec((1, 7, 3))
    square = 8 * 8 * 3
    expected = 2 * square + 7 * (3 + 4) * 12 + (square + 8 * 8 * 8)
    assert flops.graph_flops(function, *shapes) == 2 * expected


def test_a_loop_of_unknown_length_is_told():
    def function(rows, number):
        return tf.while_loop(
            lambda index, rows: index < number,
            lambda index, rows: (index + 1, rows @ rows),
            (0, rows),
        )

    with refuses("while", "how often", error=ValueError):
        flops.graph_flops(function, tf.TensorSpec((3, 3)), tf.TensorSpec((), tf.int32))
