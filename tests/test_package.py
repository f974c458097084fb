"""The wheel: what is in it, and that it works in an environment that has nothing else.

A new environment takes minutes and the network. Other interpreters than this one are tried where
MS_PIXELCNN_PYTHONS names them, as in MS_PIXELCNN_PYTHONS=python3.10,python3.12,python3.13.
"""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PYTHONS = [sys.executable, *filter(None, os.environ.get("MS_PIXELCNN_PYTHONS", "").split(","))]
NAMES = (
    "demo",
    "evaluate",
    "export",
    "inspect-data",
    "make-tfrecords",
    "report",
    "sample",
    "score",
    "train",
    "upscale",
)
PROGRAM = """
import ms_pixelcnn_tf as ms
assert "site-packages" in ms.__file__, ms.__file__
model = ms.load("shapes-tiny")
images = model.sample(2, seed=1)
assert model.log_prob(images).shape == (2,)
"""

pytestmark = pytest.mark.slow


def run(*command, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=1200, **options
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as `python -m build` does: the source archive, and the wheel of that."""
    pytest.importorskip("build")
    out, sources = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("sources") / "tree"
    for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            (sources / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--outdir", out, sources)
    assert len(list(out.glob("*.tar.gz"))) == 1
    (path,) = out.glob("*.whl")
    return path


def test_it_holds_the_package_its_types_and_its_models(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "py.typed",
        "pretrained/shapes-tiny/config.json",
        "pretrained/shapes-tiny/card.json",
    ):
        assert f"ms_pixelcnn_tf/{wanted}" in names
    assert any(
        name.startswith("ms_pixelcnn_tf/pretrained/shapes-tiny/checkpoints/step-") for name in names
    )
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    assert wheel.stat().st_size < 20e6


@pytest.mark.parametrize("python", PYTHONS)
def test_installed_in_a_new_environment_it_loads_scores_samples_and_trains(wheel, tmp_path, python):
    run(python, "-m", "venv", tmp_path / "env")
    bin_folder = tmp_path / "env" / "bin"
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", wheel)
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    quiet.pop("PYTHONPATH", None)
    run(bin_folder / "python", "-c", PROGRAM, cwd=tmp_path, env=quiet)
    run(
        bin_folder / "ms-pixelcnn-sample",
        "--model=shapes-tiny",
        "--num=2",
        "--out=x.png",
        cwd=tmp_path,
        env=quiet,
    )
    assert (tmp_path / "x.png").is_file()
    run(
        bin_folder / "ms-pixelcnn-train",
        "--image_size=8",
        "--steps=2",
        "--base_layers=1",
        "--residual_blocks=1",
        "--features=8",
        "--evaluation_examples=4",
        "--workdir=run",
        cwd=tmp_path,
        env=quiet,
    )
    assert {f"ms-pixelcnn-{name}" for name in NAMES} <= {path.name for path in bin_folder.iterdir()}
