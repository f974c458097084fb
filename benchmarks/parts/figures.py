"""Draws validation curves; and the look of all figures."""

from matplotlib.figure import Figure  # pyplot would look for a screen

from ms_pixelcnn_tf.files import replacing

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")  # distinct to the colour-blind
NOTE = {"color": "#666666", "fontsize": 9}


def plot_curves(path, curves, comparison, codec):
    """Validation bits against time and against examples, side by side.

    Args:
        path: the PNG to write.
        curves: dict name → records of metrics.jsonl.
        comparison: the result of `curves.compare`; its common values are marked.
        codec: `(name, bits per sub-pixel)` of the best lossless codec, drawn as a line.
    """
    time, examples = comparison["common_time"], comparison["common_examples"]
    panels = (
        ("cpu_seconds", 60.0, time, "processor time of training, minutes", "equal time"),
        ("examples", 1e3, examples, "images seen, thousands", "equal images"),
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
        place = {"xycoords": ("data", "axes fraction"), "va": "top"}
        axis.annotate(f" {mark}", (common / unit, 1), **place, **NOTE)
        if codec[1] < top:
            axis.axhline(codec[1], color="#999999", linestyle="--", linewidth=1)
            place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
            axis.annotate(codec[0], (1, codec[1]), **place, **NOTE)
        axis.set_xlim(left=0)
        plain(axis, label)
    axes[0].set_ylabel("validation, bits per sub-pixel")
    legend(figure, axes[0])
    save(figure, path)


def plain(axis, label):
    """Labels the x axis, and leaves out the frame above and to the right."""
    axis.set_xlabel(label)
    axis.grid(color="#eeeeee")
    axis.spines[["top", "right"]].set_visible(False)


def legend(figure, axis):
    """Puts the legend of one of its axes above a figure."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)


def save(figure, path):
    """Writes a PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, facecolor="white")
