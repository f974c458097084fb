"""From the owners' files to conditional samples by the commands: build, train, evaluate, sample.

Once on the generated CUB, and on real images of CUB, COCO and MPII where these are at hand. COCO's
captions and segmentations are real. The captions of CUB and MPII are generated here, in the layout
of the captions' archive: the authentic ones cannot be had.

The models are those of the `tiny` preset: its widths, 256 levels, the scale to 32x32 on crops of
16x16, averaged weights. Cut are the steps, to few, with the warm-up; and validation, which is of
all captions, comes at the half and the end.
"""

import dataclasses
import json
import os
import pathlib
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import evaluate, prompt_flags, sample, train
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.drawing import contact_sheet
from ms_pixelcnn_tf.generation import prompts
from ms_pixelcnn_tf.runs.datasheet import DATASHEET
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from support.written_cub import write_cub
from tfrecords_tools.build import build

pytestmark = pytest.mark.slow

REAL = os.environ.get("MS_PIXELCNN_REAL_DATA")
real = pytest.mark.skipif(not REAL, reason="MS_PIXELCNN_REAL_DATA is not set")
SIDE, STEPS, SAMPLES, SCALE = 32, 24, 3, 4
SHORT = {
    "image_size": SIDE,
    "steps": STEPS,
    "warmup_steps": 4,
    "evaluate_every": STEPS // 2,
    "evaluation_examples": 0,
    "sample_every": 0,
}
OPENINGS = (
    "this bird is",
    "a photograph of",
    "one can see",
    "here sits",
    "the picture shows",
    "this is",
    "in the middle there is",
    "we look at",
    "a close view of",
    "that must be",
)


def write_captions(folder, paths, about, count):
    """Generated captions in Reed et al.'s layout: a file an image, one caption a line.

    Args:
        folder: of all captions.
        paths: of the images, relative to their own folder.
        about: path → what the image is said to show.
        count: captions an image.
    """
    for path in paths:
        file = (folder / path).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{opening} {about(path)}" for opening in OPENINGS[:count]]
        file.write_text("\n".join(lines) + "\n")


def generated_source(root):
    """The generated CUB: 48 images, so that what is learnt of some is of use for others, and ten
    captions each."""
    write_cub(root, images_a_class=12)
    return root


def cub_source(root):
    """200 real images with their annotation, and ten generated captions each."""
    for name in ("CUB_200_2011", "stackgan_split"):
        (root / name).symlink_to(pathlib.Path(REAL, "cub", name).resolve())
    images = root / "CUB_200_2011" / "images"
    write_captions(
        root / "cvpr2016_cub" / "text_c10",
        [path.relative_to(images) for path in images.glob("*/*.jpg")],
        lambda path: "a " + path.parts[0].split(".")[1].replace("_", " ").lower(),
        10,
    )
    return root


def mpii_source(root):
    """Five real images with their annotation: three to train on, two for validation; and three
    generated captions each."""
    sample = pathlib.Path(REAL, "mpii", "mmpose_sample")
    people = json.loads((sample / "test_mpii.json").read_text())
    for name, some in (("train", people[:3]), ("valid", people[3:])):
        (root / f"{name}.json").write_text(json.dumps(some))
    images = sorted(sample.rglob("*.jpg"))
    for image in images:
        (root / image.name).symlink_to(image.resolve())
    names = [pathlib.Path(image.name) for image in images]
    write_captions(root / "text_c10", names, lambda path: f"person {path.stem}", 3)
    return root


def coco_source(root):
    """159 real images with their captions and objects."""
    del root
    return f"{REAL}/coco"


# Name of the data set, what makes its source, conditions, images.
SETS = {
    "generated": ("cub", generated_source, "text,keypoints", 48),
    "cub": ("cub", cub_source, "text,keypoints", 200),
    "coco": ("coco", coco_source, "text,segmentation", 159),
    "mpii": ("mpii", mpii_source, "text,keypoints", 5),
}


class Trained(NamedTuple):
    """A trained run."""

    workdir: pathlib.Path
    source: data.Source


@pytest.fixture(
    scope="module",
    params=["generated", *(pytest.param(name, marks=real) for name in ("cub", "coco", "mpii"))],
)
def run(request, tmp_path_factory):
    """A data set, built from the owners' files, and a run trained on it by the command."""
    name, make_source, conditions, num_images = SETS[request.param]
    root = tmp_path_factory.mktemp(request.param)
    for part in ("source", "built"):
        (root / part).mkdir()
    summary = build(name, make_source(root / "source"), root / "built", image_size=32)
    assert sum(summary.examples.values()) == num_images
    train.main(
        [
            f"--dataset={name}",
            f"--data_dir={root / 'built'}",
            f"--conditions={conditions}",
            f"--workdir={root / 'run'}",
            *(f"--{field}={value}" for field, value in SHORT.items()),
        ]
    )
    source = data.load(name, data_dir=str(root / "built"), image_size=SIDE)
    return Trained(root / "run", source)


def suited_example(run):
    """Number of a validation example that one prompt can say all of: no two segments overlap."""
    if not run.source.num_segments:
        return 0
    for number in range(run.source.size("validation")):
        (maps,) = run.source.examples("validation", [number], ("segmentation",))["segmentation"]
        if maps.any() and maps.sum(axis=-1).max() == 1:
            return number
    raise AssertionError("every validation example has overlapping segments")


