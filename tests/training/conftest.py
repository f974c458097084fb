"""A finished run, for all that only read it."""

import pytest

from support.runs import TinySource, tiny_run, train


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run: its configuration, folder and averaged model."""
    workdir = tmp_path_factory.mktemp("finished")
    return tiny_run(), workdir, train(tiny_run(), workdir, TinySource())
