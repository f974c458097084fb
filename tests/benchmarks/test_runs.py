"""Runs are trained in processes of their own, with the flags that were given."""

import pytest

from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.runs.run import Run
from parts import runs
from support.errors import refuses

SMALL = {
    "image_size": 8,
    "base_size": 4,
    "base_layers": 1,
    "base_features": 8,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 8,
    "steps": 1,
    "batch_size": 2,
    "evaluation_examples": 2,
    "sample_every": 0,
}


def parse(*arguments):
    return runs.RunsParser("it", "", ("one", "two")).parse(arguments)


def test_each_run_is_a_process_and_the_first_failure_is_the_last(tmp_path):
    script, seen = tmp_path / "script.py", tmp_path / "seen"
    script.write_text(
        f"import sys; open({str(seen)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "sys.exit(3 * ('--only=two' in sys.argv))\n"
    )
    options = parse("train", f"--workdir={tmp_path}", "--core=1")
    with pytest.raises(SystemExit) as stopped:
        runs.train_each(str(script), options, ["one", "two", "three"])
    assert stopped.value.code == 3
    lines = seen.read_text().splitlines()
    for line, name in zip(lines, ("one", "two"), strict=True):
        mode, *given = line.split()
        assert mode == "train"
        assert {f"--only={name}", f"--workdir={tmp_path}", "--core=1"} <= set(given)


def test_only_names_runs():
    assert parse("train").only is None
    assert parse("train", "--only=two,one").only == ["two", "one"]
    with refuses("run", "three", "one", "two"):
        parse("train", "--only=one,three")


@pytest.mark.slow
def test_scales_share_the_folder_of_a_run(tmp_path):
    for scale in ("base", "8"):
        runs.train_into(tmp_path, make_run("shapes", **SMALL, scale=scale))
    assert {run.model.scale for run in Run(tmp_path).parts.values()} == {"base", "8"}
