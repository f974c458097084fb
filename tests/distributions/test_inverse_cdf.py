"""The inverse CDF on uniforms that nobody would draw: ends, and the CDF's own values to the bit.

The reference is the same law in extended precision. A level is right if the uniform lies in its
part of the CDF, up to the rounding of a sum; and its mass must be no less than the exact level's,
or than a small part of what rounding the uniform itself moves.
"""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf.distributions import make_distribution

LEVELS = (2, 3, 16, 32, 100, 255, 256)
LAWS = 300
SCALES = (0.3, 3.0, 20.0, 60.0)  # of the parameters: from flat laws to peaked ones


def random_params(law, seed, dtype):
    """`[LAWS, num_params]`, from flat to peaked."""
    generator = np.random.default_rng(seed)
    scales = np.resize(SCALES, LAWS)[:, None]
    params = generator.normal(size=(LAWS, law.num_params)) * scales
    if law.channel_autoregressive:
        params[:, law.num_levels] = generator.uniform(-1, 1, LAWS)  # the tent's centre
        params[:, law.num_levels + 1] = generator.uniform(-6, 7, LAWS)  # its log-width
    else:
        count = law.num_mixtures
        params[:, count : 2 * count] = generator.uniform(-1.2, 1.2, (LAWS, count))  # means
        params[:, 2 * count : 3 * count] = generator.uniform(-7, 7, (LAWS, count))  # log-scales
    return params.astype(dtype)


def masses(law, params):
    """`[LAWS, L]` probabilities in extended precision, of the law in float64."""
    wide = ops.convert_to_tensor(params.astype("float64"))[:, None]
    levels = np.tile(np.arange(law.num_levels)[None, :, None], (len(params), 1, 1))
    wide = ops.repeat(wide, law.num_levels, axis=1)
    masses = np.exp(np.asarray(law.log_prob(wide, levels))[..., 0].astype(np.longdouble))
    return masses / masses.sum(axis=1, keepdims=True)


def adversarial(cdf, dtype):
    """`[LAWS, ·]` uniforms: 0 and 1 with neighbours, and the CDF's values with neighbours."""
    one, zero = np.ones((), dtype), np.zeros((), dtype)
    last = np.nextafter(one, zero)
    ends = [zero, np.nextafter(zero, one), np.finfo(dtype).eps, last, np.nextafter(last, zero)]
    values = cdf.astype(dtype)
    near = [values, np.nextafter(values, zero), np.nextafter(values, one)]
    drawn = np.random.default_rng(3).random((len(cdf), 20)).astype(dtype)
    ends = np.tile(np.array(ends, dtype), (len(cdf), 1))
    return np.clip(np.concatenate([ends, *near, drawn], axis=1), zero, last)


def decode(law, params, uniforms):
    """`[LAWS, ·]` levels and their log p, as the samplers have them: whole maps, few at a time."""
    decoded = []
    for rows in np.array_split(np.arange(len(params)), 20):
        whole = np.repeat(params[rows, None], uniforms.shape[1], axis=1)
        decoded.append(law.decode_channel([ops.convert_to_tensor(whole)], [], uniforms[rows]))
    return [np.concatenate(parts) for parts in zip(*decoded, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_levels", LEVELS)
@pytest.mark.parametrize("output", ["softmax", "dmol"])
def test_no_uniform_finds_a_level_without_mass(output, num_levels, dtype):
    law = make_distribution(output, num_levels, 1, 5)
    params = random_params(law, num_levels, dtype)
    probabilities = masses(law, params)
    cdf = np.cumsum(probabilities, axis=1)
    uniforms = adversarial(cdf, dtype)
    found, log_prob = decode(law, params, uniforms)
    exact = np.stack(
        [np.searchsorted(c, u, side="right") for c, u in zip(cdf, uniforms, strict=True)]
    )
    exact = np.minimum(exact, num_levels - 1)
    eps = np.finfo(dtype).eps
    rounding = 64 * eps  # of the logits, up to 200, and of the sums
    below = np.take_along_axis(np.pad(cdf, ((0, 0), (1, 0))), found, axis=1)
    above = np.take_along_axis(cdf, found, axis=1)
    assert (below <= uniforms + rounding).all() and (uniforms <= above + rounding).all()
    mass, expected = (np.take_along_axis(probabilities, at, axis=1) for at in (found, exact))
    # The numbers next to u are eps · u away; within that, a level of a block's sum may be found.
    least = np.minimum(0.99 * expected, eps * uniforms / 4096)
    assert (mass >= least).all(), float(np.log(mass[mass < least]).min())
    assert (mass > 0).all() and np.isfinite(log_prob).all()
    np.testing.assert_allclose(log_prob, np.log(mass), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_last_uniform_finds_what_ends_the_law(compiled):
    """Levels after the last have no weight; u = 1 - 2⁻²⁴ fell among them in a quarter of laws."""
    law = make_distribution("softmax", 256, 1, 1)
    generator = np.random.default_rng(0)
    params = generator.normal(size=(2000, law.num_params)).astype("float32")
    params[:, law.num_levels + 1] = 7  # a flat tent
    last = generator.integers(8, 250, 2000)
    params[:, :256][np.arange(256) > last[:, None]] = -60
    uniforms = np.full(2000, 1 - 2.0**-24, "float32")
    decode = tf.function(law.decode_channel, jit_compile=compiled)
    levels, log_prob = decode([tf.constant(params)], [], tf.constant(uniforms))
    assert (np.asarray(levels) <= last).all()
    assert np.asarray(log_prob).min() > -20
