"""The probabilities of all images of a small model add up to 1.

With two levels and few pixels every image there is can be scored. That one sum proves masks,
groups, patches, heads and output laws together: a leak of the future makes it leave 1 at once.
"""

import numpy as np
import pytest

from support.cases import fast
from support.models import PAPER_PIXELS, PAPER_PIXELS_ALONE, random_model
from support.proofs import all_images, probabilities

pytestmark = pytest.mark.usefixtures("eagerly")
GRAY = {"image_size": 4, "base_size": 2, "channels": 1}  # 65,536 images
RGB = {"image_size": 2, "base_size": 1, "channels": 3}  # 4,096 images
NETWORKS = {
    "ON": {"variant": "ON"},
    "A": {"variant": "OlogN", "upscaler": "A"},
    "B": {"variant": "OlogN", "upscaler": "B"},
}
SLOW = pytest.mark.slow
MASKED = {"upscaler": "A", "output": "softmax", "type_a_colour": "masked"}


@pytest.mark.parametrize("num_classes", fast([0, 3], 0), ids=["plain", "label"])
@pytest.mark.parametrize("output", ["softmax", "dmol"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("images", [GRAY, RGB], ids=["gray4x4", "rgb2x2"])
def test_all_images_have_probability_one(images, network, output, num_classes):
    model = random_model(
        1, 0.25, **images, **NETWORKS[network], output=output, num_classes=num_classes
    )
    everything = all_images(model)
    conditions = [{"label": [0]}, {"label": [2]}] if num_classes else [None]
    laws = [probabilities(model, everything, given) for given in conditions]
    for law in laws:
        assert law.sum() == pytest.approx(1.0, abs=1e-4)
        assert law.std() > 0.1 * law.mean(), "the law should be far from uniform"
        assert law.max() < 0.3, "the law should not sit on one image"
    if num_classes:
        assert np.abs(laws[0] - laws[1]).sum() > 1e-3, "the label should matter"


@pytest.mark.parametrize(
    "output, fields",
    [
        ("softmax", PAPER_PIXELS),
        ("dmol", PAPER_PIXELS),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in PAPER_PIXELS_ALONE),
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_all_images_have_probability_one_as_the_paper_has_it(network, output, fields):
    model = random_model(3, 0.3, **RGB, **NETWORKS[network], output=output, **fields)
    law = probabilities(model, all_images(model))
    assert law.sum() == pytest.approx(1.0, abs=1e-4)
    assert law.std() > 0.1 * law.mean(), "the law should be far from uniform"


@pytest.mark.parametrize(
    "overrides",
    [
        # Not square, in both directions; patches of 1x2 and 2x1.
        {"image_size": (2, 4), "base_size": (1, 2), "upscaler": "B", "output": "softmax"},
        {"image_size": (4, 2), "base_size": (2, 1), "upscaler": "B", "output": "dmol"},
        {"image_size": (2, 4), "base_size": (1, 2), "num_levels": 3, "output": "dmol"},
        {"image_size": (2, 3), "variant": "ON", "num_levels": 4, "output": "dmol"},
        # Four patches in a map; two scales; one layer; a base of one pixel.
        {"image_size": 4, "base_size": 2, "upscaler": "B", "patch_size": 1, "output": "softmax"},
        {"image_size": 4, "base_size": 1, "upscaler": "B", "output": "dmol"},
        {
            "image_size": 4,
            "base_size": 1,
            "upscaler": "A",
            "residual_blocks": 0,
            "output": "softmax",
        },
        {
            "image_size": (2, 3),
            "variant": "ON",
            "base_layers": 1,
            "num_levels": 4,
            "output": "softmax",
        },
        {"image_size": 2, "base_size": 1, "channels": 3, "residual_block": "3x3_3x3"},
        # Channels of neighbouring pixels of a group depend on one another.
        {"image_size": (2, 4), "base_size": (1, 2), "channels": 2} | MASKED,
        {"image_size": 2, "base_size": 1, "channels": 3, "residual_block": "3x3_3x3"} | MASKED,
        pytest.param({"image_size": 4, "base_size": 2, "channels": 1} | MASKED, marks=SLOW),
        pytest.param(
            {"image_size": (4, 2), "base_size": (2, 1), "channels": 2, "residual_block": "3x3_3x3"}
            | MASKED,
            marks=SLOW,
        ),
        # Inner bins of the mixture, between its two open ends, with dependent channels.
        {"image_size": 2, "base_size": 1, "num_levels": 5, "output": "dmol"},
        {"image_size": 2, "base_size": 1, "num_levels": 7, "output": "dmol", "upscaler": "B"},
        {"image_size": (1, 2), "variant": "ON", "channels": 3, "num_levels": 4, "output": "dmol"},
        {"image_size": 2, "base_size": 1, "channels": 2, "num_levels": 3, "output": "dmol"},
        {"image_size": 2, "base_size": 1, "channels": 2, "num_levels": 3, "output": "softmax"},
        {
            "image_size": (1, 2),
            "variant": "ON",
            "channels": 4,
            "num_levels": 3,
            "output": "softmax",
        },
        {"image_size": (1, 2), "variant": "ON", "channels": 4, "num_levels": 3, "output": "dmol"},
        # A later kernel that spans more than one row above and one pixel to the left.
        {"image_size": (3, 4), "variant": "ON", "gated_kernel": 5, "output": "softmax"},
        pytest.param(
            {"image_size": 4, "base_size": 2, "gated_kernel": 5, "upscaler": "B"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda overrides: "-".join(f"{value}" for value in overrides.values()).replace(" ", ""),
)
def test_other_shapes_levels_and_channels(overrides):
    model = random_model(2, 0.25, **overrides)
    assert probabilities(model, all_images(model)).sum() == pytest.approx(1.0, abs=1e-4)


def test_the_proof_sees_a_leak():
    """With the channel mask undone, a pixel tells its own probability and the sum leaves 1."""
    model = random_model(2, 0.25, **RGB, variant="ON", output="softmax")
    first = model.base.layers[0]
    first.current_mask = np.ones_like(first.current_mask)
    assert abs(probabilities(model, all_images(model)).sum() - 1.0) > 1e-3
