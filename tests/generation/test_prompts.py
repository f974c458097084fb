"""Prompts become the conditions they say; each mistake is told, with its place."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ms_pixelcnn_tf import captions
from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.generation import prompts
from support.errors import refuses

NAMES = prompts.Names(("circle", "star"), ("beak", "tail", "wing"), ("sky", "sea"))
POINTS = [[1, 2, 1], [0, 0, 0], [40, 30, 1]]
KEYPOINTS = ModelConfig(image_size=(32, 48), base_size=(8, 12), num_keypoints=3)
SEGMENTS = ModelConfig(num_segments=2)


def points_of(value, config=KEYPOINTS, names=NAMES, **options):
    return prompts.make_prompt({"keypoints": value}, config, names, **options).keypoints


def write_mask(path, values, mode="L"):
    Image.fromarray(np.asarray(values, "uint8")).convert(mode).save(path)
    return str(path)


def test_every_condition_at_once(tmp_path):
    config = ModelConfig(num_classes=2, text=True, num_keypoints=3, num_segments=2)
    mask = write_mask(tmp_path / "mask.png", [[0, 1], [2, 255]])
    prompt = prompts.make_prompt(
        {
            "label": "star",
            "text": "A bird",
            "keypoints": [[4.5, 8, 1], [0, 0, 0], [31, 31, 1]],
            "segmentation": mask,
        },
        config,
        NAMES,
    )
    arrays = prompts.to_conditions([prompt, prompt], config)
    assert arrays["label"].tolist() == [1, 1] and arrays["label"].dtype == "int32"
    np.testing.assert_array_equal(arrays["text"], captions.encode(["a bird"] * 2))
    maps = arrays["keypoints"]
    assert maps.shape == (2, 32, 32, 3) and maps[0].sum() == 2
    assert maps[0, 8, 4, 0] == maps[0, 31, 31, 2] == 1
    assert arrays["segmentation"].shape == (2, 32, 32, 2)
    np.testing.assert_array_equal(arrays["segmentation"].sum(axis=(1, 2)), [[256, 256]] * 2)
    assert arrays["segmentation"][1, :16, 16:, 0].all()
    assert arrays["segmentation"][1, 16:, :16, 1].all()


def test_an_unconditional_model_takes_nothing():
    assert prompts.to_conditions([prompts.make_prompt({}, ModelConfig())], ModelConfig()) == {}
    with refuses("text", "unconditional"):
        prompts.make_prompt({"text": "a star"}, ModelConfig())


def test_keypoints_in_every_form_are_the_same(tmp_path):
    expected = [[1, 2, 1], [0, 0, 0], [40, 30, 1]]
    named = {"beak": [1, 2], "wing": [40, 30]}
    large = {"size": [64, 96], "points": {"beak": [2, 4], "wing": [80, 60]}}
    for value in (POINTS, {"points": POINTS}, {"points": named}, large):
        np.testing.assert_array_equal(points_of(value), expected)
        (tmp_path / "points.json").write_text(json.dumps(value))
        np.testing.assert_array_equal(points_of("points.json", folder=str(tmp_path)), expected)
    unseen = points_of([[1, 2, 1], [-7, 900, 0], [40, 30, True]])  # where it is does not matter
    np.testing.assert_array_equal(unseen, expected)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 47.9), st.floats(0, 31.9), st.booleans()), min_size=3, max_size=3
    )
)
def test_keypoints_fall_into_their_cells(points):
    prompt = prompts.make_prompt({"keypoints": [list(p) for p in points]}, KEYPOINTS, NAMES)
    maps = prompts.to_conditions([prompt], KEYPOINTS)["keypoints"][0]
    for part, (x, y, visible) in enumerate(points):
        assert maps[..., part].sum() == visible
        if visible:
            assert maps[int(y), min(int(x * 32 / 48), 31), part]


@pytest.mark.parametrize(
    "value, facts",
    [
        (POINTS[:2], ("keypoints", "2 points", "list of 3")),
        ([*POINTS, [0, 0, 0]], ("keypoints", "4 points", "list of 3")),
        (7, ("keypoints", 7, "list of 3")),
        ([[1, 2], [0, 0, 0], [1, 1, 1]], ("keypoint beak", [1, 2], "[x, y, visible]")),
        ([[1, float("nan"), 1], *POINTS[1:]], ("keypoint beak", "NaN", "finite")),
        ([[1, float("inf"), 0], *POINTS[1:]], ("keypoint beak", "Infinity", "finite")),
        ([[1, "2", 1], *POINTS[1:]], ("keypoint beak", '[1, "2", 1]')),
        ([[1, True, 1], *POINTS[1:]], ("keypoint beak", "[1, true, 1]")),
        (
            [*POINTS[:2], [48.5, 1, 1]],
            ("keypoint wing", [48.5, 1], "outside", "0 to 48", "0 to 32"),
        ),
        ([*POINTS[:2], [1, -1, 1]], ("keypoint wing", [1, -1], "outside")),
        ([*POINTS[:2], [1, 1, 0.5]], ("keypoint wing", "visible", 0.5, 0, 1)),
        ([*POINTS[:2], [1, 1, []]], ("keypoint wing", "visible", [])),
        ({"points": {"beek": [1, 2]}}, ("keypoint", "beek", "'beak'")),
        ({"points": {"beak": [1, 2, 1]}}, ("keypoint beak", [1, 2, 1], "[x, y]")),
        ({"points": {"beak": None}}, ("keypoint beak", "null", "[x, y]")),
        ({"points": POINTS, "size": [0, 3]}, ("size", [0, 3], "[height, width]")),
        ({"points": POINTS, "size": 32}, ("size", 32, "[height, width]")),
        ({"size": [32, 32]}, ("points", "missing", "[[x, y, visible], …]")),
        ({"point": POINTS}, ("keypoints", "point", "'points'", "size")),
    ],
)
def test_wrong_keypoints(value, facts):
    with refuses(*facts):
        points_of(value)


def test_parts_without_names_are_given_by_number():
    np.testing.assert_array_equal(points_of(POINTS, names=prompts.Names())[2], [40, 30, 1])
    with refuses("parts", "by name", "list of 3"):
        points_of({"points": {"beak": [1, 2]}}, names=prompts.Names())


@pytest.mark.parametrize("indexed, options", [(False, {}), (True, {}), (True, {"bits": 2})])
def test_masks_of_any_size(tmp_path, indexed, options):
    values = np.random.default_rng(0).integers(0, 3, (96, 64))
    image = Image.fromarray(values.astype("uint8"))
    if indexed:
        image.putpalette([10, 20, 30] * 4)
    image.save(tmp_path / "mask.png", **options)
    np.testing.assert_array_equal(prompts.read_mask(tmp_path / "mask.png", 2), values)
    prompt = prompts.make_prompt({"segmentation": "mask.png"}, SEGMENTS, NAMES, str(tmp_path))
    numbers = (prompt.segmentation * [1, 2]).sum(axis=-1)
    np.testing.assert_array_equal(numbers, values[1::3, 1::2])


def test_wrong_masks(tmp_path):
    def read(path):
        return prompts.make_prompt({"segmentation": str(path)}, SEGMENTS)

    valid = "indexed", "8-bit gray", "PNG", "0 to 2", 255
    path = tmp_path / "mask.png"
    with refuses("segmentation", path, "No such file"):
        read(path)
    write_mask(path, [[0, 3]])
    with refuses("segmentation", path, "value 3", *valid):
        read(path)
    for mode, kind in (("RGB", "RGB"), ("RGBA", "RGB with alpha"), ("1", "1-bit gray")):
        write_mask(path, [[0, 1]], mode)
        with refuses("segmentation", path, kind, *valid):
            read(path)
    write_mask(path, np.zeros((64, 64)))
    path.write_bytes(path.read_bytes()[:50])
    with refuses("segmentation", path):
        read(path)
    for content in (b"", b"P5 1 1 255 0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        path.write_bytes(content)
        with refuses("segmentation", path):
            read(path)
    with refuses("segmentation", 3, "path", "PNG"):
        prompts.make_prompt({"segmentation": 3}, SEGMENTS)


@pytest.mark.parametrize(
    "given, facts",
    [
        ({}, ("label", "missing", "label, text")),
        ({"label": 0}, ("text", "missing", "label, text")),
        ({"label": 0, "text": "a", "keypoints": []}, ("no keypoints", "label, text")),
        ({"label": 0, "txt": "a"}, ("field", "txt", "'text'")),
        ({"label": 0, "text": ["a"]}, ("text", '["a"]', "caption")),
        ({"label": 2, "text": "a"}, ("label", 2, "0 to 1")),
        ({"label": True, "text": "a"}, ("label", "true", "number or name")),
        ({"label": 1.0, "text": "a"}, ("label", 1.0, "number or name")),
        (["a"], ("prompt", '["a"]', "object")),
    ],
)
def test_wrong_prompts(given, facts):
    config = ModelConfig(num_classes=2, text=True)
    with refuses(*facts):
        prompts.make_prompt(given, config, NAMES)


BAD_PATHS = {
    "a NUL": "a\0b",
    "half a pair": "\ud800.json",
    "too long": "x" * 5000,
    "no file": "absent",
    "a folder": ".",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
@pytest.mark.parametrize("field, config", [("keypoints", KEYPOINTS), ("segmentation", SEGMENTS)])
def test_paths_that_cannot_be_read(tmp_path, path, field, config):
    """By itself and in a file of prompts: one short line that names the field."""
    (tmp_path / "prompts.jsonl").write_text(json.dumps({field: path}) + "\n")
    for call in (
        lambda: prompts.make_prompt({field: path}, config),
        lambda: prompts.read_prompts(tmp_path / "prompts.jsonl", config),
    ):
        with refuses(field) as error:
            call()
        told = str(error.value)
        assert re.search("path|No such|directory", told)
        assert "\0" not in told and "damaged" not in told
        assert len(told) < 150 + len(str(tmp_path))


@pytest.mark.parametrize(
    "given",
    [
        {"label": "9" * 5000},
        {"label": "9" * 4000},
        {"label": 10**3000},
        {"label": 10**5000},
        {"label": "a" * 5000},
        {"b" * 5000: 1},
        {"label": ["c" * 5000]},
    ],
    ids=lambda given: str(len(given)),
)
def test_what_is_long_is_not_told_whole(given):
    with pytest.raises(UserError) as error:
        prompts.make_prompt(given, ModelConfig(num_classes=2), NAMES)
    assert len(str(error.value)) < 150


def test_long_names_of_parts_are_not_told_whole():
    for field, value in (
        ("keypoint", {"points": {"b" * 5000: [1, 2]}}),
        ("keypoints", {"c" * 5000: []}),
    ):
        with refuses(field) as error:
            points_of(value)
        assert len(str(error.value)) < 200


def test_labels_by_number_and_name():
    names = ("circle", "square", "star")
    for label, number in ((2, 2), ("2", 2), ("star", 2), ("0", 0)):
        assert prompts.class_number(label, 3, names) == number
    for label in (-1, 3, "3"):
        with refuses("label", label, "0 to 2"):
            prompts.class_number(label, 3)
    with refuses("label", "sqare", "'square'"):
        prompts.class_number("sqare", 3, names)
    digits = ("1", "2", "3")
    assert prompts.class_number("0", 3, digits) == 0
    assert prompts.class_number("3", 3, digits) == 2
    with refuses("label 1", "class number 1", "number 0"):
        prompts.class_number("1", 3, digits)


def test_a_file_of_prompts(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "wing.json").write_text(json.dumps(POINTS))
    path = tmp_path / "in" / "prompts.jsonl"
    lines = ['{"keypoints": "wing.json"}', "", "  ", json.dumps({"keypoints": POINTS})]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    found = prompts.read_prompts(path, KEYPOINTS, NAMES)
    assert len(found) == 2
    np.testing.assert_array_equal(found[0].keypoints, found[1].keypoints)


@pytest.mark.parametrize(
    "line, facts",
    [
        (b'{"text": ', ("JSON",)),
        (b'{"text": "a", "text": "b"}', ("text", "twice")),
        (b'{"text": "\xff"}', ("UTF-8",)),
        (b'{"label": 3}', ("no label", "text")),
        (b"{}", ("text", "missing")),
        (b"[" * 100_000, ("JSON",)),
        (b'{"text": ' + b"9" * 5000 + b"}", ("JSON",)),
    ],
)
def test_an_error_in_a_file_has_its_line(tmp_path, line, facts):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'{"text": "fine"}\n\n' + line + b"\n")
    with refuses(path, "line 3", *facts) as error:
        prompts.read_prompts(path, ModelConfig(text=True))
    assert len(str(error.value)) < 500


def test_a_file_without_prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n\n")
    with refuses(path, "no prompt"):
        prompts.read_prompts(path, ModelConfig(text=True))
