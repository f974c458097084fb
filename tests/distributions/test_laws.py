"""The output laws: against float64 references written from their definitions, and at extremes."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    FreeCategorical,
    make_distribution,
)
from support.errors import refuses

LAWS = [
    ("softmax", 256, 3),
    ("softmax", 2, 1),
    ("softmax", 7, 4),
    ("softmax", 256, 3, "free"),
    ("softmax", 7, 2, "free"),
    ("dmol", 256, 3),
    ("dmol", 256, 1),
    ("dmol", 2, 3),
    ("dmol", 3, 2),
    ("dmol", 5, 4),
]


@pytest.fixture(params=LAWS, ids=lambda case: "-".join(map(str, case)))
def law(request):
    output, num_levels, channels, *softmax_law = request.param
    return make_distribution(output, num_levels, channels, 3, *softmax_law)


def random_params(law, count, scale=1.0, seed=0):
    return np.random.default_rng(seed).normal(size=(count, law.num_params)) * scale


def random_pixels(law, count, seed=1):
    return np.random.default_rng(seed).integers(0, law.num_levels, (count, law.channels))


# -- references, scalar and slow ------------------------------------------------------------------


def log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def log_bin_mass(level, num_levels, mean, log_scale):
    """log of the logistic CDF's difference over a bin, from the side where it does not cancel."""
    value, half = 2 * level / (num_levels - 1) - 1, 1 / (num_levels - 1)
    upper = math.inf if level == num_levels - 1 else (value + half - mean) / math.exp(log_scale)
    lower = -math.inf if level == 0 else (value - half - mean) / math.exp(log_scale)
    if lower + upper > 0:  # F(b) - F(a) = F(-a) - F(-b)
        lower, upper = -upper, -lower
    if upper == math.inf:
        return 0.0
    log_upper = log_sigmoid(upper)
    if lower == -math.inf:
        return log_upper
    return log_upper + math.log(-math.expm1(log_sigmoid(lower) - log_upper))


def log_sum(values):
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


def reference_dmol(law, params, pixel):
    """log p(x_c | x_<c) of one pixel, list of C, from the parametrisation in the docstring."""
    count, channels = law.num_mixtures, law.channels
    rows = np.asarray(params, "float64").reshape(-1, count)
    weights, means = rows[0], rows[1 : 1 + channels]
    log_scales = np.clip(rows[1 + channels : 1 + 2 * channels], -7, 7)
    pairs = [(c, j) for c in range(channels) for j in range(c)]
    coefficients = dict(zip(pairs, np.tanh(rows[1 + 2 * channels :]), strict=True))
    unit = [2 * int(level) / (law.num_levels - 1) - 1 for level in pixel]
    joints = [log_sum(weights.tolist())]
    totals = [w - joints[0] for w in weights.tolist()]
    joints = [0.0]
    for c in range(channels):
        for k in range(count):
            mean = means[c, k] + sum(
                coefficients[c, j][k] * (unit[j] - means[j, k]) for j in range(c)
            )
            totals[k] += log_bin_mass(int(pixel[c]), law.num_levels, mean, log_scales[c, k])
        joints.append(log_sum(totals))
    return np.diff(joints)


def reference_free(law, params, pixel):
    """log p(x_c) of one pixel: logits, normalised."""
    logits = np.asarray(params, "float64").reshape(law.channels, law.num_levels).tolist()
    return np.array([own[level] - log_sum(own) for own, level in zip(logits, pixel, strict=True)])


def reference_softmax(law, params, pixel):
    """log p(x_c | x_<c) of one pixel: free logits minus |v - centre| / width, normalised."""
    rows = np.asarray(params, "float64").reshape(law.channels, law.num_levels + 1 + law.channels)
    grid = np.linspace(-1, 1, law.num_levels)
    centres = rows[:, law.num_levels]
    result = []
    for c in range(law.channels):
        coefficients = np.tanh(rows[c, law.num_levels + 2 :])
        centre = centres[c] + sum(coefficients[j] * (grid[pixel[j]] - centres[j]) for j in range(c))
        width = math.exp(np.clip(rows[c, law.num_levels + 1], -7, 7))
        logits = rows[c, : law.num_levels] - np.abs(grid - centre) / width
        result.append(logits[pixel[c]] - log_sum(logits.tolist()))
    return np.array(result)


def reference(law, params, pixels):
    one = {
        DiscretizedLogisticMixture: reference_dmol,
        Categorical: reference_softmax,
        FreeCategorical: reference_free,
    }[type(law)]
    return np.array([one(law, p, x) for p, x in zip(params, pixels, strict=True)])


