"""Loading what someone else has made runs nothing of theirs."""

import json
import pathlib
import pickle
import re
import shutil

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.data import cache
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.datasheet import read_names
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.training import loop
from support.errors import missing_facts, refuses
from support.runs import TinySource, tiny_run

PACKAGE = pathlib.Path(ms.__file__).parent


class Poison:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return pathlib.Path.write_text, (self._path, "executed")


@pytest.fixture
def canary(tmp_path):
    """A path at which nothing may appear; and what would write there, pickled."""
    path = tmp_path / "canary"
    yield path, pickle.dumps(Poison(path))
    assert not path.exists()


def test_the_poison_works(tmp_path):
    pickle.loads(pickle.dumps(Poison(tmp_path / "canary")))
    assert (tmp_path / "canary").read_text() == "executed"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    loop.train(tiny_run(steps=1), workdir, TinySource())
    return workdir


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy to poison."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "data.json",
        "metrics.jsonl",
        "checkpoints/step-1.index",
        "checkpoints/step-1.data-00000-of-00001",
    ],
)
def test_a_pickle_in_the_place_of_any_file_is_not_loaded(workdir, canary, name):
    (workdir / name).write_bytes(canary[1])
    for load in (ms.load, Run, lambda path: read_names(path, "class_names"), read_metrics):
        try:
            load(workdir)
        except UserError as error:
            assert not missing_facts(str(error), pathlib.Path(name).stem)


@pytest.mark.parametrize(
    "field, value",
    [
        ("variant", {"class_name": "Lambda", "config": {"function": "print"}}),
        ("variant", "__import__('os').system('true')"),
        ("output", "!!python/object/apply:os.system ['true']"),
        ("dtype", {"module": "os", "class_name": "system", "config": "true"}),
        ("image_size", "(lambda: 1)()"),
        ("base_layers", "1; import os"),
        ("__class__", "os.system"),
    ],
)
def test_a_configuration_that_names_code_is_refused(workdir, canary, field, value):
    path = workdir / "config.json"
    config = json.loads(path.read_text())
    config["model"][field] = value
    path.write_text(json.dumps(config))
    with refuses(path):
        ms.load(workdir)


def test_a_pickled_array_is_not_loaded(canary, tmp_path):
    """The only arrays that the package reads are its caches', and the user's own actions."""
    array = tmp_path / "array.npy"
    np.save(array, np.array([Poison(canary[0])], object), allow_pickle=True)
    with pytest.raises(cache.DAMAGED):
        np.load(array, allow_pickle=False)
    loads = [
        line
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if "np.load(" in line
    ]
    assert loads and all("allow_pickle=False" in line for line in loads)


def test_no_module_can_run_what_it_reads():
    forbidden = re.compile(
        r"\b(pickle\.|marshal\.|shelve\.|joblib|dill|yaml\.load|(?<![\w.])eval\(|(?<![\w.])exec\("
        r"|allow_pickle=True|safe_mode=False|load_model\(.*custom_objects|__import__)"
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if forbidden.search(line)
    ]
    assert not found
