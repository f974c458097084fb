"""The tasks of odd images are what they say, and AUROC is."""

import numpy as np
import pytest

import odd_images
from ms_pixelcnn_tf.data.procedural.shapes import Shapes

SOURCE = Shapes((16, 16))


@pytest.mark.parametrize(
    "usual, odd, expected",
    [
        ([0, 1, 2], [3, 4], 1.0),
        ([3, 4], [0, 1], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([0, 2], [1, 3], 0.75),
        ([0, 1], [1, 2], 0.875),
    ],
)
def test_auroc(usual, odd, expected):
    assert odd_images.auroc(np.array(usual), np.array(odd)) == pytest.approx(expected)


def test_each_task_is_odd_in_its_way():
    usual = odd_images.usual(SOURCE, 6)
    found = {task: odd_images.odd(task, SOURCE, 6) for task in odd_images.TASKS}
    assert all(images.shape == usual.shape and images.dtype == "uint8" for images in found.values())
    assert (found["blank"] == found["blank"][:, :1, :1]).all()
    # The same scenes, of which the main shape alone is another.
    others = SOURCE.examples("test", np.arange(6, 12), ("image",))["image"]
    changed = (found["kind"] != others).any(axis=-1).mean(axis=(1, 2))
    assert (changed > 0.01).all() and (changed < 0.6).all()
    for task, most in (("scratch", 2 * 16), ("spot", 16)):
        painted = (found[task] != others).any(axis=-1).sum(axis=(1, 2))
        assert ((painted > 4) & (painted <= most)).all()
    for task in odd_images.TASKS:  # drawn anew, the same
        np.testing.assert_array_equal(odd_images.odd(task, SOURCE, 6), found[task])


class Blank:
    """A law under which a sub-pixel costs what its level is away from 16."""

    class config:
        num_levels = 32

    def log_prob_by_pixel(self, images, conditions):
        return -np.abs(np.asarray(images, "float32") - 16)


def test_results_are_those_of_the_scores():
    found = odd_images.measure(Blank(), SOURCE, 5, ["blank", "noise"])
    assert set(found) == {"blank", "noise"} and set(found["blank"]) == set(odd_images.SCORES)
    assert all(0 <= value <= 1 for each in found.values() for value in each.values())
    assert found["noise"]["peak_bits"] > 0.5
