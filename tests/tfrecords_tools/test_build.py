"""A build is whole or absent, alone in its folder, and the same however it is run."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError
from support.errors import missing_facts, refuses
from support.written_cub import write_cub
from tfrecords_tools import cli
from tfrecords_tools.build import _alone_in, build
from tfrecords_tools.tasks import Skipped, Task, convert_all


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    write_cub(root)
    return root


def records(folder):
    """dict file name → bytes, of the TFRecords below a folder."""
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).rglob("*.tfrecord*")}


def run(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, **options
    )


def test_a_killed_build_leaves_nothing_that_looks_whole_and_a_rerun_completes_it(source, tmp_path):
    slow = f"""
import time
from tfrecords_tools import cub
from tfrecords_tools.build import build
convert = cub.Cub.convert
def slowly(*arguments):
    time.sleep(0.5)
    return convert(*arguments)
cub.Cub.convert = staticmethod(slowly)
build("cub", {str(source)!r}, {str(tmp_path)!r})
"""
    process = run(slow)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cub/*/*incomplete*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("cub/*/*incomplete*"))
    with refuses("data of cub", tmp_path, "bin/make_tfrecords"):
        data.load("cub", data_dir=str(tmp_path))
    summary = build("cub", source, tmp_path)
    assert summary.is_new and sum(summary.examples.values()) == 12
    assert not list(tmp_path.glob("cub/*/*incomplete*"))
    assert data.load("cub", data_dir=str(tmp_path)).size("train") == summary.examples["train"]


def test_two_builds_in_one_folder(source, tmp_path):
    with _alone_in(tmp_path / "cub"), refuses(tmp_path / "cub", f"process {os.getpid()}"):
        build("cub", source, tmp_path)
    assert build("cub", source, tmp_path).is_new  # the lock goes with its holder


def test_two_processes_in_one_folder(source, tmp_path):
    """Both start together; one may find the work of the other done, or is refused in one line."""
    code = f"""
import sys, time
from ms_pixelcnn_tf.cli import flags
from tfrecords_tools import cli, cub
convert = cub.Cub.convert
def slowly(*arguments):
    time.sleep(0.3)
    return convert(*arguments)
cub.Cub.convert = staticmethod(slowly)
sys.argv = ["x", "--dataset=cub", "--source={source}", "--out={tmp_path}", "--workers=1"]
flags.run(cli.main)
"""
    processes = [run(code) for _ in range(2)]
    told = [process.communicate(timeout=300)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes and set(codes) <= {0, 2}
    for code, text in zip(codes, told, strict=True):
        if code:
            last = text.strip().splitlines()[-1]
            assert last.startswith("error: ")
            assert not missing_facts(last, "another build", tmp_path / "cub"), last
    built = data.load("cub", data_dir=str(tmp_path), image_size=16)
    assert sum(built.size(split) for split in built.splits) == 12
    for split in built.splits:
        built.examples(split, np.arange(built.size(split)))  # each checksum is proven
    assert not build("cub", source, tmp_path).is_new
    assert not list(tmp_path.glob("cub/*/*incomplete*"))


def test_no_space_left(source, tmp_path):
    code = f"""
