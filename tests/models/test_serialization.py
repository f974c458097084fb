"""The model as a Keras citizen: its configuration and weights through Keras' own file."""

import keras
import numpy as np
import pytest

from proofs import random_conditions, random_levels, random_model


@pytest.mark.parametrize("overrides", [
    {"variant": "ON", "output": "softmax"},
    {"upscaler": "A", "output": "softmax", "num_classes": 3},
    {"upscaler": "B", "output": "dmol", "image_size": (4, 8), "base_size": (2, 4)},
])
def test_keras_file_round_trip(overrides, tmp_path):
    model = random_model(**overrides)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.config == model.config and again.name == model.name
    images, conditions = random_levels(model, 3), random_conditions(model, 3)
    np.testing.assert_array_equal(
        model.log_prob(images, conditions), again.log_prob(images, conditions)
    )
    np.testing.assert_array_equal(model.sample(3, conditions), again.sample(3, conditions))
