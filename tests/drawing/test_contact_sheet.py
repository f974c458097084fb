"""What is known of an example is drawn where it belongs."""

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf.cli import inspect_data
from ms_pixelcnn_tf.drawing import contact_sheet
from ms_pixelcnn_tf.drawing.contact_sheet import colour_of, image_sheet, video_sheet
from support.errors import missing_facts, refuses


def ground(count=1, side=8):
    return {"image": np.full((count, side, side, 3), 200, "uint8")}


def test_pixels_are_squares_in_place():
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype="uint8")
    sheet = image_sheet({"image": image}, (), columns=1, side=80)
    np.testing.assert_array_equal(sheet[5::10, 5::10], image[0])


def test_keypoints_lie_on_their_pixels_and_the_unseen_are_not_drawn():
    points = np.zeros((1, 3, 3), "float32")
    points[0, 0] = (2.5, 5.5, 1)
    points[0, 2] = (6.5, 1.5, 1)
    sheet = image_sheet(ground() | {"keypoints": points}, (), columns=1, side=80)
    assert tuple(sheet[55, 25]) == colour_of(0) and tuple(sheet[15, 65]) == colour_of(2)
    assert tuple(sheet[0, 0]) == (200, 200, 200)


@pytest.mark.parametrize("as_maps", [True, False])
def test_masks_tint_their_cells_only(as_maps):
    numbers = np.zeros((1, 4, 4), "uint8")
    numbers[0, 1, 2] = 3
    masks = np.eye(4, dtype="uint8")[numbers][..., 1:] if as_maps else numbers
    sheet = image_sheet(ground() | {"segmentation": masks}, (), columns=1, side=80)
    changed = (sheet != 200).any(axis=-1)
    assert changed[20:40, 40:60].all() and changed.sum() == 400


def test_labels_and_captions_stand_below():
    examples = ground(3) | {
        "label": np.array([0, 1, 5]),
        "text": np.array([("one",), ("two", "three"), ()], object),
    }
    plain = image_sheet(ground(3), (), columns=3, side=80)
    sheet = image_sheet(examples, ("cat", "dog"), columns=3, side=80)
    assert sheet.shape[0] > plain.shape[0] and sheet.shape[1] == plain.shape[1]
    below = sheet[plain.shape[0] :]
    assert all((below[:, left : left + 80] < 100).any() for left in (0, 86, 172))


def test_gray_images_and_several_rows():
    sheet = image_sheet({"image": np.zeros((5, 4, 6, 1), "uint8")}, (), columns=2, side=60)
    assert sheet.shape == (3 * 40 + 2 * contact_sheet.GAP, 2 * 60 + contact_sheet.GAP, 3)


def test_a_film_is_a_strip_with_its_curves():
    frames = np.zeros((2, 20, 4, 4, 3), "uint8")
    frames[:, :, ..., 0] = np.arange(20)[None, :, None, None] * 10
    actions = np.random.default_rng(0).normal(size=(2, 20, 5)).astype("float32")
    sheet = video_sheet({"frames": frames, "actions": actions}, side=40, frames=5)
    strip = sheet[20, 20 :: 40 + contact_sheet.GAP, 0]
    assert strip.tolist() == [0, 40, 90, 140, 190]
    below = sheet[40 : 40 + contact_sheet.ACTION_HEIGHT]
    assert all((below == colour_of(n)).all(axis=-1).any() for n in range(5))


def test_the_command_draws_and_tells(tmp_path, capsys):
    out = tmp_path / "preview.png"
    inspect_data.main(["--dataset=shapes", "--num=4", "--columns=2", f"--out={out}"])
    said = capsys.readouterr().out
    assert not missing_facts(said, "image, label, text, keypoints, segmentation", "train 50,000")
    assert np.asarray(Image.open(out)).std() > 10
    inspect_data.main(["--dataset=shapes_push", "--num=1", "--image_size=16", f"--out={out}"])
    assert not missing_facts(capsys.readouterr().out, "frames, actions, states")
    small = np.asarray(Image.open(out))
    read_larger = ["--dataset=shapes_push", "--num=1", "--image_size=16", "--source_size=64"]
    inspect_data.main([*read_larger, f"--out={out}"])
    assert (np.asarray(Image.open(out)) != small).any(), "every fourth pixel is another picture"


@pytest.mark.parametrize(
    "arguments, facts",
    [
        (["--dataset=shape"], ("dataset", "shape", "shapes")),
        (["--dataset=cub"], ("cub", "data_dir")),
        (["--dataset=shapes", "--split=tset"], ("split", "tset", "train")),
    ],
)
def test_mistakes_are_told(arguments, facts, tmp_path):
    with refuses(*facts):
        inspect_data.main([*arguments, f"--out={tmp_path / 'x.png'}"])