# -- log_prob -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-9), ("float32", 2e-4)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_log_prob_equals_the_reference(law, dtype, tolerance, scale):
    params, pixels = random_params(law, 60, scale), random_pixels(law, 60)
    pixels[0], pixels[1] = 0, law.num_levels - 1
    params = params.astype(dtype)
    found = law.log_prob(tf.constant(params), pixels)
    assert found.dtype == dtype and found.shape == pixels.shape
    np.testing.assert_allclose(
        found, reference(law, params, pixels), rtol=tolerance, atol=tolerance
    )


def test_half_precision_parameters_are_scored_in_float32(law):
    params = tf.cast(random_params(law, 4), tf.bfloat16)
    found = law.log_prob(params, random_pixels(law, 4))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(
        found, law.log_prob(tf.cast(params, tf.float32), random_pixels(law, 4))
    )


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-8), ("float32", 1e-3)])
def test_dmol_equals_the_reference_at_extreme_scales_and_means(dtype, tolerance):
    law = DiscretizedLogisticMixture(256, 1, 1)
    cases = list(
        itertools.product(
            np.linspace(-7, 7, 15),
            (-30.0, -1.5, -1.0, -0.3, 0.0, 1.0, 2.0, 30.0),
            (0, 1, 17, 127, 128, 254, 255),
        )
    )
    params = np.array([[0.0, mean, log_scale] for log_scale, mean, _ in cases], dtype)
    pixels = np.array([[level] for _, _, level in cases])
    expected = reference(law, params, pixels)
    found = law.log_prob(tf.constant(params), pixels)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dmol_gradients_are_finite_at_extreme_parameters(dtype):
    law = DiscretizedLogisticMixture(256, 3, 2)
    extremes = list(
        itertools.product(
            (-100.0, -7.001, -7.0, -3.0, 0.0, 7.0, 7.001, 100.0),
            (-1e4, -5.0, -1.0, 0.0, 1.0, 1e4),
            (-50.0, 0.0, 50.0),
        )
    )
    rows = []
    for log_scale, mean, coefficient in extremes:
        rows.append([0.0, 60.0] + [mean, -mean] * 3 + [log_scale, 0.0] * 3 + [coefficient, 1.0] * 3)
    pixels = [(0, 0, 0), (255, 255, 255), (0, 255, 0), (255, 0, 128), (1, 254, 77)]
    params = tf.constant(np.repeat(rows, len(pixels), axis=0), dtype)
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = law.log_prob(params, np.tile(pixels, (len(rows), 1)))
    gradient = tape.gradient(log_prob, params)
    assert np.isfinite(log_prob).all() and np.isfinite(gradient).all()
    assert np.max(log_prob) <= 1e-6


def test_dmol_gradient_draws_a_far_mean_back():
    """Where a bin's mass underflows there is still a slope: the mean goes to the pixel."""
    law = DiscretizedLogisticMixture(256, 1, 1)
    params = tf.constant([[0.0, 3.0, -7.0], [0.0, -3.0, -7.0]])
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = law.log_prob(params, np.array([[100], [100]]))
    slope = tape.gradient(log_prob, params)[:, 1]
    assert slope[0] < -100 and slope[1] > 100


def test_softmax_gradients_are_finite_at_extreme_parameters():
    law = Categorical(256, 3)
    for scale in (0.0, 1.0, 100.0, 1e4):
        params = tf.constant(random_params(law, 20, scale), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_prob = law.log_prob(params, random_pixels(law, 20))
        assert np.isfinite(log_prob).all() and np.isfinite(tape.gradient(log_prob, params)).all()


def conditional(law, params, pixels, channel):
    """p(every level of a channel | the channels before), float64 `[N, L]`."""
    count = len(params)
    levels = np.repeat(pixels[:, None], law.num_levels, axis=1)
    levels[:, :, channel] = np.arange(law.num_levels)
    params = tf.repeat(tf.constant(params)[:, None], law.num_levels, axis=1)
    log_prob = np.asarray(law.log_prob(params, levels), "float64")[..., channel]
    return np.exp(log_prob).reshape(count, law.num_levels)


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 2e-5)])
def test_every_conditional_sums_to_one(law, scale, dtype, tolerance):
    params = random_params(law, 8, scale).astype(dtype)
    pixels = random_pixels(law, 8)
    for channel in range(law.channels):
        total = conditional(law, params, pixels, channel).sum(axis=1)
        np.testing.assert_allclose(total, 1.0, atol=tolerance)