def write_prompt(run, number, folder):
    """The conditions of a validation example as a file of one prompt; parts by their names."""
    fields = Run(run.workdir).config.model.conditions
    found = {k: v[0] for k, v in run.source.examples("validation", [number], fields).items()}
    prompt = {"text": found["text"][0]}
    if "keypoints" in found:
        parts = zip(run.source.keypoint_names, found["keypoints"].tolist(), strict=True)
        prompt["keypoints"] = {"points": {name: [x, y] for name, (x, y, seen) in parts if seen}}
        assert prompt["keypoints"]["points"]
    if "segmentation" in found:
        maps = found["segmentation"]
        mask = np.where(maps.any(axis=-1), 1 + maps.argmax(axis=-1), 0).astype("uint8")
        Image.fromarray(mask).save(folder / "mask.png")
        prompt["segmentation"] = "mask.png"
    path = folder / "prompts.jsonl"
    path.write_text(json.dumps(prompt) + "\n")
    return path


def test_the_model_is_the_presets(run):
    whole = Run(run.workdir).config
    preset = make_run(run.source.name, preset="tiny", image_size=SIDE)
    assert whole.train == dataclasses.replace(
        preset.train, **{name: value for name, value in SHORT.items() if name != "image_size"}
    )
    assert (whole.train.crop_size, whole.train.ema_decay, whole.model.num_levels) == (16, 0.99, 256)
    filled = ("text", "num_keypoints", "num_segments")
    for field in dataclasses.fields(whole.model):
        if field.name not in filled:
            assert getattr(whole.model, field.name) == getattr(preset.model, field.name)


def test_training_learns(run):
    """The halves of the run: training and validation both fall from the first to the second.

    Of MPII there are three images to train on, which are soon known by heart: there validation
    need only stay below the 8 bits of 256 levels.
    """
    first, last = read_metrics(run.workdir)
    assert (first["step"], last["step"]) == (STEPS // 2, STEPS)
    assert last["train_bits"] < first["train_bits"]
    assert max(first["validation_bits"], last["validation_bits"]) < 8
    assert last["validation_bits"] < first["validation_bits"] or run.source.size("train") <= 3


def test_evaluation_is_exact(run, capsys):
    """Every caption of every image once; a new model finds the very bits of the last validation."""
    evaluate.main([f"--workdir={run.workdir}", "--json"])
    found = json.loads(capsys.readouterr().out)
    captions = {"cub": 10, "coco": 5, "mpii": 3}[run.source.name]
    assert run.source.num_captions == captions
    assert found["examples"] == run.source.size("validation") * captions
    assert found["bits_per_dim"] == read_metrics(run.workdir)[-1]["validation_bits"]
    assert set(found["terms"]) >= {"base", "8to16/group2", "16to32/group4"}


def test_the_run_knows_its_names(run):
    sheet = json.loads((run.workdir / DATASHEET).read_text())
    assert sheet["keypoint_names"] == list(run.source.keypoint_names)
    assert sheet["segment_names"] == list(run.source.segment_names)
    assert len(sheet["keypoint_names"]) == run.source.num_keypoints
    assert len(sheet["segment_names"]) == run.source.num_segments
    assert set(sheet["keypoint_names"] + sheet["segment_names"]) & {"beak", "left knee", "person"}


def test_a_prompt_says_what_the_example_does(run, tmp_path):
    """Keypoints by name and masks by file become the very arrays that the model was trained on."""
    config, number = Run(run.workdir).config.model, suited_example(run)
    names = prompt_flags.read_names(Run(run.workdir))
    asked = prompts.read_prompts(write_prompt(run, number, tmp_path), config, names)
    batches = pipeline.evaluation_batches(
        run.source,
        split="validation",
        batch_size=run.source.num_captions,
        fields=config.conditions,
        limit=number + 1,
    )
    *_, batch = batches.as_numpy_iterator()
    for field, values in prompts.to_conditions(asked, config).items():
        np.testing.assert_array_equal(values[0], batch[field][0])
        assert values.any()


def test_samples_beside_their_conditions(run, tmp_path):
    config, names = Run(run.workdir).config.model, prompt_flags.read_names(Run(run.workdir))
    path = write_prompt(run, suited_example(run), tmp_path)
    sample.main(
        [
            f"--workdir={run.workdir}",
            f"--prompts={path}",
            f"--num={SAMPLES}",
            f"--scale={SCALE}",
            f"--out={tmp_path / 'samples.png'}",
        ]
    )
    drawn = np.asarray(Image.open(tmp_path / "samples.png"))
    (prompt,) = prompts.read_prompts(path, config, names)
    panel = contact_sheet.panel(prompt, names, (SIDE, SIDE), sample.PANEL_SIDE)
    cell = SIDE * SCALE + 2
    width = sample.PANEL_SIDE + contact_sheet.GAP + SAMPLES * cell + 2
    assert drawn.shape == (len(panel), width, 3)
    np.testing.assert_array_equal(drawn[:, : sample.PANEL_SIDE], panel)
    row = drawn[2:cell, -SAMPLES * cell :]
    images = [row[::SCALE, n * cell :][:, : SIDE * SCALE : SCALE] for n in range(SAMPLES)]
    assert all(image.std() > 0 for image in images)
    assert len({image.tobytes() for image in images}) == SAMPLES
