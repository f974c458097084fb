"""Poses on a map: the same numbers everywhere, read beside where it is."""

import numpy as np
import pytest

from ms_pixelcnn_tf.encoders.poses import PoseEncoder, coordinates
from support.models import randomise

FEATURES, POSE_SIZE, SIZE = 6, 4, (3, 5)


@pytest.fixture(scope="module")
def encoder():
    encoder = PoseEncoder(FEATURES, POSE_SIZE, SIZE, dtype="float64")
    encoder.build()
    randomise(encoder, 3, 0.7)
    return encoder


def test_coordinates_run_from_edge_to_edge():
    places = coordinates(SIZE)
    assert places.shape == (3, 5, 2)
    np.testing.assert_array_equal(places[:, 0], [[-1, -1], [-1, 0], [-1, 1]])
    np.testing.assert_array_equal(places[0, :, 0], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(coordinates((1, 2)), [[[-1, 0], [1, 0]]])


def test_each_place_is_one_layer_of_pose_and_place(encoder):
    poses = np.random.default_rng(0).normal(size=(2, POSE_SIZE))
    maps = np.asarray(encoder(poses))
    kernel, bias, places = (np.asarray(weight) for weight in encoder.weights)
    for row, column in np.ndindex(SIZE):
        read = poses @ kernel + bias + coordinates(SIZE)[row, column] @ places
        np.testing.assert_allclose(maps[:, row, column], np.maximum(read, 0), rtol=1e-12)


def test_bare_numbers_are_the_same_layer_of_poses_at_all_places(encoder):
    poses = np.random.default_rng(0).normal(size=(2, POSE_SIZE))
    bare = PoseEncoder.from_config(encoder.get_config() | {"places": "none"})
    bare.build()
    kernel, bias, _ = (np.asarray(weight) for weight in encoder.weights)
    bare.set_weights([kernel, bias])
    expected = np.broadcast_to(np.maximum(poses @ kernel + bias, 0)[:, None, None], (2, *SIZE, 6))
    np.testing.assert_allclose(bare(poses), expected, rtol=1e-12)
    assert bare.get_config() == encoder.get_config() | {"places": "none"}


def test_a_place_can_be_told_from_its_distance_to_what_the_pose_says():
    """|x - a| from two features: what a command says is seen at its place, wherever that is."""
    encoder = PoseEncoder(2, 1, (1, 9), dtype="float64")
    encoder.build()
    encoder.poses.set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    encoder.places.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]])])
    for place in (-0.5, 0.0, 1.0):
        distance = np.asarray(encoder(np.array([[place]])))[0, 0].sum(-1)
        assert np.linspace(-1, 1, 9)[distance.argmin()] == place and distance.min() == 0
