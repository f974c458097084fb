"""Writes the density report from the folders of the runs."""

import pathlib
import sys

import numpy as np
import PIL

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.drawing import grids
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from parts import codecs, figures, flops
from parts.curves import PAPER_GAP, compare
from parts.pages import publish, shown, table

SAMPLE_SEED = 0
SAMPLES = 12  # of each model
FIELDS = ("step", "examples", "cpu_seconds", "train_bits", "validation_bits")


def write(options, names, baseline):
    """Reads the runs found, and writes the page `density` and its two pictures.

    Args:
        options: `workdir`, `out`, and `data_dir`, the folder of the data set; None: that of the
            first run.
        names: of the runs, which are folders in `workdir`.
        baseline: name of the run that the others are compared with.

    Raises:
        UserError: if no run has a validation, or a run has no checkpoint.
    """
    workdirs = {name: pathlib.Path(options.workdir) / name for name in names}
    curves = {name: read_metrics(folder) for name, folder in workdirs.items()}
    for name in [name for name, curve in curves.items() if not curve]:
        print(f"{name} has no validation yet: left out", file=sys.stderr)
        del curves[name]
    if not curves:
        places = ", ".join(str(folder) for folder in workdirs.values())
        raise UserError(f"none of {places} has a validation; train first")
    models = {name: ms.load(workdirs[name]) for name in curves}
    first = Run(workdirs[next(iter(curves))]).config
    source = load_source(first, options.data_dir)
    count = min(first.train.evaluation_examples or np.inf, source.size("validation"))
    images = source.examples("validation", np.arange(count))["image"]
    results = {
        "data": source.description,
        "validation_images": int(count),
        "lossless_bits": codecs.lossless_bits(images),
        "baseline": baseline,
        **compare(curves, baseline),
    }
    samples = []
    for name, run in results["runs"].items():
        last = curves[name][-1]
        run |= {field: last[field] for field in FIELDS}
        run["parameters"] = int(models[name].count_params())
        run["flops_per_image"] = flops.likelihood_flops(models[name])
        run["curve"] = curves[name]
        levels = models[name].sample(SAMPLES, seed=SAMPLE_SEED)
        levels = pixels.dequantise(levels, models[name].config.num_levels)
        samples.append(grids.grid(levels, columns=SAMPLES, scale=4))
    out = pathlib.Path(options.out)
    best_codec = min(results["lossless_bits"].items(), key=lambda codec: codec[1])
    figures.plot_curves(out / "density.png", curves, results, best_codec)
    grids.write_png(out / "density_samples.png", np.concatenate(samples))
    publish(options, "density", "Density of photographs", results, body)


def body(results):
    """The page's paragraphs."""
    runs, minutes = results["runs"], results["common_time"] / 60
    lossless = "; ".join(f"{name}: {bits:.2f}" for name, bits in results["lossless_bits"].items())
    costs = [
        ("run", lambda name: name),
        ("parameters", lambda name: f"{runs[name]['parameters'] / 1e6:.2f} M"),
        ("GFLOP", lambda name: f"{runs[name]['flops_per_image'] / 1e9:.2f}"),
        ("steps", lambda name: f"{runs[name]['step']:,}"),
        ("images seen", lambda name: f"{runs[name]['examples']:,}"),
        ("images/s", lambda name: f"{runs[name]['examples'] / runs[name]['cpu_seconds']:.1f}"),
        ("minutes", lambda name: f"{runs[name]['cpu_seconds'] / 60:.1f}"),
        ("train", lambda name: shown(runs[name]["train_bits"], ".3f")),
        ("**validation**", lambda name: f"**{runs[name]['validation_bits']:.3f}**"),
    ]
    comparison = [
        ("run", lambda name: name),
        (f"at {minutes:.1f} minutes", lambda name: shown(runs[name]["bits_at_equal_time"], ".3f")),
        ("gap", lambda name: shown(runs[name]["gap_at_equal_time"], "+.3f")),
        (
            f"at {results['common_examples']:,} images",
            lambda name: shown(runs[name]["bits_at_equal_examples"], ".3f"),
        ),
        ("gap", lambda name: shown(runs[name]["gap_at_equal_examples"], "+.3f")),
    ]
    return [
        f"{results['data']}. Bits per sub-pixel on the first {results['validation_images']:,} "
        "validation images, sorted by name, with averaged weights. `bin/benchmark density train` "
        "makes the runs (defined in `benchmarks/density.py`).",
        "## The runs",
        table(costs, runs),
        "Time is processor time of the training steps, each run on one core; images/s are by it. "
        "GFLOP are of the likelihood of one image; a training step takes 3 "
        "times that an image. Train: mean since the validation before, with each step's weights.",
        "## OlogN compared with ON",
        table(comparison, runs),
        f"Gaps are to {results['baseline']}; below zero the run is better. The paper's OlogN − ON "
        f"is {PAPER_GAP:+.2f} on ImageNet 32×32, both trained to convergence. Equal time and equal "
        "images are as far as every run goes, read from the validation curves on straight lines. A "
        "run that is read before its end has not lowered its learning rate as far, which counts "
        "against it.",
        "![validation curves](density.png)",
        "## Lossless files of the same images",
        f"{lossless}. Bits per sub-pixel, one file an image with its header, encoded by Pillow "
        f"{PIL.__version__}.",
        "## Samples",
        f"One row per run, in the order of the tables; seed {SAMPLE_SEED}, not picked.",
        "![samples](density_samples.png)",
    ]
