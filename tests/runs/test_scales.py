"""Scales that are trained apart, by the command, into one folder; and what is made of them."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.cli import evaluate, sample, train, upscale
from ms_pixelcnn_tf.drawing import contact_sheet
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.runs.checkpoint import claim, latest_step
from ms_pixelcnn_tf.runs.folder import CONFIG, SCALES
from ms_pixelcnn_tf.runs.lock import training_in
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.scales import folder_of, parts
from support.errors import missing_facts, refuses
from support.models import as_flags, random_conditions, random_levels, small_image
from support.runs import state

TINY = as_flags(small_image(image_size=16, base_size=4, num_levels=4, base_layers=1)) + [
    "--batch_size=2",
    "--evaluation_examples=2",
    "--sample_every=0",
    "--learning_rate=0.01",
    "--final_learning_rate=0.01",
]
CONDITIONAL = [  # up to 32, so that scales trained together would share an encoder
    "--conditions=text,keypoints",
    "--encoder_shared_to=32",
]
PROGRAM = "from ms_pixelcnn_tf.cli import flags, train; flags.run(train.main)"


def arguments(workdir, scale, *more, steps=2):
    return [*TINY, f"--workdir={workdir}", f"--scale={scale}", f"--steps={steps}", *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Base and 8 of three scales, trained by two processes at once."""
    workdir = tmp_path_factory.mktemp("parts")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments(workdir, scale)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for scale in ("base", "8")
    ]
    for process, scale in zip(processes, ("base", "8"), strict=True):
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert not missing_facts(said, f"scale {scale}", "base, 8, 16"), said
    return workdir


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy to change."""
    return shutil.copytree(finished, tmp_path / "run")


def evaluated(capsys, workdir, *more):
    """What the command prints, as text or from JSON."""
    capsys.readouterr()
    evaluate.main([f"--workdir={workdir}", "--limit=4", *more])
    said = capsys.readouterr().out
    return json.loads(said) if "--json" in more else said


def check_terms(workdir, conditions=None):
    """The assembled model's terms are each part's own; returns the model."""
    whole = Run(workdir).model()
    images = random_levels(whole, 3)
    terms, seen = whole.log_prob_terms(images, conditions), []
    for folder in parts(workdir):
        own = Run(folder).model().log_prob_terms(images, conditions)
        seen += own
        for name, values in own.items():
            np.testing.assert_allclose(terms[name], values, rtol=1e-6)
    assert sorted(seen) == sorted(terms)
    return whole


@pytest.mark.slow
def test_each_part_has_a_folder_of_its_own(finished):
    assert [folder.name for folder in parts(finished)] == ["8", "base"]
    assert [path.name for path in finished.iterdir()] == [SCALES]
    assert all(latest_step(folder) == 2 for folder in parts(finished))
    assert Run(finished).config.model.scale == "base,8"


@pytest.mark.slow
def test_parts_are_assembled(finished):
    model = check_terms(finished)
    assert model.config.held_scales == ("base", "8")
    assert list(model.term_dims) == ["base", *(f"4to8/group{g}" for g in (2, 3, 4))]
    trained = state(finished / SCALES / "8")
    for variable in model.trainable_variables:
        escaped = variable.path.replace("/", ".S")  # as TensorFlow writes it
        key = f"averaged/{escaped}/.ATTRIBUTES/VARIABLE_VALUE"
        assert (key in trained) == (not variable.path.startswith("base"))
        if key in trained:
            np.testing.assert_array_equal(variable.numpy(), trained[key])


@pytest.mark.slow
def test_evaluate_tells_the_missing_scale(finished, capsys):
    whole = evaluated(capsys, finished, "--json")
    assert whole["missing_scales"] == ["16"] and whole["examples"] == 4
    assert list(whole["terms"]) == ["base", *(f"4to8/group{g}" for g in (2, 3, 4))]
    assert whole["nats"] == pytest.approx(sum(t["nats"] for t in whole["terms"].values()))
    for folder, run in parts(finished).items():
        own = evaluated(capsys, folder, "--json")
        assert own["missing_scales"] == [
            name for name in ("base", "8", "16") if name not in run.model.held_scales
        ]
        for name, term in own["terms"].items():
            assert term["nats"] == pytest.approx(whole["terms"][name]["nats"], rel=1e-5)
    assert not missing_facts(evaluated(capsys, finished), "missing", "scale 16")


@pytest.mark.slow
def test_what_is_there_is_sampled_from_the_base_upwards(finished):
    model = Run(finished).model(to_sample=True)
    assert model.config.image_size == (8, 8) and model.config.scale == "all"
    images = model.sample(3, seed=1)
    assert images.shape == (3, 8, 8, 1)
    parts_of_it = Run(finished).model()
    larger = np.zeros((3, 16, 16, 1), "uint8")
    larger[:, ::2, ::2] = images
    terms = parts_of_it.log_prob_terms(larger)
    for name, values in model.log_prob_terms(images).items():
        np.testing.assert_allclose(values, terms[name], rtol=1e-6)


@pytest.mark.slow
def test_the_missing_scale_completes_the_run(workdir, capsys):
    train.main(arguments(workdir, "16"))
    model = check_terms(workdir)
    assert model.config.scale == "all" and model.sample(2).shape == (2, 16, 16, 1)
    assert Run(workdir).model(to_sample=True).config == model.config
    assert evaluated(capsys, workdir, "--json")["missing_scales"] == []
    assert "missing" not in evaluated(capsys, workdir)
    shutil.rmtree(workdir / SCALES / "8")  # a gap: of no use without it
    alone = Run(workdir).model(to_sample=True)
    assert alone.config.image_size == (4, 4) and alone.sample(2).shape == (2, 4, 4, 1)
    assert evaluated(capsys, workdir, "--json")["missing_scales"] == ["8"]


@pytest.mark.slow
def test_without_the_base_nothing_is_sampled(workdir):
    shutil.rmtree(workdir / SCALES / "base")
    with refuses("scale base", 8):
        Run(workdir).model(to_sample=True)
    low = np.zeros((2, 4, 4, 1), "uint8")
    assert Run(workdir).model().upscale(low, 8).shape == (2, 8, 8, 1)


@pytest.mark.slow
def test_a_part_without_a_checkpoint_does_not_count(workdir):
    shutil.rmtree(workdir / SCALES / "8" / "checkpoints")
    assert Run(workdir).config.model.scale == "base"
    assert Run(workdir).model(to_sample=True).sample(1).shape == (1, 4, 4, 1)
    shutil.rmtree(workdir / SCALES / "base" / "checkpoints")
    with refuses(workdir, "config.json"):
        Run(workdir).model()


@pytest.mark.parametrize("scale", ["base", pytest.param("8", marks=pytest.mark.slow)])
def test_a_part_goes_on_as_if_it_had_not_stopped(workdir, tmp_path, scale):
    train.main(arguments(workdir, scale, steps=4))
    train.main(arguments(tmp_path / "uninterrupted", scale, steps=4))
    got, expected = (
        state(folder / SCALES / scale) for folder in (workdir, tmp_path / "uninterrupted")
    )
    assert int(got["state/step/.ATTRIBUTES/VARIABLE_VALUE"]) == 4
    assert got.keys() == expected.keys()
    for name in expected:
        if "recent" not in name:  # since the last validation, which a stop at the last step adds
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.parametrize(
    "scale, more, facts",
    [
        ("16", ["--features=6"], ("features", 8, 6)),
        ("16", ["--data_seed=1"], ("data_seed", 0, 1)),
        ("16", ["--output=dmol"], ("output", "softmax", "dmol")),
        ("16,8", [], ("scales/8", "scale 8")),
        ("base,16", [], ("scales/base", "scale base")),
        ("all", [], ("apart", "--scale", "--workdir")),
        ("base,8,16", [], ("apart", "--scale", "--workdir")),
        ("base", ["--batch_size=3"], ("batch_size", 2, 3)),
    ],
)
def test_what_does_not_belong_to_the_run_is_refused(finished, scale, more, facts):
    before = sorted(path for path in finished.rglob("*"))
    with refuses(*facts) as error:
        train.main(arguments(finished, scale, *more))
    assert str(finished) in str(error.value)
    assert sorted(path for path in finished.rglob("*")) == before


def test_other_seeds_and_lengths_belong_together(workdir):
    """How a part is trained is its own affair."""
    train.main(arguments(workdir, "16", "--seed=3", "--batch_size=3", steps=1))
    assert Run(workdir).config.model.scale == "all"


def test_a_part_is_refused_in_a_folder_of_a_whole_run(finished, tmp_path):
    run = Run(finished / SCALES / "base").config.to_json()
    (tmp_path / "config.json").write_text(run.replace('"scale": "base"', '"scale": "all"'))
    with refuses(tmp_path, "all scales", "--workdir"):
        train.main(arguments(tmp_path, "8"))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_scale_held_twice_is_told_when_it_is_read(workdir):
    shutil.copytree(workdir / SCALES / "8", workdir / SCALES / "copy")
    for read in (Run, ms.load):
        with refuses(workdir / SCALES, "scale 8"):
            read(workdir)


def test_parts_of_other_data_are_refused(workdir):
    sheet = workdir / SCALES / "8" / "data.json"
    fields = json.loads(sheet.read_text()) | {"fingerprint": "other"}
    sheet.write_text(json.dumps(fields))
    with refuses(workdir, "fingerprint", '"other"'):
        train.main(arguments(workdir, "16"))
    assert not (workdir / SCALES / "16").exists()


@pytest.mark.parametrize("config", ["{", "", None])
def test_what_a_failed_run_left_blocks_nothing(workdir, config):
    """A folder of a part without a checkpoint holds nothing worth keeping."""
    right = (workdir / SCALES / "8" / CONFIG).read_text().replace('"scale": "8"', '"scale": "8,16"')
    (workdir / SCALES / "8-16").mkdir()
    (workdir / SCALES / "8-16" / CONFIG).write_text(right if config is None else config)
    assert [folder.name for folder in parts(workdir)] == ["8", "base"]
    assert Run(workdir).config.model.scale == "base,8"
    run = with_scale(Run(workdir).config, "16")
    assert folder_of(workdir, run) == workdir / SCALES / "16"


def test_what_a_process_trains_in_counts_before_its_first_checkpoint(workdir):
    folder, run = workdir / SCALES / "16", with_scale(Run(workdir).config, "16")
    with training_in(folder):
        claim(folder, run)
        assert [part.name for part in parts(workdir)] == ["16", "8", "base"]
        with refuses(folder, "scale 16"):
            folder_of(workdir, with_scale(run, "base,16"))
        assert Run(workdir).config.model.scale == "base,8"  # there is nothing to read yet
    assert [part.name for part in parts(workdir)] == ["8", "base"]


def test_all_scales_are_trained_where_only_a_failed_part_is(workdir):
    for name in ("8", "base"):
        shutil.rmtree(workdir / SCALES / name / "checkpoints")
    assert folder_of(workdir, with_scale(Run(workdir / SCALES / "8").config, "all")) == workdir


def with_scale(run, scale):
    return dataclasses.replace(run, model=dataclasses.replace(run.model, scale=scale))


@pytest.mark.parametrize("odd", ["base", "copy"])
@pytest.mark.parametrize(
    "field, value", [("class_names", ["dog"]), ("examples", {"train": 3}), ("fingerprint", "other")]
)
def test_parts_of_different_data_are_told_when_they_are_assembled(workdir, odd, field, value):
    """The one that differs from the most."""
    shutil.copytree(workdir / SCALES / "8", workdir / SCALES / "copy")
    sheet = workdir / SCALES / odd / "data.json"
    sheet.write_text(json.dumps(json.loads(sheet.read_text()) | {field: value}))
    for read in (Run, ms.load):
        with refuses(workdir / SCALES / odd, "other data", workdir / SCALES / "8", field):
            read(workdir)


def test_parts_are_not_trained_by_one_process(tmp_path):
    with refuses("scale", "base,8;16", "--scale=base,8"):
        train.main(arguments(tmp_path / "run", "16;base,8"))
    assert not (tmp_path / "run").exists()


# -- conditional parts: base and 8 of three -------------------------------------------------------


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """Trained apart on captions and keypoints."""
    workdir = tmp_path_factory.mktemp("conditional")
    for scale in ("8", "base"):
        train.main(arguments(workdir, scale, *CONDITIONAL))
    return workdir


@pytest.mark.slow
def test_parts_have_encoders_of_their_own(conditional, capsys):
    conditions = random_conditions(Run(conditional).model(), 3)
    model = check_terms(conditional, conditions)
    assert model.config.scale == "base;8"
    assert [encoder.name for encoder in model.encoders] == ["encoder", "encoder_8"]
    assert evaluated(capsys, conditional, "--json")["missing_scales"] == ["16"]
    sampled = Run(conditional).model(to_sample=True)
    assert sampled.config.scale == "base;8" and sampled.config.image_size == (8, 8)
    weights = {v.path: v.numpy() for v in model.trainable_variables}
    assert {v.path for v in sampled.trainable_variables} == set(weights)
    for variable in sampled.trainable_variables:
        np.testing.assert_array_equal(variable.numpy(), weights[variable.path])


@pytest.fixture
def asked(monkeypatch):
    """The keypoints that models are asked to show, call by call."""
    seen = []

    def recorded(real):
        def recording(self, *args, **options):
            conditions = options.get("conditions") or args[1]
            seen.append(np.asarray(conditions["keypoints"]))
            return real(self, *args, **options)

        return recording

    for name in ("sample", "upscale"):
        real = getattr(MultiscalePixelCNN, name)
        monkeypatch.setattr(MultiscalePixelCNN, name, recorded(real))
    return seen


def write_points(folder):
    """One part at the right of an image of 16x16: outside one of 8x8."""
    path = folder / "points.json"
    path.write_text(json.dumps({"points": {"main centre": [14.5, 3.5]}}))
    return [f"--keypoints={path}", "--text=a red star"]


def check_asked(asked, num):
    """The point is where the run's own pixels have it: column 14, row 3 of 16; of 32, at twice."""
    (maps,) = asked
    assert len(maps) == num and (maps.sum(axis=(1, 2, 3)) == 1).all()
    assert maps[:, 7, 29, 0].all()