# -- decode ---------------------------------------------------------------------------------------


def channel_params(law, params, channel):
    """What `decode_channel` takes: the parts up to the channel, or the whole pixel's."""
    if not law.channel_autoregressive:
        return [tf.constant(params)]
    return tf.split(tf.constant(params), law.channels, axis=-1)[: channel + 1]


def test_decode_is_the_inverse_cdf(law):
    """Over a fine grid of uniforms, and at both sides of every step of the CDF."""
    count = 6
    params, pixels = random_params(law, count), random_pixels(law, count)
    for channel in range(law.channels):
        mass = conditional(law, params, pixels, channel)
        cdf = np.cumsum(mass, axis=1)
        grid = np.tile(np.linspace(0, 1, 2001)[:-1], (count, 1))
        steps = np.concatenate([cdf[:, :-1] - 1e-9, cdf[:, :-1] + 1e-9], axis=1)
        uniforms = np.clip(np.concatenate([grid, steps], axis=1), 0.0, 1.0 - 1e-12)
        distance = np.abs(uniforms[:, :, None] - cdf[:, None, :]).min(axis=-1)
        expected = (cdf[:, None, :] <= uniforms[:, :, None]).sum(axis=-1)

        repeats = uniforms.shape[1]
        spread = np.repeat(params[:, None], repeats, axis=1)
        previous = [np.repeat(pixels[:, None, c], repeats, axis=1) for c in range(channel)]
        parts = channel_params(law, spread, channel)
        levels, log_prob = law.decode_channel(parts, previous, tf.constant(uniforms))
        assert levels.dtype == tf.int32
        clear = distance > 1e-11  # elsewhere two ways of rounding may differ
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(np.asarray(levels)[clear], expected[clear])
        told = np.take_along_axis(np.log(mass), np.asarray(levels), axis=1)
        np.testing.assert_allclose(log_prob, told, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_decoded_levels_are_on_the_grid_for_the_last_uniforms(law, scale):
    params = random_params(law, 50, scale).astype("float32")
    for uniform in (0.0, float(np.nextafter(np.float32(1), np.float32(0)))):
        previous = []
        for channel in range(law.channels):
            levels, log_prob = law.decode_channel(
                channel_params(law, params, channel), previous, tf.fill([50], uniform)
            )
            assert np.min(levels) >= 0 and np.max(levels) < law.num_levels
            assert not np.isnan(log_prob).any()
            previous.append(levels)


def test_dmol_decodes_with_the_posterior_of_the_mixture():
    """Two components far apart in every channel: once R is known, G has no choice left."""
    law = DiscretizedLogisticMixture(256, 2, 2)
    params = np.array([[0.0, 0.0, -0.8, 0.8, -0.8, 0.8, -5.0, -5.0, -5.0, -5.0, 0.0, 0.0]])
    params = tf.constant(np.repeat(params, 99, axis=0))
    uniforms = tf.constant(np.linspace(0.005, 0.995, 99))
    red, _ = law.decode_channel([params], [], uniforms)
    assert (np.asarray(red) < 100).any() and (np.asarray(red) > 150).any()
    for low in (True, False):
        given = tf.fill([99], 25 if low else 230)
        green, _ = law.decode_channel([params], [given], uniforms)
        assert (np.asarray(green) < 100).all() if low else (np.asarray(green) > 150).all()


# -- parameters -----------------------------------------------------------------------------------


def test_a_prediction_moves_the_law_to_itself(law):
    """At the start the law of each channel is centred on the prediction it is given, unless it is a
    free softmax, which starts as the layers draw it."""
    if type(law) is FreeCategorical:
        assert law.prediction_rows().shape == (0, law.num_params)
        assert not law.initial_params().any()
        return
    unit = np.array([[-0.7], [0.0], [0.6]]) * np.ones(law.channels)
    params = law.initial_params() + unit @ law.prediction_rows()
    assert params.shape[-1] == law.num_params
    mass = conditional(law, params, random_pixels(law, 3) * 0, 0)
    mean = mass @ np.linspace(-1, 1, law.num_levels)
    assert (np.diff(mean) > 0.2).all()
    np.testing.assert_allclose(mean[1], 0.0, atol=0.05)


def test_unknown_output_lists_the_valid_ones():
    with refuses("output", "gauss", "softmax", "dmol"):
        make_distribution("gauss", 256, 3, 10)
