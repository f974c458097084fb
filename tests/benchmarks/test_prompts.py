"""Prompts ask for what their scenes show, and give the conditions as the pipeline does."""

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.procedural.shapes_captions import RELATIONS
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES, KINDS, NOVEL_PAIRS
from parts import detector
from parts.prompts import prompts
from support.errors import refuses

NUM = 60


@pytest.mark.parametrize("form", ["list", "relation"])
@pytest.mark.parametrize("side", [32, 64])
def test_captions_name_the_held_out_pair_and_other_shapes(side, form):
    source = data.load("shapes", image_size=side)
    found = prompts(source, NUM, form=form)
    assert list(found.conditions) == ["text"]
    assert len(found.conditions["text"]) == len(found.asked) == len(set(found.indices)) == NUM
    numbers = set()
    texts = source.examples("novel", found.indices, ("text",))["text"]
    assert all(caption in own for caption, own in zip(found.conditions["text"], texts, strict=True))
    for index, caption, asked in zip(
        found.indices, found.conditions["text"], found.asked, strict=True
    ):
        scene = source.scene("novel", index)
        shape_of = {shape.colour: shape for shape in scene.shapes}
        main = scene.shapes[0]
        assert asked[0][0] == main.colour
        assert (KINDS[main.kind], COLOUR_NAMES[main.colour]) in NOVEL_PAIRS
        assert {colour for colour, *_ in asked} == {
            number for number, name in enumerate(COLOUR_NAMES) if name in caption.split()
        }
        for colour, x, y, radius in asked:
            shape = shape_of[colour]
            assert f"{COLOUR_NAMES[colour]} {KINDS[shape.kind]}" in caption
            assert (x, y, radius) == (side * shape.x, side * shape.y, side * shape.radius)
        assert len(asked) == (2 if form == "relation" else len(scene.shapes))
        numbers.add(len(asked))
    assert numbers == ({2} if form == "relation" else {1, 2, 3})
    for words in RELATIONS:
        told = any(f" {words} " in caption for caption in found.conditions["text"])
        assert told == (form == "relation")
    again = prompts(source, NUM, form=form)
    assert again.conditions == found.conditions and again.asked == found.asked
    assert prompts(source, 5, form=form).asked == found.asked[:5]
    if form == "list":
        assert found.indices.tolist() == list(range(NUM))


@pytest.mark.parametrize("kind", ["keypoints", "segmentation"])
def test_maps_are_the_pipelines(kind):
    source = data.load("shapes", image_size=32)
    found = prompts(source, NUM, kind)
    (batch,) = pipeline.evaluation_batches(
        source, split="novel", batch_size=NUM, limit=NUM, fields=(kind,)
    ).as_numpy_iterator()
    assert list(found.conditions) == ["text", kind]
    np.testing.assert_array_equal(found.conditions[kind], batch[kind])
    assert found.conditions["text"] == prompts(source, NUM).conditions["text"]


def test_the_scenes_own_images_show_what_is_asked():
    source = data.load("shapes", image_size=32)
    images = source.examples("novel", np.arange(NUM), ("image",))["image"]
    for image, asked in zip(images, prompts(source, NUM).asked, strict=True):
        found = detector.colour_at([image] * len(asked), [place for _, *place in asked])
        assert found.tolist() == [colour for colour, *_ in asked]


def test_prompts_of_another_split_ask_for_pairs_that_training_shows():
    source = data.load("shapes", image_size=32)
    found = prompts(source, NUM, "keypoints", "validation")
    for index, asked in enumerate(found.asked):
        main = source.scene("validation", index).shapes[0]
        assert asked[0][0] == main.colour and KINDS[main.kind] in found.conditions["text"][index]
        assert (KINDS[main.kind], COLOUR_NAMES[main.colour]) not in NOVEL_PAIRS
    points = source.examples("validation", np.arange(NUM), ("keypoints",))["keypoints"]
    maps = conditions.keypoint_maps(points, source.image_size)
    np.testing.assert_array_equal(found.conditions["keypoints"], maps)


def test_more_prompts_than_there_are_is_told():
    source = data.load("shapes", image_size=8)
    with refuses("split novel", "2000 prompts", "form list", 2001):
        prompts(source, 2001)
