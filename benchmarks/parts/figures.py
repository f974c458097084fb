"""The density benchmark's pictures: validation curves, and samples of every model."""

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (after the choice of a backend without a screen)

from ms_pixelcnn_tf import pictures  # noqa: E402
from ms_pixelcnn_tf.files import replacing  # noqa: E402

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")  # told apart by the colour-blind
MAGNIFICATION = 4


def plot_curves(path, curves, comparison, lines):
    """Validation bits against time and against examples, side by side.

    Args:
        path: of the PNG.
        curves: dict name → records of metrics.jsonl.
        comparison: from `curves.compare`; its common values are marked.
        lines: dict name → bits per sub-pixel, drawn across (codecs).
    """
    time = comparison["time_field"]
    clock = "processor time" if time == "cpu_seconds" else "wall-clock time"
    panels = (
        (time, 60.0, comparison["common_time"], f"{clock} of training, minutes", "equal time"),
        ("examples", 1e3, comparison["common_examples"], "images seen, thousands", "equal images"),
    )
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True, constrained_layout=True)
    for axis, (field, unit, common, label, mark) in zip(axes, panels):
        for colour, (name, curve) in zip(COLOURS, curves.items()):
            places = [record[field] / unit for record in curve]
            bits = [record["validation_bits"] for record in curve]
            axis.plot(places, bits, color=colour, marker="o", markersize=3, label=name)
        axis.axvline(common / unit, color="#999999", linestyle=":", label=mark)
        top = max(max(record["validation_bits"] for record in c) for c in curves.values()) + 0.1
        for name, bits in lines.items():
            if bits < top:
                axis.axhline(bits, color="#999999", linestyle="--", linewidth=1)
                axis.annotate(name, (1, bits), xycoords=("axes fraction", "data"), ha="right",
                              va="bottom", color="#666666", fontsize=9)
        axis.set_xlim(left=0)
        axis.set_xlabel(label)
        axis.grid(color="#eeeeee")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, loc="upper right" if not lines else "best", fontsize=9)
    axes[0].set_ylabel("validation, bits per sub-pixel")
    _save(figure, path)


def plot_samples(path, samples):
    """One row of samples a model, with its name above.

    Args:
        path: of the PNG.
        samples: dict label → uint8 `[N, H, W, C]` for display, the same N and size for each.
    """
    rows = [
        pictures.grid(images, columns=len(images), scale=MAGNIFICATION)
        for images in samples.values()
    ]
    height, width, _ = rows[0].shape
    scale = 11 / width  # inches a pixel
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(11, len(rows) * (height * scale + 0.35)), squeeze=False,
        constrained_layout=True,
    )
    for axis, label, row in zip(np.ravel(axes), samples, rows):
        axis.imshow(row, interpolation="nearest")
        axis.set_title(label, loc="left", fontsize=10)
        axis.axis("off")
    _save(figure, path)


def _save(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, facecolor="white")
    plt.close(figure)
