"""The detector reads rendered images of `shapes` right, at 32x32, whatever the number of levels."""

import numpy as np
import pytest

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.data.procedural import raster
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES
from parts import detector

SIDE, COUNT = 32, 1000


@pytest.fixture(scope="module")
def scenes():
    source = data.load("shapes", image_size=SIDE)
    return [source.scene("validation", index) for index in range(COUNT)]


@pytest.fixture(scope="module", params=[256, 32])
def images(request):
    """The rendered images as a model of so many levels would show them."""
    source = data.load("shapes", image_size=SIDE)
    rendered = source.examples("validation", np.arange(COUNT), ("image",))["image"]
    return pixels.dequantise(pixels.quantise(rendered, request.param), request.param)


def test_colours_are_read_at_the_shapes_centres(images, scenes):
    shapes = [(index, shape) for index, scene in enumerate(scenes) for shape in scene.shapes]
    places = [(SIDE * shape.x, SIDE * shape.y, SIDE * shape.radius) for _, shape in shapes]
    found = detector.colour_at(images[[index for index, _ in shapes]], places)
    right = found == [shape.colour for _, shape in shapes]
    assert right.mean() >= 0.99
    assert {shape.colour for _, shape in shapes} == set(range(len(COLOUR_NAMES)))


def test_the_ground_shows_no_shape(images, scenes):
    generator, numbers, places = np.random.default_rng(0), [], []
    for index, scene in enumerate(scenes):
        for x, y in generator.random((8, 2)):
            if all(np.hypot(x - s.x, y - s.y) >= 1.6 * s.radius for s in scene.shapes):
                numbers.append(index)
                places.append((SIDE * x, SIDE * y, SIDE * scene.shapes[-1].radius))
    assert len(numbers) > COUNT
    assert (detector.colour_at(images[numbers], places) == -1).mean() >= 0.99


def test_places_are_pixels_from_the_upper_left_corner():
    image = np.full((40, 64, 3), 200.0)
    image[4:10, 50:58] = 255 * np.array(raster.COLOURS["blue"])
    blue = COLOUR_NAMES.index("blue")
    places = [(54, 7, 5), (50.6, 4.6, 0.1), (49.4, 4.6, 0.1), (7, 54, 5)]
    found = detector.colour_at(np.stack([image] * 4), places)
    assert found.tolist() == [blue, blue, -1, -1]


def test_noise_shows_nothing():
    image = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype="uint8")
    assert (detector.colour_at(image, [(16, 16, 8)] * 20) == -1).all()