import resource, sys
from ms_pixelcnn_tf.cli import flags
from tfrecords_tools import cli
import tensorflow, tensorflow_datasets
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
sys.argv = ["x", "--dataset=cub", "--source={source}", "--out={tmp_path}", "--workers=1"]
flags.run(cli.main)
"""
    process = run(code)
    _, told = process.communicate()
    assert process.returncode == 2
    last = told.strip().splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in told
    assert not missing_facts(last, "space", tmp_path), last
    assert not records(tmp_path)
    assert build("cub", source, tmp_path).is_new


def test_a_fault_while_converting_leaves_nothing(source, tmp_path, monkeypatch):
    from tfrecords_tools import cub

    def broken(options, task, content):
        raise UserError("archive.tar: cut short")

    with monkeypatch.context() as patch:
        patch.setattr(cub.Cub, "convert", staticmethod(broken))
        with pytest.raises(UserError, match="^archive.tar: cut short$"):
            build("cub", source, tmp_path)
    assert not records(tmp_path)


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    """The same with a damaged image, in a compressed tar."""
    unpacked, root = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("packed")
    shutil.copytree(source, unpacked / "cub")
    image = sorted((unpacked / "cub").rglob("*.jpg"))[0]
    image.write_bytes(image.read_bytes()[:100])
    with tarfile.open(root / "cub.tgz", "w:gz") as tar:
        tar.add(unpacked / "cub", "cub")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["source", "packed"])
def test_beam_gives_the_same_examples(kind, tmp_path, request, capsys):
    pytest.importorskip("apache_beam")
    source = request.getfixturevalue(kind)
    here = build("cub", source, tmp_path / "here")
    there = build("cub", source, tmp_path / "there", workers=2, runner="direct")
    assert not missing_facts(capsys.readouterr().err, "cub", 12, "Apache Beam")
    assert here.skips == ("none" if kind == "source" else "1 damaged image")
    assert here.examples == there.examples and here.skips == there.skips
    ours, theirs = (data.load("cub", data_dir=s.path, image_size=32) for s in (here, there))
    for split in ours.splits:
        found = []
        for cub in (ours, theirs):
            raws = [cub.raw(split, index) for index in range(cub.size(split))]
            found.append({raw["file"]: raw for raw in raws})
        assert found[0].keys() == found[1].keys()
        for file, raw in found[0].items():
            for field, value in raw.items():
                np.testing.assert_array_equal(value, found[1][file][field])


def test_at_most_so_many_a_split(source, tmp_path):
    summary = build("cub", source, tmp_path, max_examples=2)
    assert max(summary.examples.values()) == 2
    part = data.load("cub", data_dir=str(tmp_path))
    assert {split: part.size(split) for split in part.splits} == summary.examples
    assert "at most 2 examples a split" in part.description
    assert sum(build("cub", source, tmp_path).examples.values()) == 12  # a part is not the whole
    with refuses("builds of cub", "--data_dir"):
        data.load("cub", data_dir=str(tmp_path))


def test_files_that_have_changed_since_are_told(tmp_path):
    write_cub(tmp_path / "source")
    build("cub", tmp_path / "source", tmp_path / "out")
    (tmp_path / "source" / "more.txt").write_text("x")
    with refuses(tmp_path / "source", "other files", "--out"):
        build("cub", tmp_path / "source", tmp_path / "out")


@pytest.mark.parametrize(
    "arguments, facts",
    [
        (["--dataset=cup"], ("dataset", "cup", "cub")),
        (["--variant=official2"], ("variant", "official2", "official")),
        (["--image_size=4"], ("image_size", 4, "8 to 1024")),
        (["--source=nowhere"], ("source", "nowhere")),
        (["--workers=0"], ("--workers", 0)),
        (["--max_examples=-1"], ("max_examples", 0)),
        (["--runner=nonsense"], ("runner", "nonsense")),
        (["--sourse=x"], ("--sourse=x", "--source")),
    ],
)
def test_mistakes_are_one_line(source, tmp_path, monkeypatch, capsys, arguments, facts):
    given = {"--dataset": "cub", "--source": str(source), "--out": str(tmp_path)}
    given |= dict(argument.split("=") for argument in arguments)
    monkeypatch.setattr(sys, "argv", ["x", *(f"{name}={value}" for name, value in given.items())])
    with pytest.raises(SystemExit) as end:
        flags.run(cli.main)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 2 and error.startswith("error: ")
    assert not missing_facts(error, *facts), error
    assert not records(tmp_path)


def test_the_command_sums_up(source, tmp_path, monkeypatch, capsys):
    arguments = ["--dataset=cub", f"--source={source}", f"--out={tmp_path}", "--workers=1"]
    cli.main(arguments)
    said = capsys.readouterr().out
    assert not missing_facts(said, "CUB-200-2011, disjoint split", "none")
    cli.main(arguments)
    assert not missing_facts(capsys.readouterr().out, "CUB-200-2011, disjoint split", "already")


def test_runner_options_stand_behind_two_dashes():
    assert cli.split_at_dashes(["--a", "--", "--b", "c"]) == (["--a"], ["--b", "c"])
    assert cli.split_at_dashes(["--a"]) == (["--a"], [])


def square(task, content):
    """Converts a number to its square; odd ones are left out, 13 kills the process."""
    number = int(content)
    if number == 13:
        os._exit(1)
    if number % 2:
        raise Skipped("odd numbers")
    yield task.key, number**2


def jobs(numbers):
    return ((Task(str(n), "", {}), str(n).encode()) for n in numbers)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_keep_the_order_and_count_what_is_left_out(workers):
    found = list(convert_all(square, jobs(n for n in range(60) if n != 13), workers))
    assert [key for key, _ in found] == [str(n) for n in range(60) if n != 13]
    assert [e for _, e in found if not isinstance(e, Skipped)] == [n**2 for n in range(0, 60, 2)]


def test_a_worker_that_dies_is_told():
    with refuses("worker process", "memory", "--workers"):
        list(convert_all(square, jobs(range(20)), 2))


def test_jobs_are_taken_a_few_at_a_time():
    taken = []

    def watched():
        for job in jobs(range(0, 400, 2)):
            taken.append(job)
            yield job

    results = convert_all(square, watched(), 2)
    next(results)
    assert len(taken) <= 2 * 8 + 2
    results.close()
