"""The spatial encoder keeps the maps' size and places, and reads every map."""

import numpy as np
import pytest

from ms_pixelcnn_tf.encoders import SpatialEncoder
from support.models import randomise

MAPS, BLOCKS = 3, 2


@pytest.fixture(scope="module", params=["3x3_1x1", "3x3_3x3"])
def encoder(request):
    encoder = SpatialEncoder(MAPS, 5, BLOCKS, request.param, dtype="float64")
    encoder.build()
    randomise(encoder, 2, 0.4)
    return encoder


def test_shape_and_sign(encoder):
    features = np.asarray(encoder(np.random.default_rng(0).random((2, 32, 32, MAPS))))
    assert features.shape == (2, 32, 32, 5)
    assert features.min() == 0 and (features > 0).mean() > 0.1


@pytest.mark.parametrize("channel", range(MAPS))
def test_a_point_reaches_its_surroundings_and_no_further(encoder, channel):
    """Each convolution of 3x3 sees a pixel further each way."""
    maps = np.random.default_rng(1).random((1, 32, 32, MAPS))
    moved = maps.copy()
    moved[0, 10, 20, channel] += 1.0
    change = np.abs(np.asarray(encoder(moved)) - np.asarray(encoder(maps)))[0].max(axis=-1)
    reach = 1 + BLOCKS * encoder.residual_block.count("3x3")
    near = np.zeros((32, 32), bool)
    near[10 - reach : 11 + reach, 20 - reach : 21 + reach] = True
    assert change[10, 20] > 1e-6
    assert change[near].astype(bool).mean() > 0.9
    np.testing.assert_array_equal(change[~near], 0)


def test_integers_are_taken_as_numbers(encoder):
    maps = np.random.default_rng(2).integers(0, 2, (2, 32, 32, MAPS))
    np.testing.assert_array_equal(encoder(maps.astype("uint8")), encoder(maps.astype("float64")))


def test_the_configuration_makes_the_same_encoder(encoder):
    again = SpatialEncoder.from_config(encoder.get_config())
    again.build()
    assert [v.shape for v in again.variables] == [v.shape for v in encoder.variables]
    assert [v.path for v in again.variables] == [v.path for v in encoder.variables]
    assert len(again.blocks) == BLOCKS


def test_a_configuration_of_before_the_block_was_a_choice_makes_ours():
    config = SpatialEncoder(MAPS, 5, BLOCKS).get_config()
    del config["residual_block"]
    again = SpatialEncoder.from_config(config)
    again.build()
    names = {v.path.split("/")[-2] for v in again.variables}
    assert names == {"entry", "spatial", "pointwise"}
