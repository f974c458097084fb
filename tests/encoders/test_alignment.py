"""Maps meet the pyramid: a keypoint under a pixel of any scale lights that pixel."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from ms_pixelcnn_tf.configs import ModelConfig, make_run, replace
from ms_pixelcnn_tf.encoders import Code
from ms_pixelcnn_tf.encoders.resize import bilinear_weights, resize
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.sizes import MAP_SIZE
from support.errors import refuses

METHODS = ("centres", "corners", "tf1")
SCALES = [(full, 2**power) for full in (32, 256) for power in range(2, full.bit_length())]


def lit(base, image_size, pixel, method):
    """How a keypoint at the full image's pixel under `pixel` of the base lights the base."""
    cell = MAP_SIZE * (pixel * image_size // base) // image_size
    maps = np.zeros((1, MAP_SIZE, MAP_SIZE, 1))
    maps[0, cell, cell] = 1
    return np.asarray(resize(maps, (base, base), method=method, image_size=2 * (image_size,)))[0]


@pytest.mark.parametrize("full, size", SCALES)
def test_a_keypoint_under_a_pixel_lights_it_most(full, size):
    """Of the cells, the one that holds the pixel weighs most in it; of the pixels, none is lit more
    by a cell than those in it."""
    weights = bilinear_weights(MAP_SIZE, size, "corners", full)
    cells = np.arange(size) * (full // size) * MAP_SIZE // full  # of each pixel
    np.testing.assert_array_equal(weights.argmax(axis=1), cells)
    for cell in np.unique(cells):
        inside = cells == cell
        assert weights[inside, cell].min() > weights[~inside, cell].max()


def test_where_a_keypoint_was_spread_it_is_at_one_pixel():
    for image_size in (32, 256):
        spread = lit(4, image_size, 1, "centres")[:2, :2, 0]
        np.testing.assert_allclose(
            spread / spread.sum(), [[0.22, 0.25], [0.25, 0.28]], atol=0.01
        )  # the fault that the other methods mend
        found = lit(4, image_size, 1, "corners")[..., 0]
        assert found[1, 1] / found.sum() > (0.999 if image_size == MAP_SIZE else 0.88)


@pytest.mark.parametrize("full, size", SCALES)
def test_no_keypoint_is_passed_over(full, size):
    """As one is by which no pixel stands, where maps are sampled and not averaged."""
    lit_by = bilinear_weights(MAP_SIZE, size, "corners", full).sum(axis=0)
    assert lit_by.min() > 0.05 * size / MAP_SIZE
    if size < MAP_SIZE:
        assert bilinear_weights(MAP_SIZE, size, "tf1").sum(axis=0).min() == 0


@pytest.mark.parametrize("full, size", SCALES)
def test_corners_read_a_ramp_of_the_image_at_the_pixels_kept(full, size):
    """Cells hold the mean column of their pixels; inside, a pixel's own column comes out. Where the
    average reaches past an end, it leans inwards."""
    columns = np.arange(full)
    if full > MAP_SIZE:
        columns = columns.reshape(MAP_SIZE, -1).mean(axis=1)
    kept = np.arange(0, full, full // size)
    expected = np.clip(kept, columns[0], columns[-1])
    found = bilinear_weights(MAP_SIZE, size, "corners", full) @ columns
    inside = (kept > full // size) & (kept < full - full // size) | (size >= MAP_SIZE)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-13)
    assert (np.diff(found) >= 0).all() and (np.abs(found - expected) <= full / size / 2).all()


@pytest.mark.parametrize(
    "size, atol",
    [((4, 4), 1e-6), ((8, 16), 1e-6), ((32, 32), 1e-6), ((128, 64), 1e-6)]
    + [((33, 5), 4e-6), ((48, 6), 4e-6)],  # TensorFlow rounds the positions to float32
)
def test_tf1_is_tensorflow_1s(size, atol):
    maps = np.random.default_rng(0).random((2, MAP_SIZE, MAP_SIZE, 3), dtype="float32")
    expected = tf.compat.v1.image.resize_bilinear(maps, size, align_corners=False)
    found = resize(ops.convert_to_tensor(maps), size, method="tf1")
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(4, 4), (16, 8), (32, 32), (64, 128)])
def test_a_crop_is_cut_of_the_whole_map(method, size):
    generator = np.random.default_rng(0)
    shapes = (4, 1, 1, 3), (4, MAP_SIZE, MAP_SIZE, 3)
    code = Code(*(ops.convert_to_tensor(generator.normal(size=shape)) for shape in shapes), True)
    resizing = {"method": method, "image_size": (256, 256)}
    offsets = np.array([[0.0, 0.0], [0.99, 0.4], [0.5, 0.99], [0.3, 0.7]], "float32")
    places = Crop((2 * size[0], 2 * size[1]), 8, offsets).places
    whole = np.asarray(code.at(size, **resizing))
    cut = np.asarray(code.at(size, places, **resizing))
    starts = [np.zeros(4, int) if index is None else np.asarray(index)[:, 0] for index in places]
    expected = [maps[y : y + 4, x : x + 4] for maps, y, x in zip(whole, *starts, strict=True)]
    np.testing.assert_allclose(cut, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_resizes_as_its_configuration_says(method):
    """The conditioning of each scale, base included, with the maps as they come in."""
    config = replace(
        ModelConfig(), image_size=64, base_size=4, num_keypoints=1, map_resizing=method
    )
    model = make_model(replace(config, base_layers=1, residual_blocks=1, spatial_blocks=0))
    maps = np.random.default_rng(0).random((1, MAP_SIZE, MAP_SIZE, 2), dtype="float32")
    codes = {encoder.name: Code(maps=ops.convert_to_tensor(maps)) for encoder in model.encoders}
    for index, size in enumerate([4, 4, 8, 16, 32]):
        weights = bilinear_weights(MAP_SIZE, size, method, 64)
        expected = np.einsum("ih,jw,bhwf->bijf", weights, weights, maps)
        np.testing.assert_allclose(model.conditioning(codes, index), expected, atol=1e-6)


def test_who_resizes_how():
    """Runs from before the field keep what they were trained with; new ones take what is right."""
    assert ModelConfig().map_resizing == "centres"
    assert make_run(preset="tiny").model.map_resizing == "corners"
    assert make_run(preset="small").model.map_resizing == "corners"
    assert make_run("cub", preset="paper").model.map_resizing == "tf1"
    with refuses("map_resizing", "corner", "corners", "tf1", "centres"):
        ModelConfig(map_resizing="corner")
