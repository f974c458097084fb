"""Folders with metadata: captions, labels, groups and faults; and the ground under transparency."""

import collections
import csv
import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import DataConfig, RunConfig, make_run
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.files.folder import SHOWN, Folder
from ms_pixelcnn_tf.data.files.folder_split import group_keys, in_validation
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training import loop
from support.errors import missing_facts, refuses
from support.models import small_image
from support.runs import TRAIN, SilentProgress

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")
ALL_TRAIN = 1e-18  # a validation_fraction under which no digest falls
SMALL = small_image(base_layers=1, decoder_layers=1, first_kernel=3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("MS_PIXELCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


def gray(level, size=(8, 8)):
    return np.full((*size, 3), level, "uint8")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_jsonl(root, *lines, encoding="utf-8"):
    """Writes objects as JSON, and strings as they are, a line each."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding=encoding)


def write_csv(root, *rows, encoding="utf-8"):
    with open(root / "metadata.csv", "w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def numbered(root, count=3, **fields):
    """Images of the levels 0, 1, …, and the lines of their metadata."""
    for level in range(count):
        save(root / f"{level}.png", gray(level))
    return [
        {"file_name": f"{level}.png", "text": f"level {level}"}
        | {name: value_of(level) for name, value_of in fields.items()}
        for level in range(count)
    ]


def open_folder(root, validation_fraction=ALL_TRAIN, **options):
    return Folder(root, (8, 8), validation_fraction=validation_fraction, **options)


def every(source, split="train", fields=None):
    return source.examples(split, np.arange(source.size(split)), fields)


def captions_by_level(source):
    """Level of an image, in any split → its captions."""
    found = {}
    for split in source.splits:
        examples = every(source, split)
        for image, captions in zip(examples["image"], examples["text"], strict=True):
            found[int(image.flat[0])] = tuple(captions)
    return found


def log_lines(caplog):
    return [record.getMessage() for record in caplog.records]


# --- captions ----------------------------------------------------------------------------------


def test_captions_are_those_of_their_images(root):
    numbered(root)
    save(root / "sub" / "ä.png", gray(50))
    write_jsonl(
        root,
        {"file_name": "2.png", "text": ["two", "a pair"]},
        {"file_name": "sub/ä.png", "text": "fünfzig"},
        {"file_name": "./0.png", "text": ["none", "", "nothing", "zero"]},
    )
    source = open_folder(root, captions=True)
    assert captions_by_level(source) == {
        0: ("none", "nothing", "zero"),
        2: ("two", "a pair"),
        50: ("fünfzig",),
    }
    assert source.num_captions == 1  # the fewest
    assert set(every(source)) == {"image", "text"}
    assert set(open_folder(root).examples("train", [0])) == {"image"}  # not asked for


def test_encoded_captions_reach_the_batch_of_the_right_image(root):
    write_jsonl(root, *numbered(root, 12))
    source = open_folder(root, 0.5, captions=True)
    batches = pipeline.evaluation_batches(
        source, split="validation", batch_size=2, fields=("image", "text")
    )
    drawn = pipeline.training_batches(
        source, split="train", batch_size=3, seed=0, fields=("image", "text")
    )
    pairs = []
    for batch in [*batches, *drawn.take(4)]:
        pairs += zip(batch["image"].numpy(), batch["text"].numpy(), strict=True)
    assert {int(image.flat[0]) for image, _ in pairs} == {*range(12)}
    for image, codes in pairs:
        np.testing.assert_array_equal(codes, text.encode([f"level {image.flat[0]}"])[0])


def test_each_of_several_captions_is_evaluated(root):
    lines = numbered(root)
    write_jsonl(root, *[line | {"text": ["one", "two"]} for line in lines])
    source = open_folder(root, captions=True)
    (batch,) = pipeline.evaluation_batches(source, split="train", batch_size=9, fields=("text",))
    np.testing.assert_array_equal(batch["text"], text.encode(["one", "two"] * 3))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_jsonl_and_csv_give_the_same_source(root, encoding):
    lines = numbered(root, 30, label=lambda level: level % 11, kind=lambda level: f"k{level // 2}")
    lines[3]["text"] = 'a "quoted", comma\u2028and a\nnew line'
    lines[4]["kind"] = None
    options = {"captions": True, "labels": "metadata", "split_by": "kind"}
    write_jsonl(root, *lines, encoding=encoding)
    one = open_folder(root, 0.3, **options)
    (root / "metadata.jsonl").unlink()
    write_csv(root, *lines, encoding=encoding)
    other = open_folder(root, 0.3, **options)
    assert_same(one, other)
    assert one.class_names == tuple(map(str, range(11)))  # by value: 9 before 10


def assert_same(one, other):
    assert one.fingerprint() == other.fingerprint()
    assert (one.splits, one.class_names) == (other.splits, other.class_names)
    for split in one.splits:
        for field, values in every(one, split).items():
            np.testing.assert_array_equal(values, every(other, split)[field])


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_order_of_the_lines_changes_no_example(tmp_path, draws):
    root = tmp_path / "shuffled"
    root.mkdir(exist_ok=True)
    lines = numbered(root, 8)
    label, kind = st.sampled_from(["a", "b", 7, "10"]), st.sampled_from([None, 1, "x", "3.png"])
    for line in lines:
        line["label"], line["kind"] = draws.draw(label), draws.draw(kind)
    options = {"captions": True, "labels": "metadata", "split_by": "kind"}
    write_jsonl(root, *lines)
    one = open_folder(root, 0.4, **options)
    write_jsonl(root, *draws.draw(st.permutations(lines)))
    assert_same(one, open_folder(root, 0.4, **options))


# --- faults ------------------------------------------------------------------------------------

FAULTS = {  # line → what its report must say
    "not json": ("not JSON",),
    "[1]": ("[1]", "object"),
    "[" * 100_000: ("not JSON",),
    '{"text": "a"}': ("file_name",),
    '{"file_name": 3, "text": "a"}': ("file_name", 3),
    '{"file_name": "x.png", "text": "a"}': ("x.png",),
    '{"file_name": "../images/1.png", "text": "a"}': ("../images/1.png",),
    '{"file_name": "1.png"}': ("text", "1.png"),
    '{"file_name": "1.png", "text": null}': ("text", "1.png"),
    '{"file_name": "1.png", "text": " "}': ("text", "1.png"),
    '{"file_name": "1.png", "text": []}': ("text", "1.png"),
    '{"file_name": "1.png", "text": 5}': ("text", "1.png", 5),
    '{"file_name": "1.png", "text": ["a", 5]}': ("text", "1.png", 5),
    '{"file_name": "0.png", "text": "another"}': ("0.png", "line 1"),
    '{"file_name": "line\\nbreak\\ud83d.png", "text": "a"}': (r"line\nbreak\ud83d.png",),
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_bad_line_is_named_counted_and_left_out(root, caplog, line):
    good, _ = numbered(root, 2)
    write_jsonl(root, good, "", line)
    source = open_folder(root, captions=True)
    assert captions_by_level(source) == {0: ("level 0",)}
    first, summary, *_ = log_lines(caplog)
    assert first.startswith("metadata.jsonl line 3: ") and "\n" not in first
    assert not missing_facts(first, *FAULTS[line])
    assert not missing_facts(summary, "1 lines", "metadata.jsonl", root)
    named = "1.png" in line and ".." not in line
    reports = [line for line in log_lines(caplog) if "1.png" in line and "no line" in line]
    assert len(reports) == (not named)  # an image is reported once
    caplog.text.encode()


def test_bytes_that_are_no_utf8_spoil_their_line_alone(root, caplog):
    lines = [json.dumps(line).encode() for line in numbered(root)]
    lines[1] = lines[1].replace(b"level", b"l\xe4vel")
    (root / "metadata.jsonl").write_bytes(b"\r\n".join(lines))
    assert set(captions_by_level(open_folder(root, captions=True))) == {0, 2}
    assert not missing_facts(log_lines(caplog)[0], "line 2", "UTF-8")


def test_bad_rows_of_csv(root, caplog):
    numbered(root)
    (root / "metadata.csv").write_text(
        'file_name,text\n0.png,"two\nlines"\n1.png\n1.png,a,b\nx.png,"a"b\n\n2.png,two\n'
    )
    source = open_folder(root, captions=True)
    assert captions_by_level(source) == {0: ("two\nlines",), 2: ("two",)}
    reports = log_lines(caplog)
    for report, facts in zip(
        reports, [("line 4", "1 columns", 2), ("line 5", "3 columns"), ("line 6",)], strict=False
    ):
        assert not missing_facts(report, "metadata.csv", *facts)
    assert not missing_facts(reports[3], "3 lines")


def test_the_first_faults_are_shown_and_all_are_counted(root, caplog):
    lines = numbered(root, 20)
    write_jsonl(root, lines[0], *["bad"] * 30)
    open_folder(root, captions=True)
    assert sum("not JSON" in line for line in log_lines(caplog)) == SHOWN
    assert not missing_facts(caplog.text, "30 lines", "19 images")
    assert sum("no line" in line for line in log_lines(caplog)) == SHOWN


def test_a_damaged_image_is_reported_once(root, caplog):
    write_jsonl(root, *numbered(root, 2))
    (root / "1.png").write_bytes(b"nothing")
    assert set(captions_by_level(open_folder(root, captions=True))) == {0}
    assert sum("1.png" in line for line in log_lines(caplog)) == 1


def test_nothing_usable(root):
    numbered(root, 2)
    write_jsonl(root, "bad", {"file_name": "x.png", "text": "a"})
    with refuses(root, "2 lines", "metadata.jsonl line 1", "JSON", "0.png"):
        open_folder(root, captions=True)


def test_metadata_that_is_missing_or_there_twice(root):
    lines = numbered(root)
    for options, field in (
        ({"captions": True}, "text"),
        ({"labels": "metadata"}, "label"),
        ({"split_by": "kind"}, "kind"),
    ):
        with refuses(root, "metadata.jsonl", "metadata.csv", "file_name", field):
            open_folder(root, **options)
    write_jsonl(root, *lines)
    write_csv(root, *lines)
    with refuses(root, "metadata.jsonl", "metadata.csv"):
        open_folder(root, captions=True)
    assert open_folder(root).size("train") == 3  # not needed, not read


# --- labels ------------------------------------------------------------------------------------


def test_labels_from_metadata(root, caplog):
    labels = ["dog", 10, 9, "cat", None, "dog", 1.5]
    write_jsonl(root, *numbered(root, 7, label=labels.__getitem__))
    source = open_folder(root, labels="metadata")
    assert source.class_names == ("9", "10", "cat", "dog") and source.num_classes == 4
    examples = every(source)
    assert examples["image"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 5]
    assert examples["label"].tolist() == [3, 1, 0, 2, 3] and examples["label"].dtype == np.int32
    assert "text" not in examples
    assert not missing_facts(caplog.text, "line 5", "line 7", "1.5", "2 lines")


def test_folders_as_classes_with_captions(root):
    for name in ("b/1", "a/2", "a/3"):
        save(root / f"{name}.png", gray(int(name[-1])))
    write_jsonl(
        root, {"file_name": "b/1.png", "text": "one"}, {"file_name": "a/3.png", "text": "three"}
    )
    source = open_folder(root, labels="folders", captions=True)
    assert source.class_names == ("a", "b")
    assert every(source)["label"].tolist() == [0, 1]
    assert captions_by_level(source) == {1: ("one",), 3: ("three",)}


# --- groups ------------------------------------------------------------------------------------


def test_splits_are_disjoint_by_group_and_by_content(root):
    lines = numbered(root, 200, kind=lambda level: level // 4 if level < 100 else None)
    save(root / "copy.png", gray(0))  # has the content of one group, and the value of another
    lines.append({"file_name": "copy.png", "kind": 20})
    save(root / "unlisted.png", gray(250))
    write_jsonl(root, *lines)
    source = open_folder(root, 0.3, split_by="kind")
    levels = {split: every(source, split)["image"][:, 0, 0, 0].tolist() for split in source.splits}
    assert sum(map(len, levels.values())) == 202 and 250 in sum(levels.values(), [])
    assert not set(levels["train"]) & set(levels["validation"])
    kinds = [{level // 4 for level in found if level < 100} for found in levels.values()]
    kinds = [{0 if kind == 20 else kind for kind in found} for found in kinds]
    assert all(kinds) and not kinds[0] & kinds[1]
    # An image without a group stays where it is.
    plain = open_folder(root, 0.3)
    alone = [level for level in levels["validation"] if level >= 100]
    validation = every(plain, "validation")["image"][:, 0, 0, 0]
    assert sorted(alone) == sorted(level for level in validation.tolist() if level >= 100)


def test_a_value_may_name_another_image(root):
    """Variants name their base by its path from the top, or from their own directory."""
    lines = []
    for family in range(40):
        for member in range(3):
            save(root / "sub" / f"{family}-{member}.png", gray(3 * family + member))
            base = f"{family}-0.png" if member == 1 else f"sub/{family}-0.png"
            lines.append(
                {"file_name": f"sub/{family}-{member}.png", "of": base if member else None}
            )
    write_jsonl(root, *lines)
    source = open_folder(root, 0.4, split_by="of")
    families = [
        {int(image.flat[0]) // 3 for image in every(source, split)["image"]}
        for split in source.splits
    ]
    assert all(families) and not families[0] & families[1]


def test_a_group_of_any_size_is_as_likely_to_be_in_validation():
    digests = [hashlib.sha256(f"{n}".encode()).digest() for n in range(5000)]
    values = [f"group {n // 10}" for n in range(5000)]
    keys = group_keys(digests, [f"{n}.png" for n in range(5000)], values)
    assert len({*keys}) == 500
    share = np.mean([in_validation(key, 0.1) for key in keys])
    assert 0.06 < share < 0.14


def test_a_field_that_no_line_has(root):
    write_jsonl(root, *numbered(root, kind=str))
    with refuses("split_by", "kid", "file_name", "text", "kind"):
        open_folder(root, split_by="kid")
    write_jsonl(root, "bad")
    with refuses("split_by", "kind", "metadata.jsonl line 1", "JSON"):
        open_folder(root, split_by="kind")


# --- the ground under transparency ---------------------------------------------------------------


def transparent(root):
    """Writes an image of an opaque, a half transparent and a transparent part."""
    pixels = np.zeros((8, 8, 4), "uint8")
    pixels[..., 0] = 200
    pixels[:2, :, 3], pixels[2:4, :, 3] = 255, 51  # opaque, and a fifth
    save(root / "alpha.png", pixels)


def test_alpha_lies_over_the_background(root):
    transparent(root)
    save(root / "opaque.png", gray(90))
    for background, (red, green, blue) in (
        ("white", (255, 255, 255)),
        ("Black", (0, 0, 0)),
        ("0,128,255", (0, 128, 255)),
    ):
        source = open_folder(root, background=background)
        image, opaque = every(source)["image"].astype(int)
        assert (image[4:] == (red, green, blue)).all() and (image[:2] == (200, 0, 0)).all()
        mixed = 0.2 * np.array([200, 0, 0]) + 0.8 * np.array([red, green, blue])
        assert np.abs(image[2:4] - mixed).max() <= 1
        assert (opaque == 90).all()
    image = every(open_folder(root, background="black", channels=1))["image"][0]
    assert image.shape == (8, 8, 1) and (image[4:] == 0).all()


def test_an_opaque_background_gives_what_decode_gives(root):
    """Whatever the format; white through the second decoding is white through the first."""
    for seed, mode in enumerate(("RGBA", "LA", "P", "I;16")):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 16, 4), "uint8")
        image = Image.fromarray(pixels)
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype("uint16") << 8)
        image = image if mode in ("RGBA", "I;16") else image.convert(mode)
        options = {"P": {"transparency": 3}, "I;16": {"transparency": 0}}.get(mode, {})
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(root / f"{seed}.png", exif=exif, **options)
    plain = every(open_folder(root))["image"]
    almost = every(open_folder(root, background="254,255,255"))["image"]
    assert np.abs(plain.astype(int) - almost).max() <= 1 and (plain != almost).any()


def test_the_split_is_the_same_on_every_background(root):
    for level in range(0, 250, 5):
        pixels = np.full((8, 8, 4), level, "uint8")
        pixels[:4, :, 3] = 255
        save(root / f"{level}.png", pixels)
    white, black = (open_folder(root, 0.4, background=name) for name in ("white", "black"))
    for split in ("train", "validation"):
        levels = [every(source, split)["image"][:, 0, 0, 0] for source in (white, black)]
        np.testing.assert_array_equal(*levels)


@pytest.mark.parametrize("value", ["wite", "", "1,2", "1,2,256", "1,2,3,4", "-1,2,3", "#fff", None])
def test_a_background_that_is_no_colour(root, value):
    numbered(root)
    with refuses("background", repr(value), "white", "r,g,b"):
        open_folder(root, background=value)


# --- the fingerprint, the configuration and the whole way ----------------------------------------


def test_the_fingerprint_tells_captions_labels_groups_and_background(root):
    lines = numbered(root, 6, label=lambda level: level % 2, kind=lambda level: level // 3)
    write_jsonl(root, *lines)
    options = {"captions": True, "labels": "metadata", "split_by": "kind"}
    prints = [open_folder(root, **options).fingerprint()]
    prints.append(open_folder(root, **options, background="black").fingerprint())
    prints += [open_folder(root, **{name: options[name]}).fingerprint() for name in options]
    prints.append(open_folder(root).fingerprint())
    for change in ({"text": "other"}, {"label": 1}, {"kind": 1}):
        write_jsonl(root, lines[0] | change, *lines[1:])
        prints.append(open_folder(root, **options).fingerprint())
    (root / "0.png").rename(root / "spare.png")  # two images change places, not their captions
    (root / "1.png").rename(root / "0.png")
    (root / "spare.png").rename(root / "1.png")
    write_jsonl(root, *lines)
    prints.append(open_folder(root, captions=True).fingerprint())
    assert len({*prints}) == len(prints) == 10


def test_the_fingerprint_of_older_runs_stays(root):
    """Without metadata and over white it is what it was: of digests, and of paths with labels."""
    numbered(root)
    save(root / "sub" / "1.png", gray(1))
    digest = hashlib.sha256(repr((8, 8)).encode() + gray(1).tobytes()).digest()
    expected = hashlib.sha256(digest + repr(["sub/1.png"]).encode()).hexdigest()[:16]
    assert open_folder(root, labels="folders").fingerprint() == expected


def test_load_and_configuration(root):
    write_jsonl(root, *numbered(root, kind=str))
    source = data.load("folder", data_dir=root, image_size=8, captions=True, split_by="kind")
    assert source.num_captions == 1 and "split by kind" in source.description
    with refuses("shapes", "background", "black"):
        data.load("shapes", background="black")
    run = make_run(
        dataset="folder", data_dir=str(root), labels="metadata", conditions="text", image_size=8
    )
    assert run.data.condition_names == ("text", "label")
    fields = json.loads(run.to_json())
    for name in ("background", "split_by"):
        del fields["data"][name]
    assert RunConfig.from_json(json.dumps(fields)) == run  # a run from before these fields
    with refuses("labels", "metadata", "folders", "none"):
        DataConfig(labels="meta")


@pytest.mark.slow
def test_text_conditions_training_evaluation_and_sampling(root, tmp_path):
    lines = numbered(root, 12, label=lambda level: level % 2)
    write_jsonl(root, *lines)
    fields = TRAIN | SMALL | {"channels": 3, "image_size": 8, "base_size": 4, "batch_size": 2}
    fields |= {"dataset": "folder", "data_dir": str(root), "validation_fraction": 0.4}
    run = make_run(**fields, conditions="text", labels="metadata", steps=1)
    loop.train(run, tmp_path / "run", load_source(run), progress=SilentProgress)
    found = Run(tmp_path / "run")
    assert found.config.model.text and found.config.model.num_classes == 2
    model, source = found.model(), found.source()
    assert np.isfinite(evaluate(model, source, "validation", 2).bits_per_dim)
    images = model.sample(1, {"text": ["level 3"], "label": np.array([1])}, seed=0)
    assert images.shape == (1, 8, 8, 3)


# --- real data -----------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
def test_emoji(caplog):
    folder = pathlib.Path(REAL, "emoji")
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    source = Folder(folder, (16, 16), captions=True, split_by="variant_of", background="black")
    assert not log_lines(caplog)
    assert source.size("train") + source.size("validation") == len(lines) == 3781
    assert 200 < source.size("validation") < 600
    same = Folder(folder, (16, 16), captions=True, split_by="short_name", background="black")
    counts = collections.Counter(line["text"] for line in lines)  # 6 captions occur twice
    names = {line["text"]: line["short_name"] for line in lines if counts[line["text"]] == 1}
    seen = []
    for split in source.splits:
        captions = [captions[0] for captions in every(source, split, ("text",))["text"]]
        assert captions == [captions[0] for captions in every(same, split, ("text",))["text"]]
        seen.append({names[caption] for caption in captions if caption in names})
    assert not seen[0] & seen[1]
    corners = every(source, "train", ("image",))["image"][:, 0, 0]
    assert (corners == 0).all(axis=-1).mean() > 0.5
