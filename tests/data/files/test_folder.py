"""Folders of images: what each kind of file becomes, what is skipped, how content is split."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.data.files import pixel_store
from ms_pixelcnn_tf.data.files.folder import Folder, in_validation
from support.errors import missing_facts, refuses

ALL_TRAIN = 1e-18  # a validation_fraction under which no digest falls


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(path))
    return path


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


def noise(seed, size=(8, 8), channels=3):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), "uint8")


def save(path, pixels=None, **options):
    """Writes an image file and returns its pixels."""
    pixels = noise(0) if pixels is None else pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def bytes_of(pixels, kind, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def open_folder(root, image_size=(8, 8), validation_fraction=ALL_TRAIN, **options):
    return Folder(root, image_size, validation_fraction=validation_fraction, **options)


def read(root, **options):
    """All images of a folder, uint8 [N, H, W, C]."""
    source = open_folder(root, **options)
    return source.examples("train", np.arange(source.size("train")))["image"]


def only(root, **options):
    (image,) = read(root, **options)
    return image


# --- decoded rightly ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "options"), [("png", {}), ("bmp", {}), ("webp", {"lossless": True})]
)
def test_lossless_formats(root, ending, options):
    pixels = save(root / f"a.{ending}", **options)
    np.testing.assert_array_equal(only(root), pixels)


def test_jpeg(root):
    pixels = np.full((8, 8, 3), (200, 100, 50), "uint8")
    save(root / "a.JPG", pixels, quality=95)
    assert np.abs(only(root).astype(int) - pixels).max() <= 4


def test_mpo_gives_its_first_picture(root):
    pictures = [Image.new("RGB", (8, 8), (value,) * 3) for value in (50, 250)]
    pictures[0].save(root / "a.jpg", "MPO", save_all=True, append_images=pictures[1:])
    assert Image.open(root / "a.jpg").format == "MPO"
    assert np.abs(only(root).astype(int) - 50).max() <= 2


def test_content_tells_the_format_not_the_name(root):
    pixels = save(root / "a.png")
    (root / "a.png").rename(root / "no_ending")
    np.testing.assert_array_equal(only(root), pixels)


def test_palette(root):
    indices = np.arange(64, dtype="uint8").reshape(8, 8) % 3
    image = Image.fromarray(indices).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(root / "a.png")
    np.testing.assert_array_equal(only(root), 255 * np.eye(3, dtype="uint8")[indices])


def test_palette_with_a_transparent_colour_lies_over_white(root):
    image = Image.fromarray(np.zeros((8, 8), "uint8")).convert("P")
    image.putpalette([255, 0, 0])
    image.save(root / "a.png", transparency=0)
    assert (only(root) == 255).all()


def test_alpha_lies_over_white(root):
    pixels = np.zeros((8, 8, 4), "uint8")
    pixels[..., 0] = 200
    pixels[:4, :, 3], pixels[4:, :, 3] = 255, 51  # opaque, and a fifth
    save(root / "a.png", pixels)
    image = only(root)
    assert (image[:4] == (200, 0, 0)).all()
    assert np.abs(image[4:].astype(int) - (244, 204, 204)).max() <= 1


def test_gray_with_alpha(root):
    Image.fromarray(np.full((8, 8), 10, "uint8")).convert("LA").save(root / "a.png")
    assert (only(root) == 10).all()


def test_gray_becomes_rgb_and_rgb_becomes_gray(root):
    gray = save(root / "a.png", noise(1)[..., 0])
    np.testing.assert_array_equal(only(root), np.repeat(gray[..., None], 3, axis=-1))
    assert only(root, channels=1).shape == (8, 8, 1)
    np.testing.assert_array_equal(only(root, channels=1)[..., 0], gray)
    pixels = save(root / "a.png", noise(2))
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(only(root, channels=1)[..., 0] - luma).max() <= 1


def test_one_bit_images(root):
    Image.fromarray(noise(1)[..., 0] > 127).save(root / "a.png")
    assert set(np.unique(only(root))) == {0, 255}


def test_cmyk_jpeg(root):
    image = Image.fromarray(np.full((8, 8, 3), (255, 0, 0), "uint8")).convert("CMYK")
    image.save(root / "a.jpg", quality=95)
    assert np.abs(only(root).astype(int) - (255, 0, 0)).max() <= 6


def test_sixteen_bit_gray_keeps_its_upper_bits(root):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8)).astype("uint16")
    Image.fromarray(values).save(root / "a.png")
    assert Image.open(root / "a.png").mode.startswith("I")
    np.testing.assert_array_equal(only(root)[..., 0], values >> 8)


def test_sixteen_bit_rgb_keeps_its_upper_bits(root):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    (root / "a.png").write_bytes(png(header, zlib.compress(rows)))
    np.testing.assert_array_equal(only(root), values >> 8)


def png(header, content):
    """A PNG file of the given header and compressed pixels."""
    chunks = [(b"IHDR", header), (b"IDAT", content), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_animations_give_their_first_frame(root, ending):
    frames = [Image.fromarray(np.full((8, 8, 3), value, "uint8")) for value in (0, 255, 128)]
    options = {"lossless": True} if ending == "webp" else {}
    path = root / f"a.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert Image.open(path).n_frames == 3
    assert (only(root) == 0).all()


def test_exif_rotation_is_undone(root):
    pixels = noise(0, (8, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: to be turned a quarter clockwise
    Image.fromarray(pixels).save(root / "a.png", exif=exif)
    np.testing.assert_array_equal(only(root, image_size=(16, 8)), np.rot90(pixels, -1))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_leaves_the_image_as_stored(root):
    pixels = noise(0)
    Image.fromarray(pixels).save(root / "a.png", exif=b"Exif\0\0MM\0*\0\0\xff\xff\xff")
    np.testing.assert_array_equal(only(root), pixels)


# --- crop and resize ---------------------------------------------------------------------------


def test_central_crop_then_area_average(root):
    pixels = save(root / "a.png", noise(0, (16, 24)))
    middle = pixels[:, 4:20].reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(only(root) - middle).max() <= 1  # rounded twice


def test_crop_to_an_oblong_target(root):
    pixels = save(root / "a.png", noise(0, (24, 16)))
    middle = pixels[8:16].reshape(4, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(only(root, image_size=(4, 8)) - middle).max() <= 1  # rounded twice


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (7, 100), (301, 299)])
def test_any_size_fits(root, size):
    save(root / "a.png", np.full((*size, 3), 77, "uint8"))
    assert (only(root, image_size=(8, 12)) == 77).all()


# --- skipped and counted -----------------------------------------------------------------------


def hostile(name, root):
    """Writes a file that gives no image."""
    path = root / f"bad_{name}.png"
    good = bytes_of(noise(9, (64, 64)), "png")
    jpeg = bytes_of(noise(9, (64, 64)), "jpeg")
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    if name == "pipe":
        os.mkfifo(path)
    elif name == "broken_link":
        path.symlink_to(root / "nowhere")
    elif name == "link_to_itself":
        path.symlink_to(path)
    elif name == "huge":
        # 100,000 × 100,000 gray pixels, says the header.
        header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
        path.write_bytes(png(header, zlib.compress(bytes(1000))))
    elif name == "giant":
        # Really there, small on disk, and just above the limit.
        header = struct.pack(">IIBBBBB", 2**14, 2**12 + 1, 1, 0, 0, 0, 0)
        path.write_bytes(png(header, zlib.compress(bytes((2**12 + 1) * (2**11 + 1)))))
    else:
        path.write_bytes(
            {
                "empty": b"",
                "text": "not an image, überhaupt\n".encode(),
                "signature_only": good[:8],
                "truncated_png": good[: len(good) // 2],
                "truncated_jpeg": jpeg[: len(jpeg) // 2],
                "header_only_jpeg": jpeg[:30],
                "corrupt": bytes(damaged),
                "tiff": bytes_of(noise(9), "tiff"),
                "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
                "truncated_gif": bytes_of(noise(9, (64, 64)), "gif")[:500],
                "truncated_webp": bytes_of(noise(9, (64, 64)), "webp")[:200],
                "truncated_bmp": bytes_of(noise(9, (64, 64)), "bmp")[:300],
            }[name]
        )
    return path


HOSTILE = (
    "empty text signature_only truncated_png truncated_jpeg header_only_jpeg corrupt tiff "
    "postscript truncated_gif truncated_webp truncated_bmp pipe broken_link link_to_itself huge "
    "giant"
).split()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_skipped_with_its_path_in_the_log(root, name, caplog):
    pixels = save(root / "good.png")
    hostile(name, root)
    for attempt in ("decoded", "from the cache"):
        caplog.clear()
        np.testing.assert_array_equal(only(root), pixels, err_msg=attempt)
        first, summary = [record.getMessage() for record in caplog.records]
        assert f"bad_{name}.png: " in first and "\n" not in first
        assert not missing_facts(summary, "1", root)


def test_all_hostile_files_at_once_and_nothing_else(root, caplog):
    for name in HOSTILE:
        hostile(name, root)
    with refuses(f"{len(HOSTILE)} files", "bad_broken_link.png"):
        open_folder(root)
    assert not missing_facts(caplog.records[-1].getMessage(), f"{len(HOSTILE)} files")


def test_a_large_image_below_the_limit_is_decoded(root):
    Image.new("1", (2**13, 2**12), 1).save(root / "a.png")
    assert 2**25 > decode.LARGE_PIXELS
    assert (only(root) == 255).all()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_files_and_directories_without_permission_are_skipped(root, caplog):
    pixels = save(root / "good.png")
    save(root / "locked.png", noise(1))
    save(root / "locked" / "b.png", noise(2))
    (root / "locked.png").chmod(0)
    (root / "locked").chmod(0)
    try:
        np.testing.assert_array_equal(only(root), pixels)
        assert not missing_facts(caplog.text, "2 files")
    finally:
        (root / "locked").chmod(0o700)


def test_whatever_the_decoder_raises_is_a_reason(root, monkeypatch, caplog):
    def explode(image):
        raise MemoryError("no\nroom")

    save(root / "a.png")
    monkeypatch.setattr(decode, "to_rgb", explode)
    with refuses("a.png", "MemoryError: no room"):
        open_folder(root)


# --- directories -------------------------------------------------------------------------------


def test_trees_hidden_files_links_and_loops(root, tmp_path):
    first = save(root / "a.png", noise(1))
    second = save(root / "b" / "c" / "d.png", noise(2))
    save(root / ".hidden.png", noise(3))
    save(root / ".hidden" / "e.png", noise(4))
    (root / "b" / "loop").symlink_to(root)
    (root / "b" / "c" / "again").symlink_to(root / "b")
    (tmp_path / "elsewhere").mkdir()
    third = save(tmp_path / "elsewhere" / "f.png", noise(5))
    (root / "link").symlink_to(tmp_path / "elsewhere")
    np.testing.assert_array_equal(read(root), [first, second, third])


def test_names_that_are_no_text(root, caplog):
    pixels = save(root / "good.png")
    directory = os.fsencode(root)
    try:
        with open(os.path.join(directory, b"\xff\xfe.png"), "wb") as file:
            file.write(bytes_of(noise(1), "png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with open(os.path.join(directory, b"bad \xff.png"), "wb") as file:
        file.write(b"nothing")
    with open(os.path.join(directory, b"line\nbreak.png"), "wb") as file:
        file.write(b"nothing")
    np.testing.assert_array_equal(read(root), [pixels, noise(1)])
    assert not missing_facts(caplog.text, r"bad \xff.png", r"line\nbreak.png")
    caplog.text.encode("utf-8")  # no lone surrogate


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_no_folder_of_images(tmp_path, root, kind):
    path = {"missing": tmp_path / "nowhere", "file": save_file(tmp_path), "empty": root}[kind]
    with refuses(path, "files" if kind == "empty" else "directory"):
        open_folder(path)


def save_file(tmp_path):
    save(tmp_path / "a.png")
    return tmp_path / "a.png"


# --- labels ------------------------------------------------------------------------------------


def test_sub_folders_are_classes(root, caplog):
    save(root / "dog" / "1.png", noise(1))
    save(root / "dog" / "old" / "2.png", noise(2))
    save(root / "cat" / "3.png", noise(3))
    save(root / "stray.png", noise(4))
    (root / "empty").mkdir()
    (root / "notes").mkdir()
    (root / "notes" / "read.me").write_text("no image")
    source = open_folder(root, labels="folders")
    assert (source.class_names, source.num_classes) == (("cat", "dog"), 2)
    examples = source.examples("train", [2, 0, 1])
    assert examples["label"].tolist() == [1, 0, 1] and examples["label"].dtype == np.int32
    np.testing.assert_array_equal(examples["image"], [noise(2), noise(3), noise(1)])
    assert not missing_facts(caplog.text, "stray.png", "class folder")
    assert open_folder(root).num_classes == 0
    assert set(open_folder(root).examples("train", [0])) == {"image"}


def test_labels_without_sub_folders(root):
    save(root / "a.png")
    with refuses("a.png", "class folder"):
        open_folder(root, labels="folders")
    with refuses("labels", "folder", "none", "folders"):
        open_folder(root, labels="folder")


# --- splits ------------------------------------------------------------------------------------


def images_by_split(source):
    return {split: {image.tobytes() for image in every(source, split)} for split in source.splits}


def every(source, split):
    return source.examples(split, np.arange(source.size(split)))["image"]


def test_split_follows_content(root):
    for seed in range(300):
        save(root / f"{seed:03}.png", noise(seed))
    before = images_by_split(open_folder(root, validation_fraction=0.2))
    assert 30 <= len(before["validation"]) <= 90
    assert len(before["train"]) + len(before["validation"]) == 300
    # Neither names nor neighbours matter.
    for seed in range(0, 300, 2):
        (root / f"{seed:03}.png").rename(root / f"renamed_{300 - seed}.png")
    for seed in range(1, 300, 6):
        (root / f"{seed:03}.png").unlink()
    after = images_by_split(open_folder(root, validation_fraction=0.2))
    assert after["train"] < before["train"] and after["validation"] < before["validation"]


def test_split_is_the_same_at_every_size(root):
    for seed in range(60):
        save(root / f"{seed:03}.png", np.full((16, 16, 3), 4 * seed, "uint8"))
    colours = [
        {int(image.flat[0]) for image in every(source, "validation")}
        for source in (
            open_folder(root, (8, 8), 0.3),
            open_folder(root, (4, 12), 0.3),
            open_folder(root, (16, 16), 0.3, channels=1),
        )
    ]
    assert colours[0] == colours[1] == colours[2] and 5 < len(colours[0]) < 40


def test_duplicates_land_in_one_split(root):
    for seed in range(60):
        pixels = noise(seed, (16, 16))
        save(root / f"{seed}.png", pixels)
        save(root / "copies" / f"x{seed}.png", pixels)  # the same bytes
        save(root / "other" / f"{seed}.png", pixels, compress_level=1)  # other bytes
        save(root / "other" / f"{seed}.bmp", pixels)  # another format
        save(root / "other" / f"{seed}.webp", pixels, lossless=True)
        # Equal only once averaged: the four pixels of each box change places.
        boxes = pixels.reshape(8, 2, 8, 2, 3)
        save(root / "other" / f"turned{seed}.png", boxes[:, ::-1, :, ::-1].reshape(16, 16, 3))
    source = open_folder(root, validation_fraction=0.5)
    splits = images_by_split(source)
    assert source.size("train") + source.size("validation") == 360
    assert len(splits["train"]) + len(splits["validation"]) == 60
    assert not splits["train"] & splits["validation"]


def test_an_empty_split_says_so(root):
    save(root / "a.png")
    source = open_folder(root)
    assert source.splits == ("train",)
    with refuses("split validation", "empty", "1 images"):
        source.size("validation")
    with refuses("split train", "empty"):
        open_folder(root, validation_fraction=1 - 1e-12).size("train")
    with refuses("split", "test", "train"):
        source.size("test")
    with refuses("validation_fraction", 0, "between 0 and 1"):
        open_folder(root, validation_fraction=0)


def test_in_validation_is_a_share_of_all_digests():
    assert in_validation(bytes(32), 0.1)
    assert in_validation(b"\x19" + bytes(31), 0.1) and not in_validation(b"\x1a" + bytes(31), 0.1)


# --- the cache ---------------------------------------------------------------------------------


@pytest.fixture
def decodings(monkeypatch):
    """The paths decoded since the start of the test."""
    paths = []
    plain = decode.decode_file

    def counted(path, *options):
        paths.append(path)
        return plain(path, *options)

    monkeypatch.setattr(pixel_store.decode, "decode_file", counted)
    return paths


def test_reruns_read_the_cache(root, cache, decodings):
    save(root / "a.png", noise(1))
    save(root / "b.png", noise(2))
    first = read(root)
    np.testing.assert_array_equal(read(root), first)
    assert len(decodings) == 2
    assert {path.suffix for path in cache.iterdir()} == {".npz", ".pixels"}
    read(root, image_size=(4, 4))  # another size, another entry
    assert len(decodings) == 4
    save(root / "c.png", noise(3))  # another list of files
    assert len(read(root)) == 3 and len(decodings) == 7
    save(root / "a.png", noise(4))  # a file changed
    os.utime(root / "a.png", (1, 1))
    np.testing.assert_array_equal(read(root)[0], noise(4))


@pytest.mark.parametrize("suffix", [".npz", ".pixels"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "garbage"])
def test_a_damaged_cache_is_rebuilt(root, cache, decodings, suffix, damage):
    save(root / "a.png", noise(1))
    first = read(root)
    (path,) = cache.glob(f"*{suffix}")
    content = path.read_bytes()
    path.unlink()
    damaged = {"empty": b"", "short": content[:-5], "garbage": b"PK\3\4" + content[:40]}
    if damage != "missing":
        path.write_bytes(damaged[damage])
    np.testing.assert_array_equal(read(root), first)
    assert len(decodings) == 2
    assert path.read_bytes()[:40] == content[:40]


def test_a_cache_that_cannot_be_written_is_done_without(root, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(tmp_path / "file"))
    pixels = save(root / "a.png")
    np.testing.assert_array_equal(only(root), pixels)
    assert "MS_PIXELCNN_CACHE" in caplog.text


def test_an_interrupt_leaves_nothing_behind(root, cache, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    save(root / "a.png")
    monkeypatch.setattr(pixel_store.decode, "decode_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_folder(root)
    assert list(cache.iterdir()) == []


def test_a_progress_bar_for_many_files(root, monkeypatch, capsys):
    monkeypatch.setattr(pixel_store, "PROGRESS_FILES", 2)
    save(root / "a.png")
    open_folder(root)
    assert capsys.readouterr().err == ""
    save(root / "b.png")
    save(root / "c.png")
    open_folder(root)
    assert not missing_facts(capsys.readouterr().err, "images")


def test_load_by_name(root):
    save(root / "a.png", noise(1))
    source = data.load("folder", data_dir=root, image_size=4, validation_fraction=ALL_TRAIN)
    assert source.image_size == (4, 4) and source.channels == 3
    assert "folder images (1 images, central crop, resized to 4, RGB)" in source.description
