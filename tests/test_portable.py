"""The packages import where the standard library lacks the modules of Unix, as on Windows."""

import os
import pathlib
import subprocess
import sys

import ms_pixelcnn_tf
import tfrecords_tools

PROGRAM = """
import importlib, sys

HIDDEN = {"fcntl", "grp", "pwd", "resource", "termios"}


class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in HIDDEN:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refusing())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def module_names(package):
    root = pathlib.Path(package.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        yield name.removesuffix(".__init__")


def test_every_module_imports_without_the_modules_of_unix():
    names = [*module_names(ms_pixelcnn_tf), *module_names(tfrecords_tools)]
    assert len(names) > 100
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *names],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
