"""Tests that memory stays flat in long use, and that nothing is traced again and again.

    bin/benchmark soak                       # 12,000 steps and 1,000 calls, minutes
    bin/benchmark soak --steps=100000

Trains a tiny model, with checkpoints, validations and TensorBoard as in any run, and reads the
process's resident memory. The slope is that of the least-squares line over the second half, when
caches and thread pools are full. Then calls `sample` and `log_prob` with changing batch sizes.
"""

import pathlib
import tempfile

import numpy as np

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import machine
from parts.pages import goals_table, publish
from parts.parser import Parser
from parts.worker import resident_memory

LARGEST_BATCH = 17
MODEL = {
    "image_size": 8,
    "base_size": 4,
    "num_levels": 16,
    "base_layers": 1,
    "residual_blocks": 1,
    "batch_size": 4,
    "evaluation_examples": 16,
    "checkpoint_every": 250,
    "log_every": 20,
    **dict.fromkeys(("base_features", "features", "head_features"), 12),
}


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = Parser("soak", __doc__)
    parser.number("--steps", 12_000, "training steps")
    parser.number("--every", 100, "steps between readings")
    parser.number("--calls", 1000, "of sample and of log_prob")
    options = parser.parse(arguments)
    if options.steps < 8 * options.every:
        parser.error(f"--steps is {options.steps}; valid: at least 8 times --every")
    if options.calls < 20:
        parser.error(f"--calls is {options.calls}; valid: 20 or more")
    return options


def train(options):
    """Trains; returns the model and the readings, `[n, 2]`: step and MiB."""
    from ms_pixelcnn_tf.training import loop, progress

    readings = []

    class Reading(progress.Progress):
        """The progress line, which also reads the memory."""

        def update(self, step, bits):
            super().update(step, bits)
            if step % options.every == 0:
                readings.append((step, resident_memory()))

    with tempfile.TemporaryDirectory() as folder:
        run = make_run(**MODEL, steps=options.steps)
        model = loop.train(run, pathlib.Path(folder) / "run", progress=Reading)
    return model, np.array(readings)


def slope(readings):
    """MiB per thousand steps over the second half of the readings."""
    steps, memory = readings[len(readings) // 2 :].T
    return 1000 * float(np.polyfit(steps, memory, 1)[0])


def call(model, options):
    """Calls `sample` and `log_prob` with changing batch sizes.

    Returns:
        dict: "traces", the graphs traced after the first two calls of each, and "growth", the MiB
        gained after the first tenth of the calls.
    """
    generator = np.random.default_rng(0)
    size = (*model.config.image_size, model.config.channels)
    traces = growth = None
    for number in range(options.calls):
        batch = int(generator.integers(1, LARGEST_BATCH + 1))
        levels = model.sample(batch, seed=number)
        assert levels.shape == (batch, *size)
        np.asarray(model.log_prob(levels))
        if number == 1:
            traces = count_traces(model)
        if number == options.calls // 10:
            growth = resident_memory()
    return {"traces": count_traces(model) - traces, "growth": resident_memory() - growth}


def count_traces(model):
    """The number of graphs traced for the compiled functions of an image model."""
    graphs = vars(model.graphs).values()
    functions = [graph for graph in graphs if hasattr(graph, "experimental_get_tracing_count")]
    return sum(function.experimental_get_tracing_count() for function in functions)


def main(arguments):
    """Measures, and writes the page `soak`."""
    options = parse(arguments)
    machine.start_tensorflow()
    model, readings = train(options)
    results = {"slope": slope(readings), **call(model, options), "readings": readings.tolist()}
    publish(options, "soak", "Soak", results, body)


def body(results):
    """The page's paragraphs."""
    steps, calls = (results["settings"][name] for name in ("steps", "calls"))
    memory = [mib for _, mib in results["readings"]]
    trained = f"resident memory in {steps:,} training steps, slope over the second half"
    called = f"{calls:,} calls of `sample` and `log_prob`, batches of 1 to {LARGEST_BATCH}"
    goals = [
        (trained, "≤ 1 MiB a thousand steps", f"{results['slope']:.2f}"),
        (f"new graphs in {called}, after two", "0", results["traces"]),
        ("growth of memory in these, after a tenth", "≤ 32 MiB", f"{results['growth']:.1f}"),
    ]
    return [
        f"Resident memory after the first reading {memory[0]:.0f} MiB, half way "
        f"{memory[len(memory) // 2]:.0f}, at the end {memory[-1]:.0f}.",
        goals_table(goals),
    ]


if __name__ == "__main__":
    flags.run(main)
