"""Writes the report on ways to resize maps: what each base has learned."""

import pathlib

import machine
from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.runs.run import Run
from parts.conditioning_report import hits, samples
from parts.prompts import SPLIT, prompts
from parts.tables import markdown_table, write_results

NAME = "map_resizing"


def write(options, methods):
    """Measures, writes the page and its JSON; returns the page.

    Args:
        options: `workdir`, `out` and the number `prompts`.
        methods: names of the runs, which are folders in `workdir`.
    """
    found = {
        method: measured(pathlib.Path(options.workdir) / method, options.prompts)
        for method in methods
    }
    results = {"machine": machine.describe(), "prompts": options.prompts, "runs": found}
    page = markdown(results)
    write_results(options.out, NAME, page, results)
    return page


def measured(workdir, num):
    """The cost of a base, its validation bits and, by split, its `hits`: a dict for JSON."""
    run = Run(workdir)
    whole, model = run.config.model, run.model(to_sample=True)
    stride = whole.image_size[0] // model.config.image_size[0]
    source = data.load("shapes", image_size=whole.image_size, channels=whole.channels)
    last = run.curve[-1]
    found = {
        "steps": last["step"],
        "processor_minutes": last["cpu_seconds"] / 60,
        "validation_bits": last["validation_bits"],
    }
    for split in (SPLIT, "validation"):
        asked = prompts(source, num, "keypoints", split)
        places = [[at_corner(shape, stride) for shape in shapes] for shapes in asked.asked]
        real = source.examples(split, asked.indices, ("image",))["image"][:, ::stride, ::stride]
        levels = pixels.quantise(real, whole.num_levels)
        found[split] = hits(samples(model, asked.conditions), places)
        found[f"{split}_real"] = hits(pixels.dequantise(levels, whole.num_levels), places)
    return found


def at_corner(shape, stride):
    """Converts a shape (colour, x, y, radius) to an image that keeps every `stride`-th pixel."""
    colour, x, y, radius = shape
    return colour, (x - 0.5) / stride + 0.5, (y - 0.5) / stride + 0.5, radius / stride


def markdown(results):
    """The page as Markdown."""
    rows = [
        (
            method,
            f"{run['steps']:,}",
            f"{run['processor_minutes']:.1f}",
            f"{run['validation_bits']:.4f}",
            *(f"{run[split]['right']:.3f}" for split in (SPLIT, "validation")),
            f"{run[SPLIT]['none']:.3f}",
        )
        for method, run in results["runs"].items()
    ]
    real = next(iter(results["runs"].values()))
    return (
        "# How maps are resized\n\n`bin/benchmark map_resizing`: "
        f"{machine.sentences(results['machine'])}\n\nThe base of [conditioning](conditioning.md) "
        "with captions and keypoints, 8x8 of 32x32, a quarter of its steps on one core, and "
        f"{results['prompts']} prompts each of pairs of kind and colour that no training image "
        "shows, and of pairs that training shows. Right: shapes whose place shows the colour "
        "asked. The detector reads the real pictures, sub-sampled to 8x8, right at "
        f"{real[f'{SPLIT}_real']['right']:.3f} and {real['validation_real']['right']:.3f}.\n\n"
        "corners: averaged around the pixels that the base keeps, every fourth one. centres: "
        "around the centres of the blocks, half a block off. tf1: sampled at the pixels kept, "
        "without an average, so that three keypoints of four along each axis are passed over, and "
        "found only as far as the encoder's convolutions carry them.\n\n"
    ) + markdown_table(
        (
            "map_resizing",
            "steps",
            "processor minutes",
            "validation, bits",
            "right, held-out pairs",
            "right, shown pairs",
            "no shape there, held out",
        ),
        rows,
    )
