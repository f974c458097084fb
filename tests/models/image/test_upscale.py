"""Super-resolution: the given pixels stay, the rest is what decoding makes of the same uniforms."""

import numpy as np
import pytest

from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.models.image import model as image
from ms_pixelcnn_tf.sampling import batching
from ms_pixelcnn_tf.sampling.batching import images_at_once
from ms_pixelcnn_tf.sampling.uniforms import MAX_SEED
from support.errors import refuses
from support.models import random_conditions, random_levels, random_model, random_uniforms

BATCH = 3
SIZES = {"image_size": (8, 16), "base_size": (2, 4)}
CONDITIONS = {"text": True, "num_keypoints": 2}
MODELS = {
    "A": {"upscaler": "A", "output": "dmol"} | CONDITIONS,
    "B": {"upscaler": "B", "output": "softmax"},
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """In float64, where rounding cannot carry a value over a step of the CDF."""
    return random_model(
        1, 0.4, **SIZES, **MODELS[request.param], dtype="float64", num_levels=16, channels=2
    )


@pytest.fixture(scope="module")
def plain():
    return random_model(2, 0.4, **SIZES, num_levels=4)


@pytest.mark.slow
@pytest.mark.parametrize("start", [(2, 4), (4, 8)])
def test_given_what_decoding_made_it_makes_the_rest(model, start):
    uniforms, conditions = random_uniforms(model, BATCH), random_conditions(model, BATCH, seed=1)
    decoded = model.decode(uniforms, conditions)
    factor = 8 // start[0]
    low = decoded[:, ::factor, ::factor]
    upscaled = model.upscale(low, conditions=conditions, uniforms=uniforms)
    assert upscaled.dtype == np.uint8
    np.testing.assert_array_equal(upscaled, decoded)
    assert (model.upscale(low, conditions=conditions, uniforms=uniforms[::-1]) != decoded).any()


@pytest.mark.slow
def test_on_the_way_it_makes_the_smaller_image(model):
    uniforms, conditions = random_uniforms(model, BATCH), random_conditions(model, BATCH, seed=1)
    decoded = model.decode(uniforms, conditions)[:, ::2, ::2]
    for to in ((4, 8), [4, 8], "4x8"):
        np.testing.assert_array_equal(
            model.upscale(decoded[:, ::2, ::2], to, conditions, uniforms[:, ::2, ::2]), decoded
        )


@pytest.mark.parametrize("start, to", [((2, 4), (8, 16)), ((2, 4), (4, 8)), ((4, 8), (8, 16))])
def test_given_pixels_are_kept_whatever_they_are(model, start, to):
    """Even pixels that the model would hardly make itself; their own uniforms do not matter."""
    generator = np.random.default_rng(3)
    low = generator.integers(0, 16, (BATCH, *start, 2))
    uniforms, factor = generator.random((BATCH, *to, 2)), to[0] // start[0]
    conditions = random_conditions(model, BATCH, seed=1)
    images = model.upscale(low, to, conditions, uniforms)
    assert images.shape == (BATCH, *to, 2)
    np.testing.assert_array_equal(images[:, ::factor, ::factor], low)
    uniforms[:, ::factor, ::factor] = 0.5
    np.testing.assert_array_equal(images, model.upscale(low, to, conditions, uniforms))


def test_uniforms_that_are_drawn_come_from_the_seed(plain):
    low = random_levels(plain, BATCH)[:, ::4, ::4]
    images = plain.upscale(low, seed=5)
    np.testing.assert_array_equal(images, plain.upscale(low, seed=5))
    assert (images != plain.upscale(low, seed=6)).any()
    same = np.repeat(low[:1], BATCH, axis=0)
    assert len(np.unique(plain.upscale(same).reshape(BATCH, -1), axis=0)) == BATCH


@pytest.mark.parametrize("drawn", [True, False])
def test_parts_of_a_batch_are_as_the_whole(model, monkeypatch, drawn):
    """However many are decoded at once, each has its own pixels, condition and uniforms."""
    count = 5
    low = random_levels(model, count)[:, ::4, ::4]
    conditions = random_conditions(model, count, seed=1)
    uniforms = None if drawn else random_uniforms(model, count)
    whole = model.upscale(low, conditions=conditions, uniforms=uniforms, seed=4)
    monkeypatch.setattr(image, "SAMPLES_AT_ONCE", 2)
    parts = model.upscale(low, conditions=conditions, uniforms=uniforms, seed=4)
    np.testing.assert_array_equal(parts, whole)
    assert len(np.unique(whole.reshape(count, -1), axis=0)) == count


@pytest.mark.parametrize(
    "fields, size, least, most",
    [
        ({"image_size": 32}, 32, 256, 10**4),  # small ones by hundreds
        ({"image_size": 512}, 512, 1, 1),
        ({"image_size": 512}, 64, 64, 128),  # what counts is the size that is decoded
        ({"image_size": 512, "output": "dmol"}, 512, 2, 16),  # a smaller law
        ({"image_size": 512, "output": "dmol", "features": 1024}, 512, 1, 1),  # wide maps
        ({"image_size": 2048}, 2048, 1, 1),  # never none
        ({"image_size": 64, "variant": "ON"}, 64, 256, 10**4),  # a row at a time
    ],
)
def test_how_many_are_decoded_at_once(fields, size, least, most):
    config = ModelConfig(**{"output": "softmax"} | fields)
    law = make_distribution(config.output, config.num_levels, config.channels, config.num_mixtures)
    assert least <= images_at_once(config, law.num_params, (size, size)) <= most


def test_samples_are_bounded_by_their_pixels(monkeypatch):
    """Whatever the number at once, the same images; never more at once than the bound says."""
    model = random_model(3, 0.4, image_size=8, base_size=2, num_classes=3)
    labels = {"label": [0, 1, 2, 0, 1]}
    whole, batches, decode = model.sample(5, labels, seed=2), [], model.decode

    def counting(uniforms, conditions):
        batches.append(len(uniforms))
        return decode(uniforms, conditions)

    monkeypatch.setattr(model, "decode", counting)
    one = 16 * max(model.distribution.num_params, model.config.base_features)
    monkeypatch.setattr(batching, "NUMBERS_AT_ONCE", 2 * one)
    np.testing.assert_array_equal(model.sample(5, labels, seed=2), whole)
    assert batches == [2, 2, 1]


def zeros(*shape, dtype="uint8"):
    return np.zeros(shape, dtype)


LOW = zeros(2, 2, 4, 1)


@pytest.mark.parametrize(
    "arguments, facts",
    [
        ({"low_resolution": zeros(2, 3, 6, 1)}, ("low_resolution", "3x6", "2x4", "4x8")),
        ({"low_resolution": zeros(2, 2, 2, 1)}, ("low_resolution", 2, "2x4")),
        ({"low_resolution": zeros(2, 4)}, ("low_resolution", "(4,)", "2x4")),
        (
            {"low_resolution": zeros(2, 2, 4, 3)},
            ("low_resolution", "(2, 2, 4, 3)", "(batch, 2, 4, 1)"),
        ),
        ({"low_resolution": zeros(2, 2, 4)}, ("low_resolution", "(2, 2, 4)")),
        (
            {"low_resolution": zeros(2, 2, 4, 1, dtype="float32")},
            ("low_resolution", "float32", "integer", 3),
        ),
        ({"low_resolution": zeros(2, 2, 4, 1) + 4}, ("low_resolution", "4 to 4", "0 to 3")),
        ({"low_resolution": zeros(2, 8, 16, 1)}, ("8x16 to 8x16", "larger")),
        ({"low_resolution": zeros(2, 4, 8, 1), "to": (2, 4)}, ("4x8 to 2x4", "larger")),
        ({"to": 8}, ("to", 8, "2x4", "4x8", "8x16")),
        ({"to": (16, 32)}, ("to", "16x32", "8x16")),
        ({"to": "large"}, ("to", "large", "32x48")),
        ({"uniforms": np.zeros((2, 4, 8, 1))}, ("uniforms", "(2, 4, 8, 1)", "(batch, 8, 16, 1)")),
        ({"uniforms": np.zeros((3, 8, 16, 1))}, ("3 uniforms", "2 images")),
        ({"uniforms": np.ones((2, 8, 16, 1))}, ("uniforms", "1.0")),
        ({"conditions": {"label": [0, 1]}}, ("no conditions", "label")),
        ({"seed": -1}, ("seed", -1, MAX_SEED)),
        ({"seed": 1.5}, ("seed", 1.5, MAX_SEED)),
        ({"seed": None}, ("seed", None, MAX_SEED)),
        ({"low_resolution": [[[[0], [0]], [[0]]]]}, ("low_resolution", "array")),
        ({"low_resolution": "photo.png"}, ("low_resolution", "<U9", "numbers")),
        ({"low_resolution": 3}, ("low_resolution", "2x4")),
    ],
    ids=lambda value: "",
)
def test_what_is_wrong_is_told(plain, arguments, facts):
    with refuses(*facts):
        plain.upscale(**{"low_resolution": LOW} | arguments)


def test_a_scale_that_is_not_held_is_told():
    model = random_model(2, 0.4, **SIZES, scale="4x8")
    assert model.upscale(LOW, (4, 8)).shape == (2, 4, 8, 1)  # no base is needed
    with refuses("scale 8x16", "4x8"):
        model.upscale(LOW)
    with refuses("scale 8x16", "4x8"):
        model.upscale(zeros(2, 4, 8, 1))


def test_a_model_of_one_scale_cannot():
    model = random_model(2, 0.4, image_size=4, variant="ON")
    with refuses("4 to 4", "larger"):
        model.upscale(zeros(1, 4, 4, 1))
