"""Causality by input gradients: exact zeros for the future, non-zeros for all that is in reach.

The reach of every output is worked out here a second time, by walking the layers' geometry with
sets of inputs in place of numbers. The gradients must be non-zero exactly on that set, at every
position and in every channel: fresh, after training steps, and with the weights reloaded.
"""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.models.image import factorisation
from ms_pixelcnn_tf.networks import GatedPixelCNN, MaskedUpscalerA
from ms_pixelcnn_tf.runs.checkpoint import Checkpoints, State, claim
from ms_pixelcnn_tf.runs.run import Run
from support.models import PAPER_PIXELS, make_model, random_levels
from support.proofs import assert_same, dependence, groups_of, past
from support.runs import tiny_run

SIZE = (6, 6)  # of the base and of every group map; patches are 3x3
PATCH = 3
BLOCKS, DECODER_LAYERS = 2, 2
STAGES = ("fresh", "trained", "reloaded")
MASKED = {"type_a_colour": "masked", "features": 48}  # 16 a channel, for a ReLU to be open
TWO = {"residual_block": "3x3_3x3"}
CASES = [
    ("A", "softmax", {}),
    ("A", "dmol", {}),
    ("B", "softmax", {}),
    ("B", "dmol", {}),
    ("A", "softmax", MASKED),
    *(
        pytest.param(case, marks=pytest.mark.slow)
        for case in (
            ("A", "softmax", MASKED | TWO),
            ("B", "dmol", TWO),
            ("A", "softmax", PAPER_PIXELS),
            ("A", "dmol", PAPER_PIXELS),
            ("B", "softmax", PAPER_PIXELS),
            ("B", "dmol", PAPER_PIXELS),
            ("A", "softmax", MASKED | TWO | PAPER_PIXELS),
        )
    ),
]


def window(maps, rows, columns):
    """Union over a window: out[r, c] = OR of maps[r + dr, c + dc], nothing outside the map."""
    result = np.zeros_like(maps)
    height, width = maps.shape[:2]
    for row, column in itertools.product(range(height), range(width)):
        for dr, dc in itertools.product(rows, columns):
            if 0 <= row + dr < height and 0 <= column + dc < width:
                result[row, column] |= maps[row + dr, column + dc]
    return result


def identity(height, width, channels):
    """Each sub-pixel's set holds itself: bool `[H, W, C, H, W, C]`."""
    count = height * width * channels
    return np.eye(count, dtype=bool).reshape((height, width, channels) * 2)


def pixelcnn_reach(height, width, channels, groups, layers, first_kernel, predicts, kernel=3):
    """Sub-pixels in reach of each output: bool `[H, W, groups, H, W, C]`."""
    own = identity(height, width, channels)
    pixel = own.any(axis=2)  # a whole pixel, [H, W, H, W, C]
    side, later = first_kernel // 2, kernel // 2
    across = range(-side, side + 1)
    vertical = window(pixel, range(-side, 0), across)
    left = window(pixel, [0], range(-side, 0))
    horizontal = []
    for group in range(groups):
        earlier = own[:, :, :group].any(axis=2)
        horizontal.append(vertical | left | earlier)
    for _ in range(layers - 1):
        vertical = window(vertical, range(-later, 1), range(-later, later + 1))
        left = window(np.any(horizontal, axis=0), [0], range(-later, 0))
        horizontal = [
            vertical | left | np.any(horizontal[: group + 1], axis=0) for group in range(groups)
        ]
    reach = np.stack(horizontal, axis=2)
    if predicts:
        reach |= (window(pixel, [0], [-1]) | window(pixel, [-1], [0]))[:, :, None]
    return reach


def pixelcnn_conditioning_reach(height, width, layers, kernel=3):
    """Positions of the conditioning in reach of each position: bool `[H, W, H, W]`."""
    own = identity(height, width, 1)[:, :, 0, ..., 0]
    vertical = horizontal = own
    side = kernel // 2
    for _ in range(layers - 1):
        linked = window(vertical, range(-side, 1), range(-side, side + 1))
        horizontal = own | linked | window(horizontal, [0], range(-side, 1))
        vertical = own | linked
    return horizontal


