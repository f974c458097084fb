"""The Video Pixel Network's decoder: causal, a law, and the same one however it is sampled."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.networks import MultiplicativePixelCNN
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.cached_multiplicative import CachedMultiplicativePixelCNN
from ms_pixelcnn_tf.sampling.loops import decode_naive, decode_raster
from support.cases import fast
from support.models import randomise
from support.proofs import assert_same, dependence, groups_of, in_window, past

CONDITIONING = 4


def make_network(
    output="softmax",
    channels=3,
    num_levels=8,
    num_blocks=2,
    features=7,
    conditioning_features=CONDITIONING,
    weight_scale=None,
    dtype="float64",
):
    """A small decoder, fresh, or with every variable drawn at random."""
    law = make_distribution(output, num_levels, channels, 2)
    network = MultiplicativePixelCNN(
        law, num_blocks, features, 9, conditioning_features, dtype=dtype
    )
    network.build()
    if weight_scale is not None:
        randomise(network, 1, weight_scale)
    return network


def random_inputs(network, batch, size, vector=False, seed=0):
    """A conditioning, as a map or a vector, and a prediction."""
    generator = np.random.default_rng(seed)
    conditioning, channels = None, network.distribution.channels
    if network.conditioning_features:
        places = (1, 1) if vector else size
        conditioning = generator.normal(size=(batch, *places, network.conditioning_features))
    return conditioning, generator.uniform(-1, 1, (batch, *size, channels))


# -- causality ------------------------------------------------------------------------------------

SIZE = (6, 6)
STAGES = ("fresh", "trained", "reloaded")


def seen(convolutions, own):
    """What a single stack of masked 3x3 convolutions sees: as many rows up and columns to the left
    as there are convolutions, but k rows up no more than k columns to the right."""

    def sees(up, right):
        if up == 0:
            return -convolutions <= right < 0 or own and right == 0
        return 0 < up <= convolutions and -convolutions <= right <= up

    return in_window(SIZE, sees)


def own_reach(law, groups, convolutions):
    """Sub-pixels of the frame in reach of each output: bool `[H, W, groups, H, W, C]`."""
    pixels = seen(convolutions, own=False)[:, :, None, :, :, None]
    shape = (*SIZE, groups, *SIZE, law.channels)
    here = in_window(SIZE, lambda up, right: up == right == 0)[:, :, None, :, :, None]
    earlier = np.arange(law.channels) < np.arange(groups)[:, None]
    return np.broadcast_to(pixels, shape) | here & earlier[:, None, None]


def train(network, steps=4):
    """Adam steps on random images; every variable must move."""
    optimizer = keras.optimizers.Adam(0.01)
    before = network.get_weights()
    conditioning, prediction = random_inputs(network, 4, SIZE)
    law = network.distribution
    for step in range(steps):
        levels = np.random.default_rng(step).integers(0, law.num_levels, prediction.shape)
        with tf.GradientTape() as tape:
            params = network(levels, conditioning, prediction)
            loss = -tf.reduce_mean(law.log_prob(params, levels))
        gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    for variable, old in zip(network.trainable_variables, before, strict=True):
        assert (np.asarray(variable) != old).any(), variable.path


@pytest.fixture(
    scope="module",
    params=[("softmax", 3), ("softmax", 1), ("dmol", 3)],
    ids=lambda param: f"{param[0]}{param[1]}",
)
def stages(request):
    """A decoder of one block by stage: fresh, trained, and another with the trained weights."""
    output, channels = request.param
    keras.utils.set_random_seed(3)
    networks = {
        stage: make_network(output, channels, 256, 1, 24, dtype="float32") for stage in STAGES
    }
    train(networks["trained"])
    networks["reloaded"].set_weights(networks["trained"].get_weights())
    return networks


@pytest.mark.parametrize("stage", STAGES)
def test_sees_its_reach_of_the_past_and_nothing_else(stages, stage):
    network = stages[stage]
    law = network.distribution
    groups, size = groups_of(law)
    found, found_conditioning, found_prediction = dependence(
        lambda levels, conditioning, prediction: network(
            levels, conditioning / 128 - 1, prediction / 128 - 1
        ),
        SIZE,
        groups,
        [law.channels, CONDITIONING, law.channels],
        size,
    )
    # A fresh network's blocks are the identity: what is in reach is what its entry sees.
    units = 0 if stage == "fresh" else 2
    reach = own_reach(law, groups, 1 + units)
    assert not (reach & ~past(*SIZE, law.channels, groups)).any()
    assert (past(*SIZE, law.channels, groups) & ~reach).any(), "too deep to tell the reach"
    assert_same(found, reach)

    places = seen(units, own=True)[:, :, None, :, :, None]
    assert_same(found_conditioning, np.broadcast_to(places, found_conditioning.shape))

    here = in_window(SIZE, lambda up, right: up == right == 0)[:, :, None, :, :, None]
    assert not (found_prediction & ~here).any(), "a prediction goes to its own pixel"
    found_prediction = found_prediction.any(axis=-1)
    assert_same(found_prediction, np.broadcast_to(here[..., 0], found_prediction.shape))


def test_the_proof_sees_a_leak():
    """With the entry's mask undone, the gradients show it, and the probabilities leave 1."""
    network = make_network(channels=3, num_levels=2, num_blocks=1, weight_scale=0.4)
    network.entry.mask = np.ones_like(network.entry.mask)
    assert abs(probabilities(network, (2, 2)).sum() - 1) > 1e-3
    network = make_network(num_levels=256, num_blocks=1, dtype="float32", conditioning_features=0)
    network.entry.mask = np.ones_like(network.entry.mask)
    groups, size = groups_of(network.distribution)
    found, _ = dependence(
        lambda levels, prediction: network(levels, None, prediction / 128 - 1),
        SIZE,
        groups,
        [3, 3],
        size,
    )
    assert (found & ~past(*SIZE, 3, groups)).any()


