"""Describes the machine that a benchmark runs on, and measures its ceilings.

    bin/benchmark machine --batch=30 --size=16 --width=128

A ceiling is the best of several runs of a chain of 3×3 convolutions, or of matrix products, in
float32 and nothing else. No model on this machine can do more operations per second.
"""

import datetime
import importlib.metadata
import importlib.util
import os
import platform

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.evaluation.timing import processor
from parts.timing import seconds_of

CHAIN = 8  # products per call, so that the call itself hardly counts
PACKAGES = ("tensorflow", "jax", "keras", "numpy")  # listed if installed


def describe():
    """The processor, the accelerator, the versions and the date, as a dict for JSON."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    versions = {name: version(name) for name in PACKAGES if name != "jax" or backend == "jax"}
    return {
        "processor": processor(),
        "accelerator": _accelerator(backend),
        "backend": backend,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": platform.python_version(),
        **{name: found for name, found in versions.items() if found},
        "onednn": _onednn(),
        "date": datetime.date.today().isoformat(),
    }


def require_tensorflow():
    """Raises UserError on other backends; training, graphs and profiles need TensorFlow."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(
            f"KERAS_BACKEND is {backend}; this benchmark is of TensorFlow alone: unset it (table4 "
            "and scaling run on JAX too)"
        )


def require_extra(extra, *modules):
    """Raises UserError, with the install command, if modules of an extra are missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} not installed; install the extra: pip install -e '.[{extra}]'"
        )


def conv_ceiling(batch, size, width, repeats=7, dtype="float32"):
    """Operations per second of 3×3 convolutions, forward.

    Args:
        batch: number of images.
        size: side of the maps, pixels.
        width: channels in and out.
        repeats: number of runs; the best one counts.
        dtype: of maps and kernel.

    Returns:
        GFLOP/s, 2 operations per multiply-add.
    """
    import tensorflow as tf

    kernel = tf.random.normal([3, 3, width, width], stddev=(9 * width) ** -0.5)
    kernel = tf.cast(kernel, dtype)
    return _best(
        lambda maps: tf.nn.conv2d(maps, kernel, strides=1, padding="SAME"),
        tf.cast(tf.random.normal([batch, size, size, width]), dtype),
        2 * 9 * width * width * batch * size * size,
        repeats,
    )


def matmul_ceiling(rows, width, repeats=7):
    """GFLOP/s of `[rows, width] × [width, width]` products in float32."""
    import tensorflow as tf

    kernel = tf.random.normal([width, width], stddev=width**-0.5)
    return _best(
        lambda matrix: tf.matmul(matrix, kernel),
        tf.random.normal([rows, width]),
        2 * rows * width * width,
        repeats,
    )


def measure(batch, size, width):
    """`describe()` and both ceilings, GFLOP/s, with the shapes they were measured at."""
    return describe() | {
        "conv_gflops": conv_ceiling(batch, size, width),
        "conv_shape": f"{batch}x{size}x{size}x{width}",
        "matmul_gflops": matmul_ceiling(batch * size * size, width),
        "matmul_shape": f"{batch * size * size}x{width} by {width}x{width}",
    }


def sentences(machine):
    """The result of `measure` or `describe` in a line or two of Markdown."""
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("python", *PACKAGES) if name in machine
    )
    device = f"{machine['accelerator']} beside " if machine.get("accelerator") else ""
    if machine.get("backend", "tensorflow") == "tensorflow":
        how = f"oneDNN {'on' if machine['onednn'] else 'off'}"
    else:
        how = f"Keras on {machine['backend']}"
    lines = [
        f"{device}{machine['processor']}, {machine['cores']} cores; {versions}; {how}; "
        f"{machine['date']}."
    ]
    if "conv_gflops" in machine:
        lines.append(
            f"Ceilings, float32: 3×3 convolution {machine['conv_gflops']:.0f} GFLOP/s at "
            f"{machine['conv_shape']}, matrix product {machine['matmul_gflops']:.0f} GFLOP/s at "
            f"{machine['matmul_shape']}."
        )
    return " ".join(lines)


def _best(step, start, flops, repeats):
    import tensorflow as tf

    @tf.function
    def chain(value):
        for _ in range(CHAIN):
            value = step(value)
        return tf.reduce_sum(value)

    chain(start).numpy()  # traces, and starts the threads
    seconds = min(seconds_of(lambda: chain(start).numpy()) for _ in range(repeats))
    return CHAIN * flops / seconds / 1e9


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


def main(arguments):
    """Prints the result of `measure`."""
    parser = flags.Parser("benchmark machine", __doc__)
    parser.add_argument("--batch", type=flags.positive, default=30, help="images (30)")
    parser.add_argument("--size", type=flags.positive, default=16, help="side of the maps (16)")
    parser.add_argument("--width", type=flags.positive, default=128, help="channels (128)")
    options = parser.parse(arguments)
    with flags.quiet_start():
        importlib.import_module("tensorflow")  # here, so that its start-up log is hidden
    print(sentences(measure(options.batch, options.size, options.width)))


if __name__ == "__main__":
    flags.run(main)
