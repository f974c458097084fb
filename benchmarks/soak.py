"""Tests that memory stays flat in long use, and that nothing is traced again and again.

    bin/benchmark soak                       # 12,000 steps and 1,000 calls, minutes
    bin/benchmark soak --steps=100000

Trains a tiny model, with checkpoints, validations and TensorBoard as in any run, and reads the
process's resident memory at regular steps (--every). The slope is that of the least-squares line
over the second half, when caches and thread pools are full. Then calls `sample` and `log_prob` with
batch sizes that change from call to call, and counts the graphs traced after the first two calls of
each.
"""

import pathlib
import tempfile

import numpy as np

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts.tables import add_out, markdown_table, shown_command, write_results, yes
from parts.worker import resident_memory

SLOPE_GOAL = 1.0  # MiB per thousand steps, at most
TRACES_GOAL = 0  # new graphs in the calls after the first two
GROWTH_GOAL = 32.0  # MiB in all calls after the first tenth
LARGEST_BATCH = 17
MODEL = {
    "dataset": "shapes",
    "image_size": 8,
    "base_size": 4,
    "num_levels": 16,
    "base_layers": 1,
    "base_features": 12,
    "residual_blocks": 1,
    "features": 12,
    "head_features": 12,
    "batch_size": 4,
    "evaluation_examples": 16,
    "evaluate_every": 500,
    "checkpoint_every": 250,
    "log_every": 20,
    "sample_every": 1000,
    "ema_decay": 0.99,
}


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark soak", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--steps", default=12_000, help="training steps (12000)", **number)
    parser.add_argument("--every", default=100, help="steps between readings (100)", **number)
    parser.add_argument("--calls", default=1000, help="of sample and of log_prob (1000)", **number)
    add_out(parser)
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
    """Measures, prints the page and writes `soak.md` and `soak.json`."""
    options = parse(arguments)
    machine.require_tensorflow()
    with flags.quiet_start():
        described = machine.describe()
    model, readings = train(options)
    results = {
        "command": shown_command("soak", arguments),
        "machine": described,
        "steps": options.steps,
        "calls": options.calls,
        "slope": slope(readings),
        "first": readings[0][1],
        "middle": readings[len(readings) // 2][1],
        "last": readings[-1][1],
        **call(model, options),
        "readings": readings.tolist(),
    }
    page = markdown(results)
    print(page)
    write_results(options.out, "soak", page, results)


def markdown(results):
    """The page as Markdown."""
    table = [
        (
            f"resident memory in {results['steps']:,} training steps, slope over the second half",
            f"≤ {SLOPE_GOAL:g} MiB a thousand steps",
            f"{results['slope']:.2f}",
            yes(results["slope"] <= SLOPE_GOAL),
        ),
        (
            f"new graphs in {results['calls']:,} calls of `sample` and `log_prob`, batches of 1 to "
            f"{LARGEST_BATCH}, after two",
            f"≤ {TRACES_GOAL}",
            results["traces"],
            yes(results["traces"] <= TRACES_GOAL),
        ),
        (
            "growth of memory in these, after a tenth of them",
            f"≤ {GROWTH_GOAL:g} MiB",
            f"{results['growth']:.1f}",
            yes(results["growth"] <= GROWTH_GOAL),
        ),
    ]
    return "\n".join(
        [
            "# Soak\n",
            f"`{results['command']}`: {machine.sentences(results['machine'])}\n",
            f"Resident memory after the first reading {results['first']:.0f} MiB, half way "
            f"{results['middle']:.0f}, at the end {results['last']:.0f}.\n",
            markdown_table(("figure", "goal", "found", "met"), table),
        ]
    )


if __name__ == "__main__":
    flags.run(main)
