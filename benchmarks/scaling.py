"""Measures how the time to sample one image grows with its size: O(log N) against O(N).

    bin/benchmark scaling                        # OlogN 16x16 to 512x512, cached ON to 64x64

Each size of each model runs in its own process at batch 1, with the widths of the paper's text
models, base 8x8, type A and a softmax. Sizes are measured in rounds, and the time per pixel is
computed for each round. Network evaluations are those of one image: one per pixel of the
autoregressive part, O(N) for ON, and one per group of every scale, O(log N). Weights are as
initialised: time does not depend on them.
"""

import itertools
from typing import NamedTuple

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import paper_models, rounds
from parts.tables import add_out, markdown_table, shown_command, write_results, yes
from parts.timing import format_spread

MEMORY_GOAL = 4.0  # GiB at 512x512
SPEED_UPS = {32: 6, 64: 12}  # of OlogN over cached ON, at least
FLAT_FROM = 64  # seconds per pixel must not rise beyond this side


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark scaling", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    sizes = {"type": flags.positives, "metavar": "NS"}
    parser.add_argument(
        "--sizes",
        default=[16, 32, 64, 128, 256, 512],
        help="sides for OlogN, pixels (16,32,64,128,256,512)",
        **sizes,
    )
    parser.add_argument(
        "--on_sizes", default=[16, 32, 64], help="for cached ON (16,32,64)", **sizes
    )
    paper_models.add_flags(parser, number)
    parser.add_argument("--output", default="softmax", metavar="NAME", help="output law (softmax)")
    parser.add_argument("--repeats", default=5, help="rounds (5)", **number)
    add_out(parser)
    return parser.parse(arguments)


class Case(NamedTuple):
    """A sampler of images of one size, to be measured."""

    variant: str
    size: int
    worker: tuple  # arguments of its `Worker`

    @property
    def name(self):
        """A unique name."""
        return f"{self.variant} {self.size}"


def cases(options):
    """Yields `Case`s, the smallest size of each variant first."""
    for variant, sizes in (("OlogN", options.sizes), ("ON", options.on_sizes)):
        own = {"output": options.output} | ({"upscaler": "A"} if variant == "OlogN" else {})
        for size in sorted(sizes):
            sampler = "graph" if variant == "OlogN" else "cached"
            work = "parts.samplers:ImageSampler", paper_models.fields(options, variant, size, **own)
            yield Case(variant, size, (*work, 1, sampler, 1))


def evaluations(config):
    """Network evaluations for one image: `(of autoregressive pixels, of groups)`."""
    height, width = config.sizes[0]
    return height * width, 3 * (len(config.sizes) - 1)


def measure(options):
    """Measures every case; returns a list of dicts for JSON."""
    own = list(cases(options))
    configs = [make_run(**case.worker[1]).model for case in own]  # reports a wrong value first
    times, facts = rounds.run({case.name: case.worker for case in own}, options.repeats)
    found = []
    for case, config in zip(own, configs, strict=True):
        side, pixels = config.image_size[0], config.image_size[0] * config.image_size[1]
        one_a_pixel, one_a_group = evaluations(config)
        result = {
            "variant": case.variant,
            "size": side,
            "evaluations_a_pixel": one_a_pixel,
            "evaluations_a_group": one_a_group,
            **facts[case.name],
            "seconds": rounds.spread_of(times[case.name], "sampling"),
            "seconds_a_pixel": rounds.spread_of(times[case.name], "sampling", 1 / pixels),
            "sampling_over_likelihood": rounds.ratios(
                times[case.name], times[case.name], "sampling", "likelihood"
            ),
        }
        on = case._replace(variant="ON").name
        if case.variant == "OlogN" and on in times:
            result["faster_than_cached_ON"] = rounds.ratios(times[on], times[case.name])
        found.append(result)
    return found


