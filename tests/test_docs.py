"""The reference is what the code says, and the pages' commands and links are there."""

import importlib.util
import pathlib
import re

import pytest


ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])
spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


@pytest.mark.parametrize("name", ["cli", "api"])
def test_the_reference_is_up_to_date(name):
    written, now = (DOCS / f"{name}.md").read_text(), getattr(reference, name)()
    assert written.split() == now.split(), "run docs/make_reference.py"


def test_every_command_is_in_the_reference():
    commands = {path.name for path in (ROOT / "bin").iterdir()} - {"_run", "setup", "test", "benchmark"}
    assert commands == set(reference.COMMANDS)


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
        for line in re.findall(rf"(?:^    |`)bin/{name} ([^`#\n]*)", page.read_text(), re.MULTILINE):
            for flag in re.findall(r"(?<!\S)--\w[\w-]*", line):
                assert flag in known, f"bin/{name} {flag}"
