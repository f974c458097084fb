"""Exports answer as the live models do, with TensorFlow alone; they are whole or absent."""

import importlib
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.export import model_card, saved_model
from ms_pixelcnn_tf.runs import card
from ms_pixelcnn_tf.sampling.uniforms import MAX_SEED
from support.errors import missing_facts, refuses
from support.exports import NAMES, make, questions

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent


def export(name, out, **options):
    model, run = make(name)
    facts = model_card.facts(model, run, out)
    return model, saved_model.export(model, run, out, facts, **options)


@pytest.fixture(scope="module", autouse=True)
def beside_a_gpu():
    """Keras takes the machine for one with a GPU, whose kernels a server may not have."""
    with pytest.MonkeyPatch.context() as patch:
        # The module, which its package hides behind a function of the same name.
        module = importlib.import_module("keras.src.backend.tensorflow.rnn")
        patch.setattr(module, "_is_gpu_available", lambda: True)
        yield


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Folder of each model's export, questions, and the answers of another process."""
    root = tmp_path_factory.mktemp("exports")
    expected = {}
    for name in NAMES:
        model, folder = export(name, root / name / "versions")
        folder.rename(root / name / "export")
        for number, (signature, arguments, answer) in enumerate(questions(name, model)):
            np.savez(root / name / f"{number}.{signature}.asked.npz", **arguments)
            expected[name, number, signature] = answer
    done = subprocess.run(
        [
            sys.executable,
            "-P" if sys.version_info >= (3, 11) else "-I",
            str(HERE.parent / "support" / "with_tensorflow_alone.py"),
            str(root),
        ],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return root, expected


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_live_models(answered, name):
    root, expected = answered
    asked = [key for key in expected if key[0] == name]
    assert asked
    for _, number, signature in asked:
        with np.load(root / name / f"{number}.{signature}.answer.npz") as answer:
            found = {key.replace("|", "/"): values for key, values in answer.items()}
        wanted = expected[name, number, signature]
        assert found.keys() == wanted.keys()
        for key in wanted:
            if wanted[key].dtype == np.uint8:
                np.testing.assert_array_equal(found[key], wanted[key], err_msg=signature)
            else:
                np.testing.assert_allclose(found[key], wanted[key], rtol=1e-5, err_msg=signature)
                assert found[key].std() > 0


def test_what_was_asked_is_all_that_there_is(answered):
    root, expected = answered
    for name in NAMES:
        there = set(card.read(root / name / "export")["signatures"])
        assert there == {signature for other, _, signature in expected if other == name}
    of_all = card.read(root / "all" / "export")["signatures"]
    assert set(of_all) == {"log_prob", "log_prob_terms", "decode", "sample", "upscale"}


@pytest.mark.parametrize("name", NAMES)
def test_load_reads_an_export_without_running_it(answered, name, monkeypatch):
    root, _ = answered
    monkeypatch.setattr(tf.saved_model, "load", None)
    model, loaded = make(name)[0], ms.load(root / name / "export")
    assert loaded.config == model.config
    for one, other in zip(loaded.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "file", ["variables/variables.data-00000-of-00001", "config.json", "saved_model.pb"]
)
def test_a_changed_file_is_told_by_its_hash(answered, tmp_path, file):
    shutil.copytree(answered[0] / "B" / "export", tmp_path / "1")
    ms.load(tmp_path)
    path = tmp_path / "1" / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 32
    path.write_bytes(content)
    with refuses(file):
        ms.load(tmp_path)
    path.unlink()
    with refuses(file.split("/")[-1]):
        ms.load(tmp_path)


def test_weights_that_no_card_tells_of_are_not_read(answered, tmp_path):
    shutil.copytree(answered[0] / "B" / "export", tmp_path / "1")
    facts = json.loads((tmp_path / "1" / "card.json").read_text())
    del facts["sha256"]["variables/variables.data-00000-of-00001"]
    (tmp_path / "1" / "card.json").write_text(json.dumps(facts))
    with refuses("variables.data-00000-of-00001", "card.json"):
        ms.load(tmp_path)
    (tmp_path / "1" / "card.json").unlink()
    with refuses(tmp_path / "1" / "variables", "card.json"):
        ms.load(tmp_path)


def test_versions_are_counted_and_the_newest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "write_graphs", lambda model, folder: {})  # they take long
    first, second, third = (
        export("B", tmp_path, **options)[1] for options in ({}, {"version": 10}, {})
    )
    assert [folder.name for folder in (first, second, third)] == ["1", "10", "11"]
    shutil.rmtree(third)
    (second / "config.json").rename(second / "away")
    with refuses(second):  # not 1, which is whole
        ms.load(tmp_path)
    with refuses(tmp_path, "version 10", "--version"):
        export("B", tmp_path, version=10)


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(saved_model, "write_graphs", lambda model, folder: {})
    monkeypatch.setattr(saved_model.card, "write", full)
    with pytest.raises(OSError, match="space"):
        export("B", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_is_of_plain_operations(answered):
    """No XLA, no Python, no call out: what a server without any of it can run."""
    root, _ = answered
    for name in NAMES:
        read = saved_model_pb2.SavedModel.FromString(
            (root / name / "export" / "saved_model.pb").read_bytes()
        )
        library = read.meta_graphs[0].graph_def.library.function
        nodes = [node for function in library for node in function.node_def]
        operations = {node.op for node in nodes}
        assert "MatMul" in operations or "Conv2D" in operations
        assert not operations & {"PyFunc", "EagerPyFunc", "ReadFile", "WriteFile"}
        assert not any(name.startswith("Cudnn") for name in operations)
        assert not any(
            "_XlaMustCompile" in function.attr and function.attr["_XlaMustCompile"].b
            for function in library
        )


@pytest.mark.parametrize(
    "name, signature, wrong, facts",
    [
        ("all", "log_prob", {"images": np.full((2, 4, 4, 3), 5, "uint8")}, ("images", "0 to 4")),
        ("all", "log_prob", {"label": np.array([0, 3], "int32")}, ("label", "0 to 2")),
        ("all", "log_prob", {"label": np.array([0], "int32")}, ("label", "as many", "images")),
        ("all", "sample", {"number": np.int32(3)}, ("as many", "images")),
        ("all", "sample", {"seed": np.int64(-1)}, ("seed", f"0 to {MAX_SEED}")),
        ("all", "decode", {"uniforms": np.ones((2, 4, 4, 3), "float32")}, ("uniforms", 0, 1)),
        (
            "B",
            "upscale",
            {"low_resolution": np.zeros((2, 3, 3, 1), "uint8")},
            ("low_resolution", "2, 4"),
        ),
        ("OT", "sample", {"actions": np.full((2, 5, 2), np.nan, "float32")}, ("actions", "finite")),
        (
            "OT_upscaler",
            "upscale",
            {"given_frames": np.ones((2, 2, 4, 4, 1), "uint8")},
            ("second pixel", "given_frames", "low_frames"),
        ),
        (
            "OT_upscaler",
            "upscale",
            {"given_frames": np.ones((1, 2, 4, 4, 1), "uint8")},
            ("as many", "given_frames", "low_frames"),
        ),
    ],
)
def test_what_is_wrong_is_told(answered, name, signature, wrong, facts):
    root, expected = answered
    number = next(n for other, n, s in expected if (other, s) == (name, signature))
    with np.load(root / name / f"{number}.{signature}.asked.npz") as asked:
        arguments = {key: tf.constant(values) for key, values in (dict(asked) | wrong).items()}
    loaded = tf.saved_model.load(str(root / name / "export"))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        loaded.signatures[signature](**arguments)
    assert not missing_facts(str(error.value), *facts)


def test_the_card(answered):
    folder = answered[0] / "all" / "export"
    facts, page = (
        json.loads((folder / "card.json").read_text()),
        (folder / "MODEL_CARD.md").read_text(),
    )
    assert facts["parameters"] == sum(
        int(np.prod(v.shape)) for v in make("all")[0].trainable_variables
    )
    assert facts["versions"]["tensorflow"] == tf.__version__ and facts["bits_per_dim"] == []
    assert set(facts["sha256"]) == {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    } - {"card.json"}
    assert "`upscale`" in page and "label, text, keypoints, segmentation" in page


def test_the_command_line_of_tensorflow(answered, tmp_path):
    """`saved_model_cli` shows and runs each signature."""
    root, expected = answered
    folder = str(root / "B" / "export")

    def cli(*arguments):
        program = "from tensorflow.python.tools.saved_model_cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        ).stdout

    shown = cli("show", "--dir", folder, "--all")
    graphs = card.read(folder)["signatures"]
    for name, graph in graphs.items():
        assert f"signature_def['{name}']" in shown
        for key in (*graph["inputs"], *graph["outputs"]):
            assert f"['{key}']" in shown
    ran = set()
    for (_, number, signature), wanted in ((k, v) for k, v in expected.items() if k[0] == "B"):
        if signature in ran:
            continue
        asked, out = root / "B" / f"{number}.{signature}.asked.npz", tmp_path / str(number)
        inputs = ";".join(f"{key}={asked}[{key}]" for key in graphs[signature]["inputs"])
        files = not any("/" in key for key in wanted)  # which the program would take for folders
        said = cli(
            "run",
            "--dir",
            folder,
            "--tag_set",
            "serve",
            "--signature_def",
            signature,
            "--inputs",
            inputs,
            *(["--outdir", str(out)] if files else []),
        )
        for key, values in wanted.items():
            assert f"Result for output key {key}" in said
            if files:
                np.testing.assert_allclose(np.load(out / f"{key}.npy"), values, rtol=1e-5)
        ran.add(signature)
    assert ran == set(graphs)
