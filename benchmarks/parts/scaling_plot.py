"""Plots the scaling report's times and peak memory against the image size."""

import pathlib

from matplotlib.figure import Figure

from parts.figures import COLOURS, save

LABELS = {"OlogN": "OlogN, type A", "ON": "ON, cached"}


def plot(folder, found):
    """Plots seconds per image, microseconds per pixel and peak memory against the side.

    Args:
        folder: the folder that `scaling.png` is written to.
        found: the result of `scaling.measure`.
    """
    panels = (
        ("seconds an image", lambda one: one["seconds"]),
        (
            "microseconds a pixel",
            lambda one: {k: 1e6 * v for k, v in one["seconds_a_pixel"].items()},
        ),
        ("peak memory, GiB", lambda one: {"median": (one["memory"] or 0) / 1024}),
    )
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels))
    sides = sorted({one["size"] for one in found})
    for axis, (label, value) in zip(axes, panels, strict=True):
        for colour, (variant, name) in zip(COLOURS, LABELS.items(), strict=False):
            own = [one for one in found if one["variant"] == variant]
            values = [value(one) for one in own]
            middle = [v["median"] for v in values]
            spread = [
                [v["median"] - v.get("min", v["median"]) for v in values],
                [v.get("max", v["median"]) - v["median"] for v in values],
            ]
            axis.errorbar(
                [one["size"] for one in own],
                middle,
                spread,
                color=colour,
                marker="o",
                markersize=4,
                capsize=2,
                label=name,
            )
        axis.set_xscale("log", base=2)
        axis.set_xticks(sides, [f"{side}²" for side in sides])
        if "memory" in label:
            axis.set_ylim(bottom=0)
        else:
            axis.set_yscale("log")
        axis.set_xlabel("image size, pixels")
        axis.set_ylabel(label)
        axis.grid(color="#eeeeee")
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    save(figure, pathlib.Path(folder) / "scaling.png")