# -- the probabilities add up to 1 ----------------------------------------------------------------


def probabilities(network, size, seed=0, chunk=8192):
    """p(image) of every image there is, given one conditioning and prediction, float64."""
    law = network.distribution
    shape = (*size, law.channels)
    count = int(np.prod(shape))
    powers = law.num_levels ** np.arange(count)
    everything = np.arange(law.num_levels**count)[:, None] // powers % law.num_levels
    conditioning, prediction = random_inputs(network, 1, size, seed=seed)

    @tf.function
    def log_prob(levels):
        batch = tf.shape(levels)[0]
        given = None
        if conditioning is not None:
            given = tf.repeat(conditioning, batch, axis=0)
        params = network(levels, given, tf.repeat(prediction, batch, axis=0))
        return tf.reduce_sum(law.log_prob(params, levels), axis=(1, 2, 3))

    return np.concatenate(
        [
            np.exp(log_prob(tf.constant(everything[start : start + chunk].reshape(-1, *shape))))
            for start in range(0, len(everything), chunk)
        ]
    )


@pytest.mark.parametrize(
    "output, channels, size, num_levels",
    [
        ("softmax", 1, (4, 4), 2),
        ("dmol", 1, (4, 4), 2),
        ("softmax", 3, (2, 2), 2),
        ("dmol", 3, (2, 2), 2),
        ("softmax", 2, (1, 3), 4),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_all_images_have_probability_one(output, channels, size, num_levels):
    network = make_network(output, channels, num_levels, 1, weight_scale=0.3)
    laws = [probabilities(network, size, seed) for seed in range(2)]
    for law in laws:
        assert law.sum() == pytest.approx(1.0, abs=1e-6)
        assert law.std() > 0.1 * law.mean(), "the law should be far from uniform"
        assert law.max() < 0.3, "the law should not sit on one image"
    assert np.abs(laws[0] - laws[1]).sum() > 1e-3, "the conditioning should matter"


# -- sampling -------------------------------------------------------------------------------------

SAMPLED = {
    "gray": {"channels": 1},
    "rgb": {"channels": 3},
    "rgb-uneven-groups": {"channels": 3, "features": 5, "num_levels": 256},
    "two-channels": {"channels": 2, "num_blocks": 1},
    "dmol": {"output": "dmol", "channels": 3, "num_levels": 256},
    "plain": {"channels": 3, "conditioning_features": 0, "num_blocks": 3},
    "vector": {"channels": 2, "num_blocks": 1},
    "one-row": {"channels": 2, "num_blocks": 1},
    "one-column": {"channels": 2, "num_blocks": 1},
}
# Size, and whether the conditioning is a vector; a map of 4x5 for the others.
PLACES = {"vector": ((3, 2), True), "one-row": ((1, 4), False), "one-column": ((4, 1), False)}


def decode_cached(network, uniforms, conditioning, prediction, score=True):
    return decode_raster(
        network,
        CachedMultiplicativePixelCNN,
        uniforms,
        score,
        conditioning=conditioning,
        prediction=prediction,
    )


@pytest.fixture
def fused_from(request, monkeypatch):
    """From how many pixels on a raster is one program."""
    monkeypatch.setattr(loops, "FUSED_FROM", request.param)


def either_way(function):
    """A test of rasters that are one program, and of those that are not."""
    return pytest.mark.parametrize("fused_from", fast([1, 1000], 1), indirect=True)(function)


@pytest.mark.parametrize(
    "name, fused_from",
    [
        ("rgb", 1000),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                *((name, 1000) for name in SAMPLED if name != "rgb"),
                *((name, 1) for name in ("rgb", "plain", "vector")),
            ]
        ),
    ],
    indirect=["fused_from"],
)
def test_cached_is_naive_is_the_likelihood(name, fused_from):
    """In float64, where rounding cannot carry a value over a step of the CDF: every sub-pixel."""
    batch, size, vector = 6, *PLACES.get(name, ((4, 5), False))
    network = make_network(**SAMPLED[name], weight_scale=0.4)
    law = network.distribution
    conditioning, prediction = random_inputs(network, batch, size, vector)
    uniforms = np.random.default_rng(2).random((batch, *size, law.channels))
    signature = [tf.TensorSpec((None, *size, law.channels), tf.float64)]
    compiled = tf.function(
        lambda uniforms: decode_cached(network, uniforms, conditioning, prediction),
        input_signature=signature,
    )
    naive = tf.function(
        lambda uniforms: decode_naive(
            law, lambda levels: network(levels, conditioning, prediction), uniforms
        ),
        input_signature=signature,
    )
    levels, log_probs = compiled(uniforms)
    naive_levels, naive_log_probs = naive(uniforms)
    np.testing.assert_array_equal(levels, naive_levels)
    np.testing.assert_allclose(log_probs, naive_log_probs, rtol=1e-9, atol=1e-9)
    expected = law.log_prob(network(levels, conditioning, prediction), levels)
    np.testing.assert_allclose(log_probs, expected, rtol=1e-9, atol=1e-9)
    assert len(np.unique(np.reshape(levels, (batch, -1)), axis=0)) > 1, "the images should differ"


