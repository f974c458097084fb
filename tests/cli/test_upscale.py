"""bin/upscale: given pixels stay, samples are reproducible, each mistake is told."""

import keras
import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.cli import upscale
from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.generation import upscaling
from support import fake_run
from support.commands import exit_status
from support.errors import missing_facts
from support.fake_run import SMALL, FakeModel, make_fake_run, use_real_model

NUM, SCALE = 3, 2
CELL = 16 * SCALE + 2


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def read(path):
    return np.asarray(Image.open(path))


class FakeUpscaler(FakeModel):
    """Noise that the seed decides, around the pixels given."""

    def upscale(self, low_resolution, to, conditions=None, uniforms=None, seed=0):
        shape = (len(low_resolution), *to, self.config.channels)
        drawn = np.random.default_rng(seed).random(shape) if uniforms is None else uniforms
        return super().upscale(low_resolution, to, conditions, drawn)


@pytest.fixture(autouse=True)
def upscaler(monkeypatch):
    """Runs that are made up have a model that draws its own uniforms, as the real one."""
    monkeypatch.setattr(fake_run, "FakeModel", FakeUpscaler)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs bin/upscale in a folder with inputs; returns its exit status."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(noise(4, 4, 3)).save(photos / "b-low.png")
    Image.fromarray(noise(32, 48, 3)).save(photos / "a-large.png")
    Image.fromarray(noise(9, 9, 3)).save(photos / "c-middle.png")
    (photos / "notes.txt").write_text("no image")
    (photos / ".hidden").write_text("no image")
    (photos / "folder").mkdir()
    Image.fromarray(noise(3, 9, 3)).save(photos / "tiny.png")

    def run(*arguments):
        options = ["--workdir=run", f"--num={NUM}", f"--scale={SCALE}", "--from=4"]
        return exit_status(monkeypatch, upscale.main, *options, *arguments)

    return run


@pytest.mark.parametrize("num_levels", [256, 5])
def test_given_pixels_are_kept_on_disk(command, tmp_path, monkeypatch, num_levels):
    model = make_fake_run(tmp_path / "run", monkeypatch, num_levels=num_levels)
    assert command("--input=photos/b-low.png", "--outdir=out", "--out=sheet.png") == 0
    assert model.calls[0][0] == (NUM, 4, 4, 3)
    low = pixels.dequantise(pixels.quantise(noise(4, 4, 3), num_levels), num_levels)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"b-low-{number}.png" for number in range(NUM)]
    samples = [read(tmp_path / "out" / name) for name in names]
    assert all(sample.shape == (16, 16, 3) for sample in samples)
    for sample in samples:
        np.testing.assert_array_equal(sample[::4, ::4], low)
    assert not np.array_equal(samples[0], samples[1])
    sheet = read("sheet.png")
    assert sheet.shape == (CELL + 2, 2 + (1 + NUM) * CELL, 3)  # no real column
    np.testing.assert_array_equal(sheet[2:34:8, 2:34:8], low)
    np.testing.assert_array_equal(sheet[2:34:2, 2 + CELL : 34 + CELL : 2], samples[0])


def test_a_folder_is_a_row_an_image(command, tmp_path, monkeypatch, capsys):
    make_fake_run(tmp_path / "run", monkeypatch)
    assert command("--input=photos") == 0
    told = capsys.readouterr()
    skipped = "2 of 5 files", "photos/notes.txt", "PNG", "photos/tiny.png", "3x9", "4"
    assert not missing_facts(told.err, *skipped)
    assert not missing_facts(told.out, "upscaled.png")
    sheet = read("upscaled.png")
    assert sheet.shape == (3 * CELL + 2, 2 + (2 + NUM) * CELL, 3)
    cells = sheet[2:, 2:].reshape(3, CELL, 2 + NUM, CELL, 3).swapaxes(1, 2)[:, :, :32:2, :32:2]
    crop = noise(32, 48, 3)[:, 8:40].astype("uint16")
    across = np.floor((crop[:, ::2] + crop[:, 1::2] + 1) / 2)
    real = np.floor((across[::2] + across[1::2] + 1) / 2)
    np.testing.assert_array_equal(cells[0][1], real)
    np.testing.assert_array_equal(cells[0][0][::4, ::4], real[::4, ::4])
    assert (cells[1][1] == 255).all() and (cells[2][1] == 255).all()  # these have no real image
    for row in cells:
        for sample in row[2:]:
            np.testing.assert_array_equal(sample[::4, ::4], row[0][::4, ::4])


def test_the_seed_decides(command, tmp_path, monkeypatch):
    model = make_fake_run(tmp_path / "run", monkeypatch)
    sheets = []
    for more in ([], ["--seed=0"], ["--seed=1"]):
        assert command("--input=photos", *more) == 0
        sheets.append(read("upscaled.png"))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])
    assert [shape[0] for shape, _ in model.calls] == [3 * NUM] * 3


