"""Describes the machine that a benchmark runs on, and measures its ceiling."""

import datetime
import importlib.metadata
import importlib.util
import os
import platform

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.timing import processor
from parts.rounds import seconds_of

CHAIN = 8  # convolutions per call, so that the call itself hardly counts
PACKAGES = ("tensorflow", "jax", "keras", "numpy")  # listed if installed


def describe():
    """The processor, the accelerator, the versions and the date, as a dict for JSON."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    versions = {name: version(name) for name in PACKAGES if name != "jax" or backend == "jax"}
    return {
        "processor": processor(),
        "accelerator": _accelerator(backend),
        "backend": backend,
        "cores": cores,
        "python": platform.python_version(),
        **{name: found for name, found in versions.items() if found},
        "onednn": _onednn(),
        "date": datetime.date.today().isoformat(),
    }


def start_tensorflow():
    """Imports TensorFlow without its log. Raises UserError on other backends."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(
            f"KERAS_BACKEND is {backend}; this benchmark is of TensorFlow alone: unset it (table4 "
            "runs on JAX too)"
        )
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # TensorFlow warns of retracing if models share code


def require_extra(extra, *modules):
    """Raises UserError, with the install command, if modules of an extra are missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} not installed; install the extra: pip install -e '.[{extra}]'"
        )


def conv_ceiling(batch, size, width, dtype="float32", repeats=7):
    """GFLOP/s of a chain of 3×3 convolutions of `[batch, size, size, width]` and nothing else, 2
    operations per multiply-add: the best of several runs. No model on this machine can do more."""
    import tensorflow as tf

    kernel = tf.cast(tf.random.normal([3, 3, width, width], stddev=(9 * width) ** -0.5), dtype)
    start = tf.cast(tf.random.normal([batch, size, size, width]), dtype)

    @tf.function
    def chain(maps):
        for _ in range(CHAIN):
            maps = tf.nn.conv2d(maps, kernel, strides=1, padding="SAME")
        return tf.reduce_sum(maps)

    chain(start).numpy()  # traces, and starts the threads
    seconds = min(seconds_of(lambda: chain(start).numpy()) for _ in range(repeats))
    return CHAIN * 2 * 9 * width * width * batch * size * size / seconds / 1e9


def sentences(machine):
    """The result of `describe` in a line of Markdown."""
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("python", *PACKAGES) if name in machine
    )
    device = f"{machine['accelerator']} beside " if machine["accelerator"] else ""
    how = f"Keras on {machine['backend']}"
    if machine["backend"] == "tensorflow":
        how = f"oneDNN {'on' if machine['onednn'] else 'off'}"
    return (
        f"{device}{machine['processor']}, {machine['cores']} cores; {versions}; {how}; "
        f"{machine['date']}."
    )


def version(package):
    """A package's version; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerator(backend):
    """The name of the first GPU that Keras' backend would use; "" without one."""
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        return "" if device.platform == "cpu" else device.device_kind
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return ""
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "a GPU")


def _onednn():
    """Whether TensorFlow uses oneDNN: as its switch says, else by default on x86 Linux."""
    switch = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    if switch is not None:
        return switch != "0"
    return platform.system() == "Linux" and platform.machine() == "x86_64"
