"""Multiplicative units by their formula, masked convolutions by a kernel with zeros in it."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.layers import MaskedConvolution, MultiplicativeUnit, ResidualMultiplicativeBlock
from ms_pixelcnn_tf.layers.masks import feature_groups
from support.models import randomise

SIZE = (4, 5)
FEATURES = 5
NUM_GROUPS = [None, 1, 3]


def built(layer, seed=0):
    layer.build()
    randomise(layer, seed, 0.4)
    return layer


def random_maps(features, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *SIZE, features))


def convolved(inputs, kernel, bias):
    """A 3x3 convolution, tap by tap."""
    height, width = SIZE
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    result = np.zeros((*inputs.shape[:3], kernel.shape[-1])) + bias
    for row in range(3):
        for column in range(3):
            result += padded[:, row : row + height, column : column + width] @ kernel[row, column]
    return result


def full_kernel(convolution):
    """The 3x3 kernel of a convolution, masked or not, with the zeros of the mask written out."""
    if not isinstance(convolution, MaskedConvolution):
        return np.asarray(convolution.kernel)
    taps = np.asarray(convolution.kernel)
    inputs, outputs = np.array(convolution.input_groups), np.array(convolution.output_groups)
    kernel = np.zeros((3, 3, *taps.shape[1:]))
    kernel[0] = taps[:3]
    kernel[1, 0] = taps[3]
    for source, target in np.ndindex(taps.shape[1:]):
        earlier = inputs[source] < outputs[target]
        same = inputs[source] == outputs[target] and convolution.mask_type == "B"
        if earlier or same:
            kernel[1, 1, source, target] = taps[4, source, target]
    return kernel


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("mask_type", ["A", "B"])
def test_masked_convolution_is_a_convolution_with_zeros_in_its_kernel(mask_type):
    layer = built(MaskedConvolution([0, 1, 2, -1], [0, 0, 1, 2, 2], mask_type, dtype="float64"))
    inputs = random_maps(4)
    expected = convolved(inputs, full_kernel(layer), np.asarray(layer.bias))
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-12, atol=1e-12)
    assert (full_kernel(layer)[1, 1] == 0).sum() == {"A": 10, "B": 5}[mask_type]


@pytest.mark.parametrize("num_groups", NUM_GROUPS)
def test_unit_follows_its_formula(num_groups):
    unit = built(MultiplicativeUnit(FEATURES, num_groups, dtype="float64"))
    inputs = random_maps(FEATURES)
    maps = convolved(inputs, full_kernel(unit.convolution), np.asarray(unit.convolution.bias))
    first, second, third, update = np.split(maps, 4, axis=-1)
    expected = sigmoid(first) * np.tanh(sigmoid(second) * inputs + sigmoid(third) * np.tanh(update))
    np.testing.assert_allclose(unit(inputs), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_groups", NUM_GROUPS)
def test_block_adds_two_units_between_two_pointwise_layers(num_groups):
    block = built(ResidualMultiplicativeBlock(FEATURES, num_groups, dtype="float64"))
    inputs, conditioning = random_maps(2 * FEATURES), random_maps(FEATURES, seed=1)[:, :1, :1]

    def pointwise(layer, maps):
        kernel = np.asarray(layer.kernel)
        if num_groups is not None:
            groups = [feature_groups(width, num_groups) for width in kernel.shape]
            kernel = kernel * (groups[0][:, None] <= groups[1][None, :])
        return maps @ kernel + np.asarray(layer.bias)

    hidden = pointwise(block.narrow, inputs) + conditioning
    for unit in block.units:
        hidden = np.asarray(unit(hidden))
    expected = inputs + pointwise(block.widen, hidden)
    np.testing.assert_allclose(block(inputs, conditioning), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_groups", NUM_GROUPS)
def test_a_fresh_block_is_the_identity_and_still_learns(num_groups):
    block = ResidualMultiplicativeBlock(FEATURES, num_groups, dtype="float64")
    block.build()
    inputs = tf.constant(random_maps(2 * FEATURES))
    with tf.GradientTape() as tape:
        outputs = block(inputs)
        loss = tf.reduce_sum(outputs**2)
    np.testing.assert_array_equal(outputs, inputs)
    gradient = tape.gradient(loss, block.widen.kernel.value)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        MaskedConvolution([0, 1, -1], [0, 0, 1], "A", "he_normal"),
        MultiplicativeUnit(6),
        MultiplicativeUnit(6, 3),
        ResidualMultiplicativeBlock(6),
        ResidualMultiplicativeBlock(6, 2),
        ResidualMultiplicativeBlock(6, dilation=4),
    ],
    ids=lambda layer: f"{type(layer).__name__}-{getattr(layer, 'num_groups', '')}",
)
def test_the_configuration_makes_the_same_layer(layer):
    built(layer)
    again = built(type(layer).from_config(layer.get_config()), seed=1)
    again.set_weights(layer.get_weights())
    features = {MaskedConvolution: 3, MultiplicativeUnit: 6}.get(type(layer), 12)
    inputs = random_maps(features).astype("float32")
    np.testing.assert_array_equal(again(inputs), layer(inputs))
    assert again.get_config() == layer.get_config()
