"""The wheel: what is in it, and that it works without the repository."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built by `python -m build`."""
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    sources = tmp_path_factory.mktemp("sources") / "tree"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            (sources / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(sources)], check=True,
        capture_output=True, timeout=600,
    )
    (path,) = out.glob("*.whl")
    return path


def test_it_holds_the_package_its_types_and_its_models(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("py.typed", "ready_made/shapes-tiny/config.json", "ready_made/shapes-tiny/card.json"):
        assert f"ms_pixelcnn_tf/{wanted}" in names
    assert any(name.startswith("ms_pixelcnn_tf/ready_made/shapes-tiny/checkpoints/step-") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") or name.endswith(".dist-info/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    assert wheel.stat().st_size < 20e6


def test_installed_elsewhere_it_loads_scores_and_samples(wheel, tmp_path):
    """Its dependencies are those of this environment; the package itself is the wheel's."""
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)],
        check=True, capture_output=True,
    )
    environment = os.environ | {"PYTHONPATH": str(target)}
    program = (
        "import ms_pixelcnn_tf as ms; assert ms.__file__.startswith({0!r}), ms.__file__;"
        "model = ms.load('shapes-tiny'); images = model.sample(2, seed=1);"
        "assert model.log_prob(images).shape == (2,)"
    ).format(str(target))
    for command in (
        [sys.executable, "-P", "-c", program] if sys.version_info >= (3, 11) else [sys.executable, "-c", program],
        [sys.executable, str(target / "bin" / "ms-pixelcnn-sample"), "--model=shapes-tiny", "--num=2", "--out=x.png"],
    ):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.png").is_file()
    scripts = {path.name for path in (target / "bin").iterdir()}
    assert {f"ms-pixelcnn-{name}" for name in (
        "demo", "evaluate", "export", "inspect-data", "make-tfrecords", "report", "sample", "score", "train",
        "upscale",
    )} <= scripts
