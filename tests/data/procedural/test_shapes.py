"""`shapes`: what the fields say is what the picture shows, and the picture is its index's alone."""

import re

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data.procedural import raster, shapes, shapes_captions, shapes_scene
from support.errors import refuses

SAMPLE = np.arange(120)
SIZES = [(8, 8), (32, 32), (24, 56), (40, 16)]


def hashes(images):
    return {image.tobytes() for image in images}


def distance(shape, x, y):
    """Signed distance to the shape's outline, in units of the image's shorter side."""
    local = raster.turned(x, y, (shape.x, shape.y), shape.radius, shape.angle)
    return shape.radius * raster.OUTLINES[shapes_scene.KINDS[shape.kind]](*local)


def area_average(image, factor):
    height, width, channels = image.shape
    boxes = image.reshape(height // factor, factor, width // factor, factor, channels)
    return boxes.mean((1, 3))


def test_the_same_index_is_the_same_example_alone_and_in_any_batch():
    source = data.load("shapes")
    indices = np.array([7, 3, 49_999, 3, 0])
    batch = source.examples("train", indices)
    for row, index in enumerate(indices):
        alone = source.examples("train", [index])
        for field in shapes.FIELDS:
            np.testing.assert_array_equal(batch[field][row], alone[field][0])


def test_a_field_is_the_same_whatever_else_is_asked_for():
    source = data.load("shapes")
    whole = source.examples("test", SAMPLE[:8])
    for field in shapes.FIELDS:
        (part,) = source.examples("test", SAMPLE[:8], (field,)).values()
        np.testing.assert_array_equal(part, whole[field])


def test_seeds_and_splits_share_no_image():
    streams = [
        hashes(data.load("shapes", image_size=16, seed=seed).examples(split, SAMPLE)["image"])
        for seed in (0, 1)
        for split in shapes.SIZES
    ]
    assert len(set.union(*streams)) == len(streams) * len(SAMPLE)


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_types(image_size, channels):
    source = data.load("shapes", image_size=image_size, channels=channels)
    found = source.examples("validation", [0, 1])
    assert {field: (array.shape, array.dtype) for field, array in found.items()} == {
        "image": ((2, *image_size, channels), np.dtype("uint8")),
        "label": ((2,), np.dtype("int32")),
        "text": ((2, 5), np.dtype(object)),
        "keypoints": ((2, len(source.keypoint_names), 3), np.dtype("float32")),
        "segmentation": ((2, *image_size), np.dtype("uint8")),
    }
    assert (
        (source.num_keypoints, source.num_segments)
        == (15, 5)
        == (len(source.keypoint_names), len(source.segment_names))
    )
    assert source.examples("test", [])["image"].shape == (0, *image_size, channels)


def test_every_size_shows_the_same_scene():
    """Box averages of the larger picture are the smaller one, up to noise and edges."""
    small, large = (data.load("shapes", image_size=size) for size in (32, 128))
    for index in range(20):
        assert repr(small.scene("train", index)) == repr(large.scene("train", index))
    left = small.examples("train", SAMPLE[:20])["image"]
    right = large.examples("train", SAMPLE[:20])["image"]
    for one, other in zip(left, right, strict=True):
        difference = np.abs(one - area_average(other, 4))
        assert np.quantile(difference, 0.9) < 8
        assert difference.mean() < 4


def test_every_image_has_one_main_shape_that_stands_out():
    source = data.load("shapes")
    found = source.examples("train", SAMPLE)
    numbers = set()
    for index in SAMPLE:
        scene = source.scene("train", index)
        numbers.add(len(scene.shapes))
        assert len({shape.kind for shape in scene.shapes}) == len(scene.shapes)
        assert found["label"][index] == scene.shapes[0].kind
        areas = np.bincount(found["segmentation"][index].ravel(), minlength=6)[1:]
        assert areas.argmax() == found["label"][index]
        mask = found["segmentation"][index] == 1 + found["label"][index]
        assert mask.sum() > 0.06 * mask.size
        image = found["image"][index].astype(float)
        ground = image[found["segmentation"][index] == 0].mean(0)
        assert np.abs(image[mask].mean(0) - ground).max() > 60
    assert numbers == {1, 2, 3}
    assert set(found["label"]) == set(range(5))


def pairs(source, split):
    """Names of kind and colour of the shapes of each scene, the main one's first."""
    return [
        [
            (shapes_scene.KINDS[shape.kind], shapes_scene.COLOUR_NAMES[shape.colour])
            for shape in source.scene(split, index).shapes
        ]
        for index in range(400)
    ]


@pytest.mark.parametrize("image_size", [(32, 32), (24, 56)])
def test_novel_pairs_are_held_out(image_size):
    source, novel = data.load("shapes", image_size=image_size), set(shapes_scene.NOVEL_PAIRS)
    assert source.splits == ("train", "validation", "test", "novel")
    assert source.size("novel") == 2000
    seen = set()
    for split in ("train", "validation", "test"):
        seen |= {pair for scene in pairs(source, split) for pair in scene}
    assert not seen & novel
    # All else is seen: a held-out pair is new in its pairing alone.
    assert len(seen) == len(shapes_scene.KINDS) * len(shapes_scene.COLOUR_NAMES) - len(novel)
    scenes = pairs(source, "novel")
    assert {main for main, *_ in scenes} == novel
    others = {pair for _, *others in scenes for pair in others}
    assert others and not others & novel
    assert {len(scene) for scene in scenes} == {1, 2, 3}


@pytest.mark.parametrize("image_size", [(32, 32), (24, 56)])
def test_segmentation_marks_the_shapes_and_their_colours(image_size):
    source = data.load("shapes", image_size=image_size)
    found = source.examples("test", SAMPLE)
    x, y, pixel = raster.pixel_centres(image_size)
    for index in SAMPLE:
        scene, mask = source.scene("test", index), found["segmentation"][index]
        assert set(np.unique(mask)) == {0} | {1 + shape.kind for shape in scene.shapes}
        for shape in scene.shapes:
            inside = distance(shape, x, y)
            np.testing.assert_array_equal(mask == 1 + shape.kind, inside < 0)
            core = found["image"][index][inside < -1.5 * pixel].astype(float)
            if len(core):  # the hue is that of the named colour: light and shade only scale it
                named = np.array(raster.COLOURS[shapes_scene.COLOUR_NAMES[shape.colour]])
                mean = core.mean(0)
                cosine = mean @ named / np.linalg.norm(mean) / np.linalg.norm(named)
                assert cosine > 0.99


@pytest.mark.parametrize("image_size", [(32, 32), (24, 56), (64, 64)])
def test_keypoints_are_centres_and_extremes_of_the_outlines(image_size):
    source = data.load("shapes", image_size=image_size)
    keypoints = source.examples("train", SAMPLE, ("keypoints",))["keypoints"]
    height, width = image_size
    pixel = 1 / min(image_size)
    # The finest raster of the outline that is cheap: its extremes must agree with the keypoints.
    x, y, fine = raster.pixel_centres(tuple(8 * side for side in image_size))
    for index in SAMPLE[:40]:
        scene = source.scene("train", index)
        points = keypoints[index].reshape(3, 5, 3)
        visible = points[..., 2]
        assert (visible[: len(scene.shapes)] == 1).all() and not points[len(scene.shapes) :].any()
        assert (points[..., :2] >= 0).all() and (points[..., :2] <= [width, height]).all()
        for shape, spots in zip(scene.shapes, points, strict=False):
            spots = spots[:, :2] * pixel
            depth = distance(shape, spots[:, 0], spots[:, 1])
            assert depth[0] < -0.3 * shape.radius
            np.testing.assert_allclose(depth[1:], 0, atol=1e-5)
            rows, columns = np.nonzero(distance(shape, x, y) < 0)
            extremes = [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]
            ours = [spots[1, 1], spots[2, 1], spots[3, 0], spots[4, 0]]
            np.testing.assert_allclose(ours, np.array(extremes) * fine, atol=4 * fine)


@pytest.mark.parametrize("channels", [1, 3])
def test_captions_are_true_and_differ(channels):
    source = data.load("shapes", image_size=(32, 40), channels=channels)
    text = source.examples("train", np.arange(400), ("text",))["text"]
    said = set()
    for index, captions in enumerate(text):
        assert len(set(captions)) == len(captions) == shapes_captions.NUM_CAPTIONS
        for caption in captions:
            assert len(caption) <= 200
            check_caption(caption, source.scene("train", index), channels == 3, said)
        if len(shapes_of := source.scene("train", index).shapes) > 1:
            for caption in captions[2:]:  # in order of size
                places = [caption.index(shapes_scene.KINDS[shape.kind]) for shape in shapes_of]
                assert places == sorted(places)
            assert len(re.findall(r"(?:in|on|at) the \w+", captions[3])) == len(shapes_of)
    assert said == {"shape", "colour", "size", "place", "relation", "number", "order", "ground"} - (
        {"colour"} if channels == 1 else set()
    )


def check_caption(caption, scene, coloured, said):
    """Parses the sentence and holds every claim in it against the scene; notes the claims made."""
    kinds, colours = shapes_scene.KINDS, shapes_scene.COLOUR_NAMES
    noun = rf"(?:(small|large) )?(?:({'|'.join(colours)}) )?({'|'.join(kinds)})"
    words = "upper|lower|left|right|middle|top|bottom"
    where = rf"(?: (?:in|on|at) the ((?:{words})(?: (?:{words}))?))?"
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", caption)
    named = []
    for size, colour, kind, claimed in re.findall(noun + where, caption):
        (shape,) = (shape for shape in scene.shapes if kinds[shape.kind] == kind)
        named.append(shape)
        said.add("shape")
        assert coloured or not colour
        if colour:
            assert colours[shape.colour] == colour
            said.add("colour")
        if size:
            assert shape.radius < 0.2 if size == "small" else shape.radius > 0.25
            said.add("size")
        if claimed:
            check_place(claimed.split(), shape.x / scene.extent[0], shape.y / scene.extent[1])
            said.add("place")
    assert named
    related = re.search("above|below|to the left of|to the right of", caption)
    if related:
        first, second = named
        dx, dy = first.x - second.x, first.y - second.y
        claims = {"above": -dy, "below": dy, "to the left of": -dx, "to the right of": dx}
        assert claims[related[0]] == max(claims.values())
        said.add("relation")
    number = re.match("one|three|there is a single", caption)
    if number:
        count = {"three": 3}.get(number[0], 1)
        assert len(scene.shapes) == count
        said.add("number")
    if "smaller" in caption:
        assert len(named) == 2 and named[0].radius > named[1].radius
        said.add("order")
    ground = re.search("(dark|light) background", caption)
    if ground:
        assert (ground[1] == "light") == (scene.ground.colour.mean() > 0.5)
        said.add("ground")


def check_place(words, across, down):
    """Holds "upper left", "top", … against a place, fractions of the image."""
    low, high, middle = (lambda v: v < 0.4), (lambda v: v > 0.6), (lambda v: 0.4 <= v <= 0.6)
    row = {"upper": low, "top": low, "lower": high, "bottom": high}
    column = {"left": low, "right": high}
    assert next((row[word] for word in words if word in row), middle)(down)
    assert next((column[word] for word in words if word in column), middle)(across)


def test_gray_is_the_luma_of_the_same_scene():
    colour, gray = (data.load("shapes", channels=channels) for channels in (3, 1))
    left = colour.examples("train", SAMPLE[:20])["image"] @ raster.LUMA
    right = gray.examples("train", SAMPLE[:20])["image"][..., 0]
    assert np.abs(left - right).max() < 12  # seven standard deviations of the noise


def test_the_noise_has_the_stated_size():
    one, other = (data.load("shapes", image_size=64) for _ in range(2))
    scene, generator = one._scene("train", 0)
    image = one.examples("train", [0])["image"][0].astype(float)
    again = other._image(scene, np.random.default_rng(5)).astype(float)
    assert 1.4 < (image - again).std() / np.sqrt(2) < 1.65  # with the rounding's share


def test_bad_requests_are_told():
    source = data.load("shapes")
    with refuses("shapes", "split", "valid", "validation"):
        source.size("valid")
    with refuses("shapes", "test", "0 to 1999"):
        source.examples("test", [2000])
    with refuses("shapes", "field", "mask", "segmentation"):
        source.examples("test", [0], ("mask",))
    with refuses("image_size", "shapes", 32, 4, "8 to 256"):
        data.load("shapes", image_size=(32, 4))
    assert "synthetic" in source.description


@pytest.mark.parametrize("name", ["shapes", "shapes_push"])
def test_more_or_fewer_training_examples_change_none_of_them(name):
    few, usual, many = (data.load(name, image_size=8, train_examples=n) for n in (3, 50_000, 10**9))
    assert data.load(name, image_size=8).size("train") == usual.size("train") == 50_000
    assert (few.size("train"), many.size("train")) == (3, 10**9)
    field = few.example_field
    expected = usual.examples("train", np.arange(3), (field,))[field]
    for source in (few, many):
        np.testing.assert_array_equal(
            source.examples("train", np.arange(3), (field,))[field], expected
        )
        assert all(
            source.size(split) == usual.size(split) for split in usual.splits if split != "train"
        )
    assert len(hashes(many.examples("train", [10**9 - 1, 50_000], (field,))[field])) == 2
    with refuses(name, "train", "0 to 2"):
        few.examples("train", [3])


@pytest.mark.parametrize("number", [0, -1, 2.5, True, "many"])
def test_a_number_of_training_examples_that_is_none_is_told(number):
    with refuses("train_examples", number, "integer", 1):
        data.load("shapes", train_examples=number)


def test_files_are_as_many_as_they_are():
    with refuses("folder", "train_examples=7"):
        data.load("folder", data_dir="anywhere", image_size=8, train_examples=7)