def test_each_sample_has_its_own_image():
    class Echo:
        def upscale(self, low, to, conditions=None, seed=0):
            assert seed == 7 and len(conditions["text"]) == len(low)
            return np.broadcast_to(low[:, :1, :1], (len(low), *to, 1)) + conditions["text"]

    inputs = [upscaling.Input("", np.full((2, 2, 1), level, "uint8"), None) for level in (3, 9)]
    conditions = {"text": np.full((1, 1, 1, 1), 50, "uint8")}
    found = upscaling.sample(Echo(), inputs, (4, 6), 3, 7, conditions)
    assert found.shape == (2, 3, 4, 6, 1)
    assert (found[0] == 53).all() and (found[1] == 59).all()


def test_conditions_hold_for_every_sample(command, tmp_path, monkeypatch):
    model = make_fake_run(tmp_path / "run", monkeypatch, text=True, num_classes=2)
    assert command("--input=photos", "--text=a star", "--label=star") == 0
    _, conditions = model.calls[0]
    assert conditions["label"].tolist() == [1] * 9 and conditions["text"].shape == (9, 201)


def test_gray_models_and_middle_sizes(command, tmp_path, monkeypatch):
    make_fake_run(tmp_path / "run", monkeypatch, channels=1)
    assert command("--input=photos", "--to=8", "--outdir=out") == 0
    assert read(tmp_path / "out" / "b-low-0.png").shape == (8, 8, 3)
    sheet = read("upscaled.png")
    assert sheet.shape == (3 * 18 + 2, 2 + (2 + NUM) * 18, 3)
    assert (sheet[..., 0] == sheet[..., 1]).all()
    middle = upscaling.read_input(
        "photos/c-middle.png", ModelConfig(image_size=16, base_size=4, channels=1), (4, 4), (8, 8)
    )
    assert middle.real.shape == (8, 8, 1)  # 9 pixels are enough for 8
    np.testing.assert_array_equal(middle.real[::2, ::2], middle.low)


