"""Settings of the whole test run, before TensorFlow is imported."""

import contextlib
import ctypes
import gc
import os
import re
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ONEDNN_USE_SYSTEM_ALLOCATOR"] = "1"  # oneDNN's own gives no memory back
if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: more threads wait for one another
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
GRAPHS_OWN = re.compile(r"(\w*PartitionedCall|CustomGradient)-\d+$")
gc.set_threshold(20_000, 20, 50)  # tracing makes millions of objects, few of them garbage


def pytest_addoption(parser):
    parser.addoption(
        "--most-seconds",
        type=float,
        default=0,
        help="fail each test that is not marked slow and takes more processor time than this",
    )


@pytest.fixture(scope="module", autouse=True)
def nothing_of_the_file_before_is_held():
    """Models and graphs hold one another in cycles; what is frozen is not looked at again."""
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    if "tensorflow" in sys.modules:
        forget_gradients()
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc keeps what is free unless it is told
        ctypes.CDLL(None).malloc_trim(0)
    gc.freeze()  # imports, mostly: later collections need not walk them


def forget_gradients():
    """TensorFlow registers the gradient of each function that a graph calls, and each custom
    gradient in a graph (the one of silu, say), and with it the graph, until the process ends."""
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for name in [name for name in registry if GRAPHS_OWN.match(name)]:
        del registry[name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Grappler takes a third of tracing. `--all` has it, as users do; of the default tests those of
    training, which compare runs bit for bit. It is set before any fixture is made."""
    import tensorflow as tf

    bitwise = {"training", "runs"} & set(item.path.parts)
    quick = item.config.option.markexpr == "not slow" and not bitwise
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": quick})
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """What fixtures take is not the test's: several share them."""
    began = sum(os.times()[:4])
    result = yield
    most = item.config.getoption("--most-seconds")
    seconds = sum(os.times()[:4]) - began
    if most and seconds > most and item.get_closest_marker("slow") is None:
        pytest.fail(f"took {seconds:.0f} s of processor time, above {most:.0f}: mark it slow")
    return result


@pytest.fixture
def eagerly():
    """No function is traced: a trace costs more than it saves where a model is asked but once."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
