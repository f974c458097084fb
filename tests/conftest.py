"""Settings of the whole test run, before TensorFlow is imported."""

import gc
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
gc.set_threshold(20_000, 20, 50)  # tracing makes millions of objects, few of them garbage


@pytest.fixture(scope="module", autouse=True)
def what_is_left_is_not_looked_at_again():
    """Graphs that outlive a file would slow every later collection of garbage."""
    yield
    gc.collect()
    gc.freeze()