def main(arguments):
    """Measures, prints the page and writes `scaling.md`, `scaling.json` and `scaling.png`."""
    options = parse(arguments)
    machine.require_extra("benchmarks", "matplotlib")
    found = measure(options)
    with flags.quiet_start():
        described = machine.describe()
    results = {
        "command": shown_command("scaling", arguments),
        "machine": described,
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "sizes": found,
    }
    page = markdown(results)
    print(page)
    write_results(options.out, "scaling", page, results)
    from parts.scaling_plot import plot

    plot(options.out, found)


def markdown(results):
    """The page as Markdown."""
    settings, found = results["settings"], results["sizes"]
    header = (
        "model",
        "size",
        "s an image",
        "µs a pixel",
        "network evaluations",
        "sample / likelihood",
        "× cached ON",
        "first sample, s",
        "peak memory, GiB",
        "parameters",
    )
    table = []
    for one in found:
        faster = one.get("faster_than_cached_ON")
        micro = {name: 1e6 * value for name, value in one["seconds_a_pixel"].items()}
        memory = one["memory"]
        table.append(
            (
                "OlogN, type A" if one["variant"] == "OlogN" else "ON, cached",
                f"{one['size']}×{one['size']}",
                format_spread(one["seconds"], 3),
                format_spread(micro, 1),
                f"{one['evaluations_a_pixel']:,}"
                + (f" + {one['evaluations_a_group']}" if one["evaluations_a_group"] else ""),
                format_spread(one["sampling_over_likelihood"]),
                "" if faster is None else format_spread(faster, 1),
                f"{one['first_seconds']:.1f}",
                "–" if memory is None else f"{memory / 1024:.2f}",
                f"{one['parameters'] / 1e6:.1f} M",
            )
        )
    return "\n".join(
        [
            "# Sampling time by image size\n",
            f"`{results['command']}`: {machine.sentences(results['machine'])}\n",
            f"Batch 1, RGB, 256 levels, {settings['output']}, {settings['width']} features; "
            f"OlogN: type A, base {settings['base']}×{settings['base']} with {settings['layers']} "
            f"gated layers, {settings['blocks']} residual blocks a group; ON: "
            f"{settings['on_layers']} gated layers. Medians of {settings['repeats']} rounds "
            "(smallest–largest). Each row is a process of its own; its first sample counts "
            "building the model and tracing, and its peak memory is resident, TensorFlow "
            "included. Network evaluations: one a pixel of what is autoregressive + one a group.\n",
            markdown_table(header, table),
            goals(found) + "\n",
            "![seconds and memory by size](scaling.png)\n",
        ]
    )


def goals(found):
    """A table of goals and results as Markdown; "" if none was measured."""
    by_size = {one["size"]: one for one in found if one["variant"] == "OlogN"}
    table = []
    for size, goal in SPEED_UPS.items():
        faster = by_size.get(size, {}).get("faster_than_cached_ON")
        if faster:
            table.append(
                (
                    f"OlogN against cached ON, {size}×{size}",
                    f"≥ {goal}×",
                    format_spread(faster, 1),
                    yes(faster["median"] >= goal),
                )
            )
    large = [size for size in sorted(by_size) if size >= FLAT_FROM]
    if len(large) > 1:
        times = [by_size[size]["seconds_a_pixel"]["median"] for size in large]
        growth = max(later / earlier for earlier, later in itertools.pairwise(times))
        table.append(
            (
                f"seconds a pixel from one size to the next, beyond {FLAT_FROM}×{FLAT_FROM}",
                "≤ 1",
                f"{growth:.2f} at most",
                yes(growth <= 1),
            )
        )
    if 512 in by_size and by_size[512]["memory"]:
        memory = by_size[512]["memory"] / 1024
        table.append(
            (
                "peak memory at 512×512",
                f"< {MEMORY_GOAL:.0f} GiB",
                f"{memory:.2f} GiB",
                yes(memory < MEMORY_GOAL),
            )
        )
    if not table:
        return ""
    return "## Goals\n\n" + markdown_table(("figure", "goal", "found", "met"), table)


if __name__ == "__main__":
    flags.run(main)
