"""What callers may hand to a model, and what they are told when it is wrong."""

import numpy as np
import pytest
import tensorflow as tf

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models import image
from ms_pixelcnn_tf.models.inputs import check_uniforms
from support.proofs import random_levels, random_model, random_uniforms

LABELS = {"label": np.array([0, 2])}


@pytest.fixture(scope="module")
def model():
    return random_model(num_classes=3, num_levels=4)


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 4, 4), "uint8"), r"images have shape \(2, 4, 4\); valid: \(batch, 4, 4, 1\)"),
        (np.zeros((2, 4, 8, 1), "uint8"), "images have shape"),
        (np.zeros((2, 4, 4, 1), "float32"), "images are float32"),
        (np.full((2, 4, 4, 1), np.nan), "images are float64"),
        (np.full((2, 4, 4, 1), 4), "images hold levels 4 to 4; valid: 0 to 3"),
        (np.full((2, 4, 4, 1), -1), "images hold levels -1"),
        ("cat.png", "images are <U7; valid: numbers"),
        (np.array(["cat.png"]), "images are <U7; valid: numbers"),
        ([[1], [2, 3]], "images are no array"),
    ],
)
def test_images(model, images, message):
    with pytest.raises(UserError, match=message):
        model.log_prob(images, LABELS)


@pytest.mark.parametrize(
    "uniforms, message",
    [
        (np.zeros((2, 4, 4, 3)), "uniforms have shape"),
        (np.ones((2, 4, 4, 1)), "uniforms hold values from 1.0 to 1.0"),
        (np.full((2, 4, 4, 1), np.nan), "uniforms hold values from nan"),
        (np.full((2, 4, 4, 1), -0.1), "uniforms hold values from -0.1"),
    ],
)
def test_uniforms(model, uniforms, message):
    with pytest.raises(UserError, match=message):
        model.decode(uniforms, LABELS)


@pytest.mark.parametrize(
    "conditions, message",
    [
        (None, "conditions given: none; this model needs label"),
        ({"label": [0, 1], "text": ["a", "b"]}, "conditions given: label, text"),
        ({"label": [0]}, r"label has shape \(1,\); valid: \(2,\)"),
        ({"label": [[0], [1]]}, "label has shape"),
        ({"label": [0, 3]}, "label 3 is out of range; valid: 0 to 2"),
        ({"label": [0, -1]}, "label -1 is out of range"),
        ({"label": [0.0, 1.0]}, "label is float64; valid: integers"),
        ({"label": ["cat", "dog"]}, "label is <U3; valid: numbers"),
        ({"label": np.array(["cat", "dog"])}, "label is <U3; valid: numbers"),
        ({"label": 1}, r"label has shape \(\)"),
        ({"label": [0, 1, 2]}, r"label has shape \(3,\); valid: \(2,\)"),
        ([0, 1], "conditions are a list; valid: None or a dict"),
    ],
)
def test_conditions(model, conditions, message):
    for call in (
        lambda: model.log_prob(random_levels(model, 2), conditions),
        lambda: model.sample(2, conditions),
    ):
        with pytest.raises(UserError, match=message):
            call()


@pytest.mark.parametrize("num, seed", [(-1, 0), (2.5, 0), (2, -1)])
def test_requests(model, num, seed):
    with pytest.raises(UserError, match="valid: integers (of 0 or more|from 0 to)"):
        model.sample(num, None, seed)


def test_labels_are_counted_over_all_parts_of_a_request(model, monkeypatch):
    monkeypatch.setattr(image, "SAMPLES_AT_ONCE", 2)
    labels = {"label": [0, 1, 2, 0, 1]}
    images = model.sample(5, labels, seed=3)
    monkeypatch.undo()
    np.testing.assert_array_equal(images, model.sample(5, labels, seed=3))
    with pytest.raises(UserError, match=r"label has shape \(5,\); valid: \(4,\)"):
        model.sample(4, labels)


def test_a_uniform_that_rounds_to_one_stays_below_it(model):
    highest = np.full((1, 4, 4, 1), np.nextafter(1.0, 0.0))
    below = np.full((1, 4, 4, 1), np.nextafter(np.float32(1), np.float32(0)))
    checked, _ = check_uniforms(model.config, highest, {"label": [0]})
    np.testing.assert_array_equal(checked, below)


def test_an_unconditional_model_takes_no_label():
    model = random_model()
    with pytest.raises(UserError, match="takes no conditions; got label"):
        model.sample(2, LABELS)


def test_unknown_sampler_lists_the_samplers(model):
    with pytest.raises(UserError, match="unknown sampler 'fast'; valid: cached, naive"):
        model.decode(random_uniforms(model, 2), LABELS, sampler="fast")


def test_lists_tensors_and_graphs_are_taken(model):
    images = random_levels(model, 2)
    nats = np.asarray(model.log_prob(images, LABELS))
    listed = model.log_prob(images.tolist(), {"label": [0, 2]})
    tensors = model.log_prob(tf.constant(images), {"label": tf.constant([0, 2])})
    traced = tf.function(lambda x, y: model.log_prob(x, {"label": y}))(images, LABELS["label"])
    for other in (listed, tensors, traced):
        np.testing.assert_array_equal(nats, other)
