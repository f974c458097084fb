"""Compares three ways to resize maps to the scales of the pyramid: corners, centres and tf1.

    bin/benchmark map_resizing train --core=0    # an hour; resumes
    bin/benchmark map_resizing report

`train` trains the base of `conditioning` with captions and keypoints for a quarter of its steps,
once with each way (`--map_resizing` of `bin/train`) and all else equal. `report` gives each base
held-out prompts and prompts of pairs that training shows, and reads the colours of its 8x8 samples
at the places asked for.
"""

import pathlib

import conditioning
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import runs
from parts.pages import publish, table

METHODS = ("corners", "centres", "tf1")
RUN = "text-keypoints"
QUARTER = 4


def configuration(method):
    """The `RunConfig` of the base with maps resized by one of METHODS."""
    fields = conditioning.SHARED | conditioning.RUNS[RUN] | conditioning.MAPS
    fields |= conditioning.STAGES["base"]
    fields |= {"steps": fields["steps"] // QUARTER, "map_resizing": method}
    return make_run(**fields, scale="base")


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "report"."""
    parser = runs.RunsParser("map_resizing", __doc__, METHODS)
    parser.number("--prompts", 500, "prompts of a split")
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `report`, which writes the page `map_resizing`."""
    options = parse(arguments)
    if options.mode == "train":
        names = options.only or METHODS
        return runs.train(__file__, options, names, lambda name: [configuration(name)])
    folder = pathlib.Path(options.workdir)
    results = {"runs": {name: measured(folder / name, options.prompts) for name in METHODS}}
    publish(options, "map_resizing", "How maps are resized", results, body)


def measured(workdir, num):
    """The cost of a base, its validation bits and, by split, its `hits`: a dict for JSON."""
    with flags.quiet_start():
        from ms_pixelcnn_tf import data, pixels
        from ms_pixelcnn_tf.runs.metrics import read_metrics
        from ms_pixelcnn_tf.runs.run import Run
        from parts.conditioning_report import hits, samples
        from parts.prompts import prompts

    run = Run(workdir)
    whole, model = run.config.model, run.model(to_sample=True)
    stride = whole.image_size[0] // model.config.image_size[0]
    source = data.load("shapes", image_size=whole.image_size, channels=whole.channels)
    last = read_metrics(*run.parts)[-1]
    found = {
        "steps": last["step"],
        "processor_minutes": last["cpu_seconds"] / 60,
        "validation_bits": last["validation_bits"],
    }
    for split in ("novel", "validation"):
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


def body(results):
    """The page's paragraphs."""
    runs = results["runs"]
    columns = [
        ("map_resizing", lambda name: name),
        ("steps", lambda name: f"{runs[name]['steps']:,}"),
        ("processor minutes", lambda name: f"{runs[name]['processor_minutes']:.1f}"),
        ("validation, bits", lambda name: f"{runs[name]['validation_bits']:.4f}"),
        ("right, held-out pairs", lambda name: f"{runs[name]['novel']['right']:.3f}"),
        ("right, shown pairs", lambda name: f"{runs[name]['validation']['right']:.3f}"),
        ("no shape there, held out", lambda name: f"{runs[name]['novel']['none']:.3f}"),
    ]
    real = next(iter(runs.values()))
    return [
        "The base of [conditioning](conditioning.md) with captions and keypoints, 8x8 of 32x32, a "
        f"quarter of its steps on one core, and {results['settings']['prompts']} prompts each of "
        "pairs of kind and colour that no training image shows, and of pairs that training shows. "
        "Right: shapes whose place shows the requested colour. The detector reads the real "
        f"pictures, sub-sampled to 8x8, right at {real['novel_real']['right']:.3f} and "
        f"{real['validation_real']['right']:.3f}.",
        "corners: averaged around the pixels that the base keeps, every fourth one. centres: "
        "averaged around the centres of the blocks, half a block off. tf1: sampled at the pixels "
        "kept, without an average, which skips three keypoints of four along each axis; these are "
        "found only as far as the encoder's convolutions reach.",
        table(columns, runs),
    ]


if __name__ == "__main__":
    flags.run(main)