@pytest.mark.slow
def test_samples_of_a_partial_run(conditional, tmp_path, capsys, asked):
    sample.main(
        [
            f"--workdir={conditional}",
            "--num=3",
            "--scale=2",
            f"--out={tmp_path / 'a.png'}",
            *write_points(tmp_path),
        ]
    )
    assert not missing_facts(capsys.readouterr().out, "missing", "scale 16", "8x8")
    check_asked(asked, 3)
    drawn = np.asarray(Image.open(tmp_path / "a.png"))
    assert drawn.shape[1] == sample.PANEL_SIDE + contact_sheet.GAP + 3 * (8 * 2 + 2) + 2
    scale = sample.PANEL_SIDE / 16  # the panel is of the run's images
    place = drawn[int(3.5 * scale), int(14.5 * scale)]
    assert tuple(place) == contact_sheet.colour_of(0)


@pytest.mark.slow
def test_images_upscaled_by_a_partial_run(conditional, tmp_path, capsys, asked):
    given = np.random.default_rng(0).integers(0, 256, (4, 4), "uint8")
    Image.fromarray(given).save(tmp_path / "low.png")
    (tmp_path / "out").mkdir()
    options = [
        f"--workdir={conditional}",
        f"--input={tmp_path / 'low.png'}",
        "--from=4",
        "--num=2",
        f"--out={tmp_path / 'out' / 'a.png'}",
        f"--outdir={tmp_path / 'out'}",
        *write_points(tmp_path),
    ]
    upscale.main(options)
    assert not missing_facts(capsys.readouterr().out, "missing", "scale 16", "8x8")
    check_asked(asked, 2)
    for number in range(2):
        found = np.asarray(Image.open(tmp_path / "out" / f"low-{number}.png"))[..., 0]
        kept = pixels.dequantise(pixels.quantise(given, 4), 4)
        assert found.shape == (8, 8)
        np.testing.assert_array_equal(found[::2, ::2], kept)
    upscale.main([*options, "--to=8"])
    assert "missing" not in capsys.readouterr().out  # what was asked for is there
    with refuses("scale 16", "4 to 16", "base, 8"):
        upscale.main([*options, "--to=16"])
    with refuses("scale 16", "8 to 16"):
        upscale.main([*options, "--from=8"])


@pytest.mark.slow
def test_a_whole_run_misses_nothing(conditional, tmp_path, capsys):
    shutil.copytree(conditional, tmp_path / "run")
    train.main(arguments(tmp_path / "run", "16", *CONDITIONAL, steps=1))
    assert Run(tmp_path / "run").config.model.scale == "base;8;16"
    capsys.readouterr()
    sample.main(
        [
            f"--workdir={tmp_path / 'run'}",
            "--num=1",
            f"--out={tmp_path / 'a.png'}",
            *write_points(tmp_path),
        ]
    )
    assert "missing" not in capsys.readouterr().out
