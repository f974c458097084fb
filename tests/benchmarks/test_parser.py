"""The flags that benchmarks share."""

from parts import parser
from support.errors import refuses


def parse(out):
    return parser.Parser("it", "").parse([f"--out={out}"]).out


def test_the_folder_of_results_is_made_before_anything_is_measured(tmp_path):
    assert parse(tmp_path / "new" / "folder") == str(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()
    assert parse(tmp_path) == str(tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with refuses("--out", tmp_path / name, "folder"):
            parse(tmp_path / name)
    monkeypatch.setattr(parser.os, "access", lambda name, mode: False)
    with refuses("--out", tmp_path, "written"):
        parse(tmp_path)


def test_a_command_is_shown_without_its_folders():
    arguments = ["--out", "a", "--steps=3", "--workdir=b", "--data_dir", "c", "--fast"]
    assert parser.shown_command("bin/it", arguments) == "bin/it --steps=3 --fast"