def in_patches(patch_reach):
    """The reach within one patch, repeated along the diagonal of patches of a map of `SIZE`."""
    _, _, groups, _, _, channels = patch_reach.shape
    result = np.zeros((*SIZE, groups, *SIZE, channels), bool)
    for row, column in itertools.product(range(0, SIZE[0], PATCH), range(0, SIZE[1], PATCH)):
        here = np.s_[row : row + PATCH, column : column + PATCH]
        result[(*here, slice(None), *here)] = patch_reach
    return result


def train(model, steps=4):
    """Adam steps on random images; every variable must move. Returns the optimizer."""
    optimizer = keras.optimizers.Adam(0.003)
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in model.trainable_variables]
    for step in range(steps):
        images = tf.constant(random_levels(model, 4, seed=step), tf.int32)
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(
                sum(factorisation.log_prob_terms(model, images, {}).values())
            )  # run eagerly: no trace
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    unseen = {network.layers[0].current_kernel.path for network in blind_to_the_pixel(model)}
    for variable, old in zip(model.trainable_variables, before, strict=True):
        moved = (keras.ops.convert_to_numpy(variable) != old).any()
        assert moved == (variable.path not in unseen), variable.path
    return optimizer


def blind_to_the_pixel(model):
    """The PixelCNNs whose first layers see nothing of the pixel itself: its values are masked, and
    there is no constant beside them."""
    decoders = [upscaler.decoder for upscaler in model.upscalers if hasattr(upscaler, "decoder")]
    return [n for n in (model.base, *decoders) if not n.layers[0].current_mask.any()]


