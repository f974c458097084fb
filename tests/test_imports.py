"""The import arrows: a module imports only what stands below it."""

import ast
import re
from pathlib import Path

import pytest

import ms_pixelcnn_tf

ROOT = Path(ms_pixelcnn_tf.__file__).parent
DISTRIBUTIONS = {"errors", "sizes", "pixels", "types"}
LAYERS = DISTRIBUTIONS | {"distributions", "configs"}
ENCODERS = LAYERS | {"layers", "text"}
NETWORKS = LAYERS | {"layers"}
SAMPLING = NETWORKS | {"networks", "fusing"}
MODELS = SAMPLING | {"sampling", "encoders", "text", "types", "uniforms"}
EVALUATION = MODELS | {"models", "data", "files"}
SHOWCASE = {"contact_sheet", "film", "pictures", "pixels", "scoring", "data", "prompts"}
TRAINING = EVALUATION | {"evaluation", "showcase"}
EXPORT = TRAINING | {"training", "ready_made", "uniforms", "fusing"}
REPORT = EXPORT | SHOWCASE | {"animation", "timing"}
# Part of the package → the parts it may import, beside itself.
ALLOWED = {
    "errors": set(),
    "types": set(),
    "timing": set(),
    "files": set(),
    "fusing": set(),
    "configs": {"errors", "sizes"},
    "text": {"errors"},
    "uniforms": {"errors", "types"},
    "sizes": {"errors"},
    "pixels": {"errors", "types"},
    "data": {"errors", "sizes", "pixels", "text", "files", "types"},
    "distributions": DISTRIBUTIONS,
    "layers": LAYERS,
    "encoders": ENCODERS,
    "networks": NETWORKS,
    "sampling": SAMPLING,
    "models": MODELS,
    "pictures": {"files"},
    "film": {"pictures"},
    "animation": {"files", "film"},
    "driving": {"errors", "data"},
    "futures": set(),
    "contact_sheet": set(),
    "prompt_maps": {"errors", "configs"},
    "prompts": {"errors", "configs", "text", "data", "prompt_maps"},
    "upscaling": {"errors", "sizes", "pixels", "data"},
    "scoring": {"configs", "errors", "files", "pixels", "data", "pictures", "types"},
    "showcase": SHOWCASE,
    "evaluation": EVALUATION,
    "training": TRAINING,
    "ready_made": {"errors"},
    "export": EXPORT,
    "report": REPORT,
    "cli": REPORT
    | {
        "export",
        "report",
        "ready_made",
        "scoring",
        "contact_sheet",
        "prompts",
        "upscaling",
        "animation",
        "driving",
        "futures",
    },
    "__init__": {"errors", "configs", "models", "ready_made", "training"},
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
