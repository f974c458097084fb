"""The import arrows: a module imports only what stands below it."""

import ast
import re
from pathlib import Path

import pytest

import ms_pixelcnn_tf

ROOT = Path(ms_pixelcnn_tf.__file__).parent
GROUND = {"errors", "types", "files", "sizes", "pixels", "captions"}
NETWORKS = GROUND | {"configs", "distributions", "layers"}
MODELS = NETWORKS | {"encoders", "networks", "sampling"}
READERS = MODELS | {"models", "data", "runs", "evaluation", "generation", "drawing"}
# Part of the package → the parts it may import, beside itself: what stands above it here.
ALLOWED = {
    "errors": set(),
    "types": set(),
    "files": set(),
    "sizes": {"errors"},
    "captions": {"errors"},
    "pixels": {"types"},
    "configs": {"errors", "sizes"},
    "pretrained": {"errors"},
    "distributions": GROUND,
    "layers": GROUND | {"distributions"},
    "encoders": NETWORKS,
    "networks": NETWORKS - {"configs"},
    "sampling": NETWORKS | {"networks"},
    "models": MODELS,
    "data": GROUND,
    "runs": GROUND | {"configs", "models", "data"},
    "evaluation": GROUND | {"configs", "data"},
    "generation": GROUND | {"configs", "data"},
    "drawing": GROUND | {"data", "evaluation", "generation"},
    "training": READERS,
    "export": READERS | {"training", "pretrained"},
    "report": READERS | {"training"},
    "cli": READERS | {"training", "pretrained", "export", "report"},
    "__init__": {"errors", "configs", "models", "pretrained", "runs"},
}
MODULES = sorted(ROOT.rglob("*.py"))


def part_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(path):
    """Parts of our package that a file imports, anywhere in it."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = node.module == "ms_pixelcnn_tf"
            names = [f"{node.module}.{a.name}" for a in node.names] if whole else [node.module]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("ms_pixelcnn_tf.")}
    return parts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    part = part_of(path)
    assert part in ALLOWED, f"{part} has no place in the table of arrows"
    wrong = imported_parts(path) - ALLOWED[part] - {part}
    assert not wrong, f"{part} may not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_package_never_imports_the_tools(path):
    assert not re.search(r"(from|import)\s+tfrecords_tools", path.read_text(encoding="utf-8"))


def test_the_table_names_no_module_that_is_gone():
    assert set(ALLOWED) == {part_of(path) for path in MODULES}
