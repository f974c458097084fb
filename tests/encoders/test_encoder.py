"""All conditions together: what stands where in a code, and that every weight is trained."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from keras.src.backend import standardize_dtype

from ms_pixelcnn_tf.encoders import Code
from ms_pixelcnn_tf.encoders.resize import resize
from ms_pixelcnn_tf.models.checks import check_conditions
from support.models import random_conditions, random_levels, random_model

ALL = {
    "num_classes": 3,
    "text": True,
    "num_keypoints": 2,
    "num_segments": 2,
    "label_features": 3,
    "text_features": 4,
    "text_width": 8,
    "spatial_features": 5,
    "spatial_blocks": 1,
    "joint_features": 6,
    "encoder_shared_to": 2,  # the base has an encoder of its own, and so has the scale above
}
BATCH = 5


@pytest.fixture(scope="module")
def model():
    return random_model(4, 0.4, **ALL)


@pytest.fixture(scope="module")
def conditions(model):
    return check_conditions(model.config, random_conditions(model, BATCH, seed=1), BATCH)


def test_the_joint_layers_multiply_vector_and_maps(model, conditions):
    """(1 + W maps) · (V vector + b), place by place."""
    encoder = model.encoders[0]
    code = encoder(conditions)
    assert tuple(code.vector.shape) == (BATCH, 1, 1, 6)
    assert code.maps.shape[:3] == (BATCH, 32, 32)
    vector = np.concatenate([encoder.vectors[n](conditions[n]) for n in ("label", "text")], axis=-1)
    maps = [encoder.maps[name](conditions[name]) for name in ("keypoints", "segmentation")]
    maps = np.concatenate(maps, axis=-1)
    assert (maps.shape[-1], vector.shape[-1]) == (5 + 5, 3 + 4)
    of_maps, of_vector = encoder.joint["joint_maps"], encoder.joint["joint_vector"]
    said = vector @ np.asarray(of_vector.kernel) + np.asarray(of_vector.bias)
    expected = (1 + maps @ np.asarray(of_maps.kernel)) * said[:, None, None]
    np.testing.assert_allclose(code.at((32, 32)), expected, atol=1e-5)
    assert np.ptp(expected, axis=(1, 2)).min() > 0.01
    np.testing.assert_array_equal(
        code._replace(maps=ops.zeros_like(code.maps)).at((2, 2)), np.tile(code.vector, (1, 2, 2, 1))
    )


@pytest.mark.parametrize("size", [(2, 2), (32, 32), (64, 64)])
def test_in_depth_vectors_are_tiled_behind_the_maps(conditions, size):
    model = random_model(4, 0.4, **ALL, condition_join="depth")
    encoder = model.encoders[0]
    assert not encoder.joint
    vector, maps, product = code = encoder(conditions)
    assert (vector.shape[-1], maps.shape[-1], product) == (3 + 4, 5 + 5, False)
    at = np.asarray(code.at(size))
    assert at.shape == (BATCH, *size, model.config.conditioning_features)
    np.testing.assert_array_equal(at[..., :10], resize(maps, size))
    np.testing.assert_array_equal(at[..., 10:], np.tile(vector, (1, *size, 1)))


@pytest.mark.parametrize("size", [(2, 2), (8, 4), (32, 32), (64, 64)])
def test_at_a_size_maps_are_resized_before_they_are_multiplied(model, conditions, size):
    vector, maps, product = code = model.encoders[0](conditions)
    assert product
    at = np.asarray(code.at(size))
    expected = (1 + np.asarray(resize(maps, size))) * np.asarray(vector)
    assert at.shape[-1] == model.config.conditioning_features
    np.testing.assert_allclose(at, expected, atol=1e-5)
    np.testing.assert_array_equal(Code(maps=maps).at(size), resize(maps, size))
    assert Code(vector).at(size) is vector
    assert Code().at(size) is None


def test_every_group_of_scales_has_an_encoder_of_its_own(model, conditions):
    assert [encoder.name for encoder in model.encoders] == ["encoder", "encoder_4"]
    base, above = (encoder(conditions) for encoder in model.encoders)
    assert np.abs(np.asarray(base.vector) - np.asarray(above.vector)).max() > 1e-3


def test_gradients_reach_every_variable_of_every_encoder(model):
    images, given = random_levels(model, BATCH), random_conditions(model, BATCH, seed=1)
    variables = [v for encoder in model.encoders for v in encoder.trainable_variables]
    kinds = {(v.path.split("/")[0], v.path.split("/")[1]) for v in variables}
    names = ("label", "text", "keypoints", "segmentation", "joint_maps", "joint_vector")
    assert kinds == {(encoder, name) for encoder in ("encoder", "encoder_4") for name in names}
    with tf.GradientTape() as tape:
        nats = tf.reduce_sum(model.log_prob(images, given))
    gradients = tape.gradient(nats, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        values = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(values).all(), variable.path
        assert values.any(), variable.path


def test_one_encoders_weights_touch_only_its_scales(model):
    images, given = random_levels(model, BATCH), random_conditions(model, BATCH, seed=1)
    with tf.GradientTape() as tape:
        base = tf.reduce_sum(model.log_prob_terms(images, given)["base"])
    own, other = (encoder.trainable_variables for encoder in model.encoders)
    gradients = tape.gradient(base, [v.value for v in (*own, *other)])
    reached = [g is not None and tf.convert_to_tensor(g).numpy().any() for g in gradients]
    assert all(reached[: len(own)]) and not any(reached[len(own) :])


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64)])
def test_in_bfloat16_all_parts_and_what_is_made_of_them_are(size):
    model = random_model(4, 0.4, **ALL | {"dtype": "mixed_bfloat16"})
    given = check_conditions(model.config, random_conditions(model, BATCH, seed=1), BATCH)
    code = model.encoders[0](given)
    exact = random_model(4, 0.4, **ALL).encoders[0](given)
    for part in (code.vector, code.maps, code.at(size)):
        assert standardize_dtype(part.dtype) == "bfloat16"
    found, expected = (np.asarray(ops.cast(c.at(size), "float32")) for c in (code, exact))
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
