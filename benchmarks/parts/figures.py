"""Draws the density report's pictures: validation curves, and samples of every model."""

import numpy as np
from matplotlib.figure import Figure  # pyplot would look for a screen

from ms_pixelcnn_tf.drawing import grids
from ms_pixelcnn_tf.files import replacing

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")  # distinct to the colour-blind
NOTE = {"color": "#666666", "fontsize": 9}
MAGNIFICATION = 4


def plot_curves(path, curves, comparison, codec):
    """Validation bits against time and against examples, side by side.

    Args:
        path: the PNG to write.
        curves: dict name → records of metrics.jsonl.
        comparison: the result of `curves.compare`; its common values are marked.
        codec: `(name, bits per sub-pixel)` of the best lossless codec, drawn as a line.
    """
    time = comparison["time_field"]
    clock = "processor time" if time == "cpu_seconds" else "wall-clock time"
    panels = (
        (time, 60.0, comparison["common_time"], f"{clock} of training, minutes", "equal time"),
        ("examples", 1e3, comparison["common_examples"], "images seen, thousands", "equal images"),
    )
    top = max(record["validation_bits"] for curve in curves.values() for record in curve) + 0.1
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (field, unit, common, label, mark) in zip(axes, panels, strict=True):
        for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
            places = [record[field] / unit for record in curve]
            bits = [record["validation_bits"] for record in curve]
            axis.plot(places, bits, color=colour, marker="o", markersize=3, label=name)
        axis.axvline(common / unit, color="#999999", linestyle=":")
        axis.annotate(
            f" {mark}", (common / unit, 1), xycoords=("data", "axes fraction"), va="top", **NOTE
        )
        if codec[1] < top:
            axis.axhline(codec[1], color="#999999", linestyle="--", linewidth=1)
            axis.annotate(
                codec[0],
                (1, codec[1]),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                **NOTE,
            )
        axis.set_xlim(left=0)
        axis.set_xlabel(label)
        axis.grid(color="#eeeeee")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("validation, bits per sub-pixel")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    save(figure, path)


def plot_samples(path, samples):
    """One row of samples per model, with its label above.

    Args:
        path: the PNG to write.
        samples: dict label → uint8 `[N, H, W, C]` for display, the same N and size for each.
    """
    rows = [
        grids.grid(images, columns=len(images), scale=MAGNIFICATION) for images in samples.values()
    ]
    height, width, _ = rows[0].shape
    scale = 11 / width  # inches a pixel
    figure = Figure(figsize=(11, len(rows) * (height * scale + 0.35)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False)
    for axis, label, row in zip(np.ravel(axes), samples, rows, strict=True):
        axis.imshow(row, interpolation="nearest")
        axis.set_title(label, loc="left", fontsize=10)
        axis.axis("off")
    save(figure, path)


def save(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, facecolor="white")