def test_the_steps_run_without_a_graph_and_without_scores():
    network = make_network(num_blocks=1, weight_scale=0.4)
    given = random_inputs(network, 2, (2, 2))
    uniforms = tf.constant(np.random.default_rng(2).random((2, 2, 2, 3)))
    levels, log_probs = decode_cached(network, uniforms, *given)
    again, none = tf.function(decode_cached)(network, uniforms, *given, score=False)
    np.testing.assert_array_equal(levels, again)
    assert log_probs is not None and none is None


@either_way
def test_the_proof_sees_a_wrong_cache(fused_from):
    network = make_network(weight_scale=0.4)
    given = random_inputs(network, 4, (4, 4))
    uniforms = tf.constant(np.random.default_rng(2).random((4, 4, 4, 3)))
    decode = tf.function(lambda: decode_cached(network, uniforms, *given, score=False)[0])
    levels = decode().numpy()
    last = network.blocks[-1].units[-1].convolution.kernel
    kernel = last.numpy()
    for tap in range(5):
        last.assign(kernel * (np.arange(5) != tap)[:, None, None])
        assert (decode().numpy() != levels).any(), tap
    last.assign(kernel)
    np.testing.assert_array_equal(decode(), levels)


@pytest.mark.slow
@either_way
def test_mixed_precision_decodes_what_it_scores(fused_from):
    """In bfloat16 the two differ by rounding; over many sub-pixels they tell the same nats."""
    network = make_network(num_levels=256, num_blocks=1, dtype="mixed_bfloat16")
    law, size = network.distribution, (6, 6)
    conditioning, prediction = random_inputs(network, 8, size)
    uniforms = tf.random.stateless_uniform((8, *size, 3), (0, 1))
    levels, log_probs = tf.function(decode_cached)(network, uniforms, conditioning, prediction)
    expected = law.log_prob(network(levels, conditioning, prediction), levels)
    assert np.mean(log_probs) == pytest.approx(np.mean(expected), abs=0.05)