def test_a_smaller_target_is_sub_sampled_of_the_largest(tmp_path):
    image = noise(16, 16, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    config = ModelConfig(image_size=16, base_size=4)
    found = upscaling.read_input(str(tmp_path / "a.png"), config, (4, 4), (8, 8))
    np.testing.assert_array_equal(found.real, image[::2, ::2])
    np.testing.assert_array_equal(found.low, image[::4, ::4])


LARGE = ModelConfig(image_size=64, base_size=8)  # sizes 8, 16, 32, 64


@pytest.mark.parametrize(
    "side, low, high, step, real",
    [
        (16, 8, 32, 2, None),
        (16, 8, 16, 2, 1),
        (16, 16, 64, 1, None),
        (8, 8, 64, 1, None),
        (64, 16, 64, 4, 1),
        (64, 16, 32, 4, 2),
        (64, 8, 16, 8, 4),
        (32, 8, 64, 4, None),
        (128, 16, 64, 8, 2),
        (128, 64, 64, 2, 2),  # twice the model's largest
        (48, 8, 16, 6, 3),
        (48, 8, 32, 6, None),
        (24, 8, 16, 3, None),  # three times a size of its
    ],
)
def test_an_image_of_the_models_sizes_keeps_its_own_pixels(tmp_path, side, low, high, step, real):
    image = noise(side, side, 3)
    Image.fromarray(image).save(tmp_path / "a.png")
    found = upscaling.read_input(str(tmp_path / "a.png"), LARGE, (low, low), (high, high))
    np.testing.assert_array_equal(found.low, image[::step, ::step])
    assert found.low.shape == (low, low, 3)
    if real is None:
        assert found.real is None
    else:
        np.testing.assert_array_equal(found.real, image[::real, ::real])


@pytest.mark.parametrize(
    "size, resampled", [((20, 20), (16, 16)), ((16, 40), (16, 16)), ((70, 65), (64, 64))]
)
def test_other_images_are_averaged_to_the_largest_size_that_they_fill(tmp_path, size, resampled):
    path = str(tmp_path / "a.png")
    Image.fromarray(noise(*size, 3)).save(path)
    found = upscaling.read_input(path, LARGE, (8, 8), (64, 64))
    expected = decode.decode_file(path, resampled, 3).pixels
    step = resampled[0] // 8
    np.testing.assert_array_equal(found.low, expected[::step, ::step])
    assert (found.real is None) == (resampled != (64, 64))


def test_a_multiple_in_one_direction_alone_is_none(tmp_path):
    path, config = str(tmp_path / "a.png"), ModelConfig(image_size=(16, 24), base_size=(8, 12))
    for size, own in (((32, 48), True), ((32, 24), False), ((48, 48), False)):
        image = noise(*size, 3)
        Image.fromarray(image).save(path)
        found = upscaling.read_input(path, config, (8, 12), (16, 24)).low
        assert np.array_equal(found, image[::4, ::4][:8, :12]) == own


def test_images_turned_by_exif(tmp_path):
    exif = Image.Exif()
    exif[upscaling.ORIENTATION] = 6
    Image.fromarray(noise(8, 4, 3)).save(tmp_path / "a.png", exif=exif)
    config = ModelConfig(image_size=(8, 16), base_size=(4, 8))
    found = upscaling.read_input(str(tmp_path / "a.png"), config, (4, 8), (8, 16))
    np.testing.assert_array_equal(found.low, np.rot90(noise(8, 4, 3), -1))
    assert found.real is None


def test_no_two_samples_have_one_name():
    assert upscaling.output_names(["in/a.png", "in/b.jpg"]) == ["a", "b"]
    assert upscaling.output_names(["in/a.png", "in/a.jpg"]) == ["a.png", "a.jpg"]


@pytest.mark.parametrize(
    "arguments, facts",
    [
        (["--from=5"], ("--from", "5", "4, 8, 16")),
        (["--from=4x8"], ("--from", "4x8", "4, 8, 16")),
        (["--to=32"], ("--to", "32", "4, 8, 16")),
        (["--from=8", "--to=4"], ("--from 8", "--to 4", "4, 8, 16")),
        (["--from=16"], ("--from 16", "--to 16")),
        (["--input=absent.png"], ("absent.png", "No such file")),
        (["--input=photos/notes.txt"], ("photos/notes.txt", "PNG")),
        (["--input=photos/tiny.png"], ("photos/tiny.png", "3x9", "4")),
        (["--input=photos/folder"], ("photos/folder", "image")),
        (["--num=100000000"], ("pixels", "--num", "--scale")),
        (["--num=0"], ("--num", "0", "above")),
        (["--seed=-1"], ("seed", "-1")),
        (["--label=1"], ("unconditional", "--label")),
        (["--out=photos"], ("--out", "photos", "folder")),
        (["--out=photos/sheet.png"], ("--out", "folder", "inputs")),
        (["--input=photos/b-low.png", "--out=photos/b-low.png"], ("--out", "input")),
        (["--outdir=photos"], ("--outdir", "folder", "inputs")),
        (["--outdir=photos/notes.txt"], ("--outdir", "photos/notes.txt", "file")),
        (["--form=8"], ("--form=8", "--from")),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    command, tmp_path, monkeypatch, capsys, arguments, facts
):
    make_fake_run(tmp_path / "run", monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    assert command("--input=photos", *arguments) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("error: ") and not missing_facts(errors[-1], *facts), errors
    assert all(line.startswith("skipped") for line in errors[:-1])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_condition_that_is_missing_is_told(command, tmp_path, monkeypatch, capsys):
    make_fake_run(tmp_path / "run", monkeypatch, num_classes=2, text=True)
    assert command("--input=photos", "--label=1") == 2
    assert not missing_facts(capsys.readouterr().err, "label, text", "--text")


def test_a_model_of_one_size_has_nothing_to_upscale(command, tmp_path, monkeypatch, capsys):
    make_fake_run(tmp_path / "run", monkeypatch, variant="ON")
    assert command("--input=photos", "--from=16") == 2
    assert not missing_facts(capsys.readouterr().err, "--from 16", "sizes", "16")


def test_a_real_model_keeps_the_given_pixels(command, tmp_path, monkeypatch):
    config = make_fake_run(tmp_path / "run", monkeypatch, **SMALL, num_classes=2).config
    use_real_model(monkeypatch, config)
    sheets = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        options = ["--from=8", "--to=16", "--label=star", "--outdir=out"]
        assert command("--input=photos/a-large.png", *options) == 0
        sheets.append(read("upscaled.png"))
    assert sheets[0].shape == (CELL + 2, 2 + (2 + NUM) * CELL, 3)
    np.testing.assert_array_equal(sheets[0], sheets[1])
    given, real = upscaling.read_input("photos/a-large.png", config, (8, 8), (16, 16))[1:]
    cells = sheets[0][2:34:SCALE, 2:].reshape(16, 2 + NUM, CELL, 3)[:, :, :32:SCALE].swapaxes(0, 1)
    np.testing.assert_array_equal(cells[0][::2, ::2], pixels.dequantise(given, 16))
    np.testing.assert_array_equal(cells[1], pixels.dequantise(real, 16))
    for number in range(NUM):
        sample = read(tmp_path / "out" / f"a-large-{number}.png")
        np.testing.assert_array_equal(sample, cells[2 + number])
        np.testing.assert_array_equal(sample[::2, ::2], pixels.dequantise(given, 16))
    assert len({cell.tobytes() for cell in cells[2:]}) == NUM
