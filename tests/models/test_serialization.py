"""The model as a Keras citizen: its configuration and weights through Keras' own file."""

import keras
import numpy as np
import pytest

from support.cases import fast
from support.models import random_conditions, random_levels, random_model


@pytest.mark.parametrize(
    "overrides",
    fast(
        [
            {"variant": "ON", "output": "softmax"},
            {"upscaler": "A", "output": "softmax", "num_classes": 3},
            {"upscaler": "B", "output": "dmol", "image_size": (4, 8), "base_size": (2, 4)},
            {"upscaler": "A", "output": "dmol", "text": True},
            {"upscaler": "B", "output": "softmax", "text": True, "num_keypoints": 2},
            {"upscaler": "A", "output": "softmax", "num_segments": 3, "encoder_shared_to": 0},
            {"upscaler": "A", "output": "dmol", "text": True, "scale": "base;4"},
            {
                "upscaler": "B",
                "text": True,
                "num_segments": 3,
                "image_size": 8,
                "condition_join": "depth",
                "text_average": "all",
                "encoder_sharing": "text",
                "gated_kernel": 5,
            },
            {"output": "softmax", "type_a_colour": "masked", "residual_block": "3x3_3x3"},
        ],
        0,
        1,
        2,
    ),
)
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
