"""Line charts as SVG, coloured by the page's style sheet."""

import math
from collections.abc import Iterable

from ms_pixelcnn_tf.report.markup import Markup, element, number

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 40  # margins
TICKS = 5
MANY = 20  # with more points than this, the highest few may lie above the drawing


def chart(curves: Iterable[tuple[str, str, bool, list]], x_name: str, y_name: str) -> Markup:
    """Draws curves in one chart.

    Args:
        curves: list of (name, CSS class of its colour, whether dashed, list of (x, y)); the curves
            of one run have one colour.
        x_name, y_name: names of the axes.

    Returns:
        HTML: the chart with a legend below it; empty if no curve has a point.
    """
    curves = [
        (name, colour, dashed, [(x, y) for x, y in points if y is not None and math.isfinite(y)])
        for name, colour, dashed, points in curves
    ]
    curves = [curve for curve in curves if curve[3]]
    if not curves:
        return Markup("")
    points = [point for *_, each in curves for point in each]
    x_ticks = _ticks(0, max(x for x, _ in points))
    y_ticks = _ticks(*_range([y for _, y in points]))

    def place(x, y):
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (
            HEIGHT - TOP - BOTTOM
        )

    drawn = []
    for tick in y_ticks:
        _, y = place(x_ticks[0], tick)
        drawn.append(
            element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="rule")
        )
        drawn.append(element("text", _short(tick), x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0])
        drawn.append(
            element(
                "text", _short(tick), x=f"{x:.1f}", y=HEIGHT - BOTTOM + 16, text_anchor="middle"
            )
        )
    drawn.append(
        element("text", x_name, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle")
    )
    for _, colour, dashed, each in curves:
        path = " ".join(
            f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in each if p[1] <= y_ticks[-1])
        )
        drawn.append(
            element("polyline", points=path, class_=f"{colour} {'dashed' if dashed else ''}")
        )
        x, y = place(each[-1][0], min(each[-1][1], y_ticks[-1]))
        drawn.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_=colour))
    title = f"{y_name} by {x_name}"
    svg = element(
        "svg", element("title", title), *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img"
    )
    legend = [
        element(
            "li",
            element("span", class_=f"key {colour} {'dashed' if dashed else ''}"),
            " ",
            f"{name}, at the end {number(each[-1][1], 3)}",
        )
        for name, colour, dashed, each in curves
    ]
    return element(
        "figure", svg, element("ul", *legend, class_="legend"), element("figcaption", title)
    )


def _range(values):
    """(lowest, highest) to draw, never equal; of many values, the highest 3 % are left out, since
    curves may start far above their end."""
    values = sorted(values)
    highest = values[int(0.97 * (len(values) - 1))] if len(values) > MANY else values[-1]
    return values[0], max(highest, values[0] + 0.05 * abs(values[0]), values[0] + 1e-6)


def _ticks(low, high):
    """Round numbers that enclose a range."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [count * step for count in range(first, max(last, first + 1) + 1)]


def _short(value):
    return f"{value:g}" if abs(value) < 10_000 else f"{value / 1000:g}k"