@pytest.fixture(
    scope="module",
    params=CASES,
    ids=lambda case: "-".join([*case[:2], *map(str, case[2].values())]),
)
def stages(request, tmp_path_factory):
    """A model with its stages: a function from the stage's name to the model in that state."""
    upscaler, output, fields = request.param
    config = {
        "image_size": tuple(2 * side for side in SIZE),
        "base_size": SIZE,
        "channels": 3,
        "num_levels": 256,
        "upscaler": upscaler,
        "output": output,
        "patch_size": PATCH,
        "base_layers": 3,
        "first_kernel": 7,
        "base_features": 24,
        "residual_blocks": BLOCKS,
        "features": 16,
        "head_features": 48,
        "decoder_layers": DECODER_LAYERS,
        "decoder_features": 24,
    } | fields
    keras.utils.set_random_seed(3)
    fresh, trained = make_model(**config), make_model(**config)
    optimizer = train(trained)
    workdir = tmp_path_factory.mktemp("run")
    claim(workdir, dataclasses.replace(tiny_run(), model=trained.config))
    Checkpoints(workdir, trained, trained, optimizer).save(State(step=4))
    reloaded = Run(workdir).model()
    for ours, theirs in zip(reloaded.variables, trained.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return dict(zip(STAGES, (fresh, trained, reloaded), strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_pixelcnn_sees_all_of_the_past_and_nothing_else(stages, stage):
    model = stages[stage]
    law = model.distribution
    groups, size = groups_of(law)
    predicts = model.base.neighbours is not None
    reach = pixelcnn_reach(*SIZE, law.channels, groups, 3, 7, predicts)
    assert_same(reach, past(*SIZE, law.channels, groups))  # a map this small is seen whole
    (found,) = dependence(model.base, SIZE, groups, [law.channels], size)
    assert_same(found, reach)


@pytest.mark.parametrize("group", [2, 3, 4])
@pytest.mark.parametrize("stage", STAGES)
def test_upscaler_sees_its_context_and_the_past_of_its_patch(stages, stage, group):
    model = stages[stage]
    law = model.distribution
    groups, size = groups_of(law)
    upscaler = model.upscalers[group - 2]
    given = law.channels * (group - 1)
    found_context, found_own = dependence(
        lambda context, levels: upscaler(upscaler.trunk(context), levels),
        SIZE,
        groups,
        [given, law.channels],
        size,
    )

    # A fresh trunk's blocks of ours are the identity: what is in reach is what its entry spans.
    two = model.config.residual_block == "3x3_3x3"
    radius = 1 + 2 * BLOCKS if two else 1 if stage == "fresh" else 1 + BLOCKS
    spans = range(-radius, radius + 1)
    positions = identity(*SIZE, 1)[..., 0]
    if model.config.upscaler == "A":
        own = np.zeros((*SIZE, groups, *SIZE, law.channels), bool)
        for channel in range(groups):
            own[:, :, channel] = identity(*SIZE, law.channels)[:, :, :channel].any(axis=2)
            if model.config.type_a_colour == "masked":  # also those of the pixels around it
                own[:, :, channel] = window(own[:, :, channel], spans, spans)
    else:
        arguments = {"layers": DECODER_LAYERS, "first_kernel": 2 * PATCH - 1, "predicts": False}
        patch = pixelcnn_reach(PATCH, PATCH, law.channels, groups, **arguments)
        assert_same(patch, past(PATCH, PATCH, law.channels, groups))
        own = in_patches(patch)
        conditioning = pixelcnn_conditioning_reach(PATCH, PATCH, DECODER_LAYERS)
        positions = in_patches(conditioning[:, :, None, ..., None])[..., 0]
    context = positions.transpose(3, 4, 0, 1, 2)  # the trunk widens each position it is asked for
    context = window(context, spans, spans).transpose(2, 3, 4, 0, 1)[..., None]
    assert_same(found_context, np.broadcast_to(context, found_context.shape) & True)
    assert_same(found_own, own)


@pytest.mark.parametrize(
    "prediction_path, pixel_inputs", [("linear", "features"), ("none", "values")]
)
@pytest.mark.parametrize("output", ["softmax", "dmol"])
@pytest.mark.parametrize(
    "layers, first_kernel, kernel, channels",
    [(1, 3, 3, 2), (2, 3, 3, 3), (2, 5, 3, 4), (2, 3, 5, 3), (2, 3, 7, 2)],
)
def test_shallow_pixelcnn_reaches_as_far_as_its_kernels(
    output, layers, first_kernel, kernel, channels, prediction_path, pixel_inputs
):
    keras.utils.set_random_seed(6)
    law = make_distribution(output, 256, channels, 3)
    network = GatedPixelCNN(
        law,
        layers,
        16,
        72,  # wide enough that some relu is open
        first_kernel,
        prediction_path=prediction_path,
        pixel_inputs=pixel_inputs,
        gated_kernel=kernel,
    )
    network.build()
    groups, size = groups_of(law)
    predicts = prediction_path == "linear"
    reach = pixelcnn_reach(*SIZE, channels, groups, layers, first_kernel, predicts, kernel)
    assert (past(*SIZE, channels, groups) & ~reach).any(), "too deep to tell the reach"
    (found,) = dependence(network, SIZE, groups, [channels], size)
    assert_same(found, reach)


@pytest.mark.parametrize("kernel", [3, 5])
def test_conditioning_is_seen_where_the_decoders_kernels_reach(kernel):
    """A map of conditioning reaches the same places through the vertical and horizontal stacks."""
    law = make_distribution("dmol", 256, 1, 3)
    arguments = {"conditioning_features": 4, "predicted": True, "gated_kernel": kernel}
    network = GatedPixelCNN(law, 2, 16, 24, 3, **arguments)
    network.build()
    (found,) = dependence(
        lambda maps: network(tf.zeros_like(maps[..., :1]), maps / 128 - 1, maps[..., :1] * 0),
        SIZE,
        1,
        [4],
        law.num_params,
    )
    reach = pixelcnn_conditioning_reach(*SIZE, 2, kernel)[:, :, None, ..., None]
    assert_same(found, np.broadcast_to(reach, found.shape) & True)


def test_the_proof_sees_a_leak():
    """With the first layer's mask undone, the gradients show it."""
    law = make_distribution("softmax", 256, 3, 3)
    network = GatedPixelCNN(law, 2, 12, 24, 5)
    network.build()
    network.layers[0].current_mask = np.ones_like(network.layers[0].current_mask)
    groups, size = groups_of(law)
    (found,) = dependence(network, SIZE, groups, [3], size)
    assert (found & ~past(*SIZE, 3, groups)).any()


def test_the_proof_sees_a_leak_between_the_channels_of_neighbours():
    """A block without its mask shows a channel to itself, at the pixels around it."""
    law = make_distribution("softmax", 256, 3, 3)
    network = MaskedUpscalerA(law, 2, 1, 12, 24, residual_block="3x3_3x3")
    network.build()
    second = network.blocks[0].second
    second.mask = np.ones_like(second.mask)
    groups, size = groups_of(law)
    _, found = dependence(
        lambda context, levels: network(network.trunk(context), levels), SIZE, groups, [3, 3], size
    )
    assert found[2, 2, 0, 2, 3, 0]
