"""What a model is shown by is of the examples that it says, and what was asked stands beside it."""

import numpy as np
import pytest

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.drawing import grids, showcase
from ms_pixelcnn_tf.models import VideoPixelCNN
from ms_pixelcnn_tf.training.fit_to_data import fit_to_source
from support.fake_run import FakeModel
from support.runs import TinyFilm, tiny_video_run

SHAPES = data.load("shapes", image_size=(16, 16))


class Fake(FakeModel):
    """Noise for samples; a law under which each sub-pixel costs a bit."""

    def __init__(self, config):
        super().__init__(config)
        self.sizes = config.sizes

    def upscale(self, low, conditions=None, seed=0):
        shape = (len(low), *self.config.image_size, self.config.channels)
        self.calls.append((low.shape, conditions))
        return super().upscale(low, self.config.image_size, conditions, np.full(shape, 0.5))

    def log_prob_by_pixel(self, images, conditions):
        return np.full(images.shape, -np.log(2))


def fake(**fields):
    """A `Fake` of a run on `SHAPES`."""
    run = make_run(**{"image_size": 16, "base_size": 4, "num_levels": 16, "crop_size": 0} | fields)
    return Fake(fit_to_source(run, SHAPES).model)


def test_unconditional_samples_are_a_grid_and_pyramids():
    model = fake()
    shown = showcase.show(model, SHAPES, seed=3)
    levels = model.sample(showcase.IMAGES, None, 3)
    np.testing.assert_array_equal(shown.sampled, levels)
    np.testing.assert_array_equal(
        shown.real, SHAPES.examples("validation", np.arange(16), ("image",))["image"] // 16
    )
    np.testing.assert_array_equal(
        shown.pictures["samples"], grids.grid(pixels.dequantise(levels, 16), scale=4)
    )
    assert set(shown.pictures) == {"samples", "trajectories"}
    assert set(showcase.show(fake(variant="ON"), SHAPES, 3).pictures) == {"samples"}


def test_labels_come_in_turn():
    model = fake(conditions="label")
    showcase.show(model, SHAPES, seed=0)
    np.testing.assert_array_equal(model.calls[0]["label"], np.arange(16) % 5)


def test_each_row_of_samples_stands_beside_what_it_was_asked_by():
    model = fake(conditions="text,keypoints,segmentation")
    shown = showcase.show(model, SHAPES, seed=0)
    (asked,) = model.calls
    assert {name: len(values) for name, values in asked.items()} == dict.fromkeys(asked, 16)
    for values in asked.values():  # four rows of one prompt each
        rows = values.reshape(4, 4, -1)
        assert (rows == rows[:, :1]).all() and (rows[0] != rows[1]).any()
    examples = SHAPES.examples("validation", np.arange(4), ("text",))
    prompts = showcase.asked(model.config, SHAPES, 4)
    assert [prompt.text for prompt in prompts] == [captions[0] for captions in examples["text"]]
    grid = grids.grid_size(4, (16, 16), 4, 4)
    for picture in shown.pictures.values():
        assert (
            picture.shape[1] >= showcase.PANEL_SIDE + grid[1] * 3 // 4
        )  # of pyramids three columns


def test_upscaled_images_keep_the_pixels_of_the_real_ones():
    model = fake(conditions="label")
    picture = showcase.upscaled(model, SHAPES, seed=0, start=1)
    (low, conditions), _ = model.calls
    assert low == (9, 8, 8, 3)
    labels = SHAPES.examples("validation", np.arange(3), ("label",))["label"]
    np.testing.assert_array_equal(conditions["label"], np.repeat(labels, 3))
    assert picture.std() > 0


def test_surprise_is_drawn_beside_each_image():
    picture, highest = showcase.surprises(fake(), SHAPES)
    assert highest == pytest.approx(1.0)
    assert picture.shape == (3 * (16 * 4 + 4), 2 * (16 * 4 + 2) + 2, 3)


@pytest.mark.parametrize("variant", ["OT", "OT_upscaler"])
def test_real_clips_stand_above_what_the_model_makes_of_their_start(variant):
    run, source = tiny_video_run(variant), TinyFilm()
    model = VideoPixelCNN(run.model)
    real, made = showcase.clips(model, source, seed=1)
    levels = source.examples("validation", np.arange(showcase.CLIPS), ("frames",))["frames"] // 64
    np.testing.assert_array_equal(real, levels)
    np.testing.assert_array_equal(made[:, :2], real[:, :2])
    assert (made[:, 2:] != real[:, 2:]).any(axis=(1, 2, 3, 4)).all()
    if variant == "OT_upscaler":
        np.testing.assert_array_equal(made[:, :, ::2, ::2], real[:, :, ::2, ::2])
    shown = showcase.show(model, source, seed=1)
    np.testing.assert_array_equal(shown.sampled, made[:, 2:])
    np.testing.assert_array_equal(shown.real, real[:, 2:])
    np.testing.assert_array_equal(shown.pictures["samples"], showcase.strip(run.model, real, made))
