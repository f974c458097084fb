"""What callers may hand to a model, and what they are told when it is wrong."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.models.checks import check_uniforms
from ms_pixelcnn_tf.models.image import model as image
from support.errors import refuses
from support.models import random_levels, random_model, random_uniforms

LABELS = {"label": np.array([0, 2])}


@pytest.fixture(scope="module")
def model():
    return random_model(num_classes=3, num_levels=4)


@pytest.mark.parametrize(
    "images, facts",
    [
        (np.zeros((2, 4, 4), "uint8"), ("images", "(2, 4, 4)", "(batch, 4, 4, 1)")),
        (np.zeros((2, 4, 8, 1), "uint8"), ("images", "(2, 4, 8, 1)")),
        (np.zeros((2, 4, 4, 1), "float32"), ("images", "float32", "integer")),
        (np.full((2, 4, 4, 1), np.nan), ("images", "float64", "integer")),
        (np.full((2, 4, 4, 1), 4), ("images", "4 to 4", "0 to 3")),
        (np.full((2, 4, 4, 1), -1), ("images", -1, "0 to 3")),
        ("cat.png", ("images", "<U7", "numbers")),
        (np.array(["cat.png"]), ("images", "<U7", "numbers")),
        ([[1], [2, 3]], ("images", "array")),
    ],
)
def test_images(model, images, facts):
    with refuses(*facts):
        model.log_prob(images, LABELS)


@pytest.mark.parametrize(
    "uniforms, facts",
    [
        (np.zeros((2, 4, 4, 3)), ("uniforms", "(2, 4, 4, 3)")),
        (np.ones((2, 4, 4, 1)), ("uniforms", "1.0 to 1.0")),
        (np.full((2, 4, 4, 1), np.nan), ("uniforms", "nan")),
        (np.full((2, 4, 4, 1), -0.1), ("uniforms", -0.1)),
    ],
)
def test_uniforms(model, uniforms, facts):
    with refuses(*facts):
        model.decode(uniforms, LABELS)


@pytest.mark.parametrize(
    "conditions, facts",
    [
        (None, ("conditions", "none", "label")),
        ({"label": [0, 1], "text": ["a", "b"]}, ("conditions", "label, text")),
        ({"label": [0]}, ("label", "(1,)", "(2,)")),
        ({"label": [[0], [1]]}, ("label", "(2, 1)", "(2,)")),
        ({"label": [0, 3]}, ("label", 3, "0 to 2")),
        ({"label": [0, -1]}, ("label", -1, "0 to 2")),
        ({"label": [0.0, 1.0]}, ("label", "float64", "integers")),
        ({"label": ["cat", "dog"]}, ("label", "<U3", "numbers")),
        ({"label": np.array(["cat", "dog"])}, ("label", "<U3", "numbers")),
        ({"label": 1}, ("label", "()", "(2,)")),
        ({"label": [0, 1, 2]}, ("label", "(3,)", "(2,)")),
        ([0, 1], ("conditions", "list", None, "dict")),
    ],
)
def test_conditions(model, conditions, facts):
    for call in (
        lambda: model.log_prob(random_levels(model, 2), conditions),
        lambda: model.sample(2, conditions),
    ):
        with refuses(*facts):
            call()


@pytest.mark.parametrize(
    "num, seed, facts", [(-1, 0, ("num", -1)), (2.5, 0, ("num", 2.5)), (2, -1, ("seed", -1))]
)
def test_requests(model, num, seed, facts):
    with refuses(*facts, "integers", 0):
        model.sample(num, None, seed)


def test_labels_are_counted_over_all_parts_of_a_request(model, monkeypatch):
    monkeypatch.setattr(image, "SAMPLES_AT_ONCE", 2)
    labels = {"label": [0, 1, 2, 0, 1]}
    images = model.sample(5, labels, seed=3)
    monkeypatch.undo()
    np.testing.assert_array_equal(images, model.sample(5, labels, seed=3))
    with refuses("label", "(5,)", "(4,)"):
        model.sample(4, labels)


def test_a_uniform_that_rounds_to_one_stays_below_it(model):
    highest = np.full((1, 4, 4, 1), np.nextafter(1.0, 0.0))
    below = np.full((1, 4, 4, 1), np.nextafter(np.float32(1), np.float32(0)))
    checked, _ = check_uniforms(model.config, highest, {"label": [0]})
    np.testing.assert_array_equal(checked, below)


def test_an_unconditional_model_takes_no_label():
    model = random_model()
    with refuses("no conditions", "label"):
        model.sample(2, LABELS)


def test_unknown_sampler_lists_the_samplers(model):
    with refuses("sampler", "fast", "cached", "naive"):
        model.decode(random_uniforms(model, 2), LABELS, sampler="fast")


def test_lists_tensors_and_graphs_are_taken(model):
    images = random_levels(model, 2)
    nats = np.asarray(model.log_prob(images, LABELS))
    listed = model.log_prob(images.tolist(), {"label": [0, 2]})
    tensors = model.log_prob(tf.constant(images), {"label": tf.constant([0, 2])})
    traced = tf.function(lambda x, y: model.log_prob(x, {"label": y}))(images, LABELS["label"])
    for other in (listed, tensors, traced):
        np.testing.assert_array_equal(nats, other)
