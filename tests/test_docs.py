"""The reference is what the code says, and the pages' commands and links are there."""

import configparser
import importlib.util
import inspect
import pathlib
import re

import pytest

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])
spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


WRITTEN = {
    "docs/cli.md": reference.cli,
    "docs/api.md": reference.api,
    "docs/map.md": reference.module_map,
    "docs/departures.md": reference.departures,
    "README.md": reference.readme,
}


@pytest.mark.parametrize("page", WRITTEN)
def test_the_reference_is_up_to_date(page):
    written, now = (ROOT / page).read_text(), WRITTEN[page]()
    assert written.split() == now.split(), "run docs/make_reference.py"


def test_the_map_has_every_room():
    folders = {path.parent.name for path in (ROOT / "ms_pixelcnn_tf").glob("*/__init__.py")}
    assert folders == set(reference.FLOORS) - {""}


def test_what_is_public_has_types():
    """Of every function and every verb of a class that the reference tells of."""
    for name in (
        "pixels",
        "sampling.uniforms",
        "captions",
        "sampling.loops",
        "evaluation.splits",
        "evaluation.scoring",
        "generation.prompts",
        "pretrained",
        "training.loop",
        "export.saved_model",
        "models.image.model",
        "models.video.model",
        "distributions",
    ):
        module = importlib.import_module(f"ms_pixelcnn_tf.{name}")
        for key, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__ and not key.startswith("_")
            if own and inspect.isfunction(value):
                assert_typed(value)
    verbs = ("log_prob", "log_prob_terms", "decode", "sample", "upscale")
    for model in (MultiscalePixelCNN, VideoPixelCNN):
        for verb in verbs:
            assert_typed(getattr(model, verb))
    assert_typed(ms.load)
    assert_typed(ms.build_model)


def assert_typed(function):
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty, function
    for name, parameter in signature.parameters.items():
        assert name == "self" or parameter.annotation is not inspect.Parameter.empty, (
            function,
            name,
        )


def test_every_command_is_in_the_reference():
    commands = {path.name for path in (ROOT / "bin").iterdir()} - {
        "_run",
        "setup",
        "test",
        "benchmark",
    }
    assert commands == set(reference.COMMANDS)


def test_one_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == ms.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [ms.__version__]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_flags_that_pages_give_them(page):
    """Every `bin/x --flag` of a page is known to bin/x."""
    for name, module in reference.COMMANDS.items():
        known = set(re.findall(r"--\w[\w-]*", reference._help(module)))
        for line in re.findall(
            rf"(?:^    |`)bin/{name} ([^`#\n]*)", page.read_text(), re.MULTILINE
        ):
            for flag in re.findall(r"(?<!\S)--\w[\w-]*", line):
                assert flag in known, f"bin/{name} {flag}"
