"""Writes the density report from the folders of the runs."""

import pathlib
import sys

import numpy as np
import PIL

import flops
import machine
import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from parts import codecs, figures
from parts.curves import PAPER_GAP, compare
from parts.tables import markdown_table, write_results

SAMPLE_SEED = 0
COMMAND = "bin/benchmark density"


def write(workdirs, baseline, out, data_dir, num_samples, notes=()):
    """Reads the runs found and writes density.md, .json, .png and density_samples.png.

    Args:
        workdirs: dict name → folder of the run.
        baseline: name of the run that the others are compared with.
        out: folder of the results.
        data_dir: folder of the data set; None: that of the first run.
        num_samples: samples per model.
        notes: sentences to add.

    Returns:
        The page as Markdown.

    Raises:
        UserError: if no run has a validation, or a run has no checkpoint.
    """
    curves = {name: read_metrics(folder) for name, folder in workdirs.items()}
    for name in [name for name, curve in curves.items() if not curve]:
        print(f"{name} has no validation yet: left out", file=sys.stderr)
        del curves[name]
    if not curves:
        places = ", ".join(str(folder) for folder in workdirs.values())
        raise UserError(f"none of {places} has a validation; train first")
    runs = {name: Run(workdirs[name]).config for name in curves}
    models = {name: ms.load(workdirs[name]) for name in curves}

    first = next(iter(runs.values()))
    source = load_source(first, data_dir)
    count = min(first.train.evaluation_examples or np.inf, source.size("validation"))
    images = source.examples("validation", np.arange(count))["image"]
    results = {
        "machine": machine.describe(),
        "data": source.description,
        "validation_images": int(count),
        "paper_gap": PAPER_GAP,
        "lossless_bits": codecs.lossless_bits(images),
        "pillow": PIL.__version__,
        "lossless_settings": codecs.settings(),
        "baseline": baseline,
        "notes": list(notes),
        **summarise(curves, baseline),
    }
    for name, run in results["runs"].items():
        run["parameters"] = int(models[name].count_params())
        run["flops_per_image"] = sum(flops.forward_flops(models[name]).values())
        run["curve"] = curves[name]

    out = pathlib.Path(out)
    best_codec = min(results["lossless_bits"].items(), key=lambda codec: codec[1])
    figures.plot_curves(out / "density.png", curves, results, best_codec)
    samples = {}
    for name, run in results["runs"].items():
        levels = models[name].sample(num_samples, seed=SAMPLE_SEED)
        label = f"{name}: {run['validation_bits']:.2f} bits per sub-pixel"
        samples[label] = pixels.dequantise(levels, models[name].config.num_levels)
    figures.plot_samples(out / "density_samples.png", samples)
    page = markdown(results)
    write_results(out, "density", page, results)
    return page


def summarise(curves, baseline):
    """The result of `curves.compare`, with values from each run's last record added."""
    summary = compare(curves, baseline)
    for name, run in summary["runs"].items():
        last = curves[name][-1]
        for field in ("step", "examples", "train_bits", "validation_bits", "validation_terms"):
            run[field] = last[field]
        run["seconds"] = last[summary["time_field"]]
        run["images_per_second"] = last["examples"] / last[summary["time_field"]]
    return summary


def markdown(results):
    """The page as Markdown."""
    runs, minutes = results["runs"], results["common_time"] / 60
    on_processor = results["time_field"] == "cpu_seconds"
    clock = (
        "processor time (the wall-clock time of a core that has nothing else to do)"
        if on_processor
        else "wall-clock time"
    )
    lossless = "; ".join(f"{name}: {bits:.2f}" for name, bits in results["lossless_bits"].items())
    return "\n".join(
        [
            "# Density of photographs\n",
            f"{results['data']}. Bits per sub-pixel on the first {results['validation_images']:,} "
            f"validation images, sorted by name, with averaged weights. `{COMMAND} train` makes "
            f"the runs (their configurations stand in `benchmarks/density.py`), `{COMMAND} "
            f"report` this page. {machine.sentences(results['machine'])}\n",
            *(f"{note}\n" for note in results["notes"]),
            "## The runs\n",
            _runs(runs),
            f"Time is {clock} of the training steps, each run on one core; images/s are by that "
            "time. GFLOP are of the likelihood of one image (`bin/benchmark flops`); a training "
            "step takes 3 times that an image. Train: mean since the validation before, with each "
            "step's weights.\n",
            "## OlogN beside ON\n",
            _comparison(runs, minutes, results["common_examples"]),
            f"Gaps are to {results['baseline']}; below zero the run is better. The paper's OlogN "
            f"− ON is {results['paper_gap']:+.2f} on ImageNet 32×32, both trained to convergence. "
            "Equal time and equal images are as far as every run goes, read off the validation "
            "curves on straight lines. A run that is read before its end has not lowered its "
            "learning rate as far, which counts against it.\n",
            "![validation curves](density.png)\n",
            "## Lossless files of the same images\n",
            f"{lossless}. Bits per sub-pixel, one file an image with its header, encoded by Pillow "
            f"{results['pillow']} ({results['lossless_settings']}).\n",
            "## Terms\n",
            _terms(runs),
            "Bits per sub-pixel of each term, at the end.\n",
            "## Samples\n",
            f"Seed {SAMPLE_SEED}, not picked.\n",
            "![samples](density_samples.png)\n",
        ]
    )


def _runs(runs):
    return markdown_table(
        [
            "run",
            "parameters",
            "GFLOP",
            "steps",
            "images seen",
            "images/s",
            "minutes",
            "train",
            "**validation**",
        ],
        [
            [
                name,
                f"{run['parameters'] / 1e6:.2f} M",
                f"{run['flops_per_image'] / 1e9:.2f}",
                f"{run['step']:,}",
                f"{run['examples']:,}",
                f"{run['images_per_second']:.1f}",
                f"{run['seconds'] / 60:.1f}",
                _bits(run["train_bits"]),
                f"**{_bits(run['validation_bits'])}**",
            ]
            for name, run in runs.items()
        ],
    )


def _comparison(runs, minutes, examples):
    return markdown_table(
        ["run", f"at {minutes:.1f} minutes", "gap", f"at {examples:,} images", "gap"],
        [
            [
                name,
                _bits(run["bits_at_equal_time"]),
                _gap(run["gap_at_equal_time"]),
                _bits(run["bits_at_equal_examples"]),
                _gap(run["gap_at_equal_examples"]),
            ]
            for name, run in runs.items()
        ],
    )


def _terms(runs):
    """A row per term and a column per run; ON, whose base is the whole image, has one term."""
    names = list(dict.fromkeys(term for run in runs.values() for term in run["validation_terms"]))
    return markdown_table(
        ["term", *runs],
        [
            [name, *(_bits(run["validation_terms"].get(name)) for run in runs.values())]
            for name in names
        ],
    )


def _bits(value):
    return "–" if value is None else f"{value:.3f}"


def _gap(value):
    return "–" if value is None else f"{value:+.3f}"
