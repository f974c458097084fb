"""The report on one or several runs as one HTML page, which loads nothing from the network."""

import dataclasses
import datetime
import importlib.metadata
import math
import os
from collections.abc import Callable, Sequence

from ms_pixelcnn_tf.evaluation.timing import processor
from ms_pixelcnn_tf.report import curves, published
from ms_pixelcnn_tf.report.markup import Markup, element, film, number, picture, table
from ms_pixelcnn_tf.report.subject import Subject

COLOURS = 6  # of runs; further runs repeat them
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5b6570; --paper: #fff;
  --line: #d6dbe1; --card: #f6f7f9;
  --c0: #1f6fd1; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #a16207; --c5: #0e7490; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #9aa5b1; --paper: #14171b;
  --line: #343a42; --card: #1c2026;
  --c0: #6aa8f7; --c1: #fb923c; --c2: #4ade80; --c3: #c084fc; --c4: #facc15; --c5: #22d3ee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 24px 20px 60px; background: var(--paper);
  color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 40px 0 8px; }
h3 { font-size: 16px; margin: 20px 0 6px; overflow-wrap: anywhere; } p { max-width: 75ch; }
.faint, figcaption, caption { color: var(--faint); font-size: 13px; }
.wide { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 4px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
.facts td { text-align: left; } .facts thead { display: none; }
th[scope=row], thead th:first-child { text-align: left; font-weight: 500; }
thead th { color: var(--faint); font-weight: 500; white-space: nowrap; }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 12px 28px; }
figure { margin: 14px 0; }
img { max-width: 100%; height: auto; image-rendering: pixelated; display: block; background: #fff;
  border-radius: 3px; }
figcaption { margin-top: 4px; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--faint); font-size: 12px; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; } .rule { stroke: var(--line); }
.dashed { stroke-dasharray: 5 4; opacity: .75; }
.legend { list-style: none; padding: 0; margin: 6px 0; display: flex; flex-wrap: wrap;
  gap: 2px 18px; font-size: 13px; }
.key { display: inline-block; width: 22px; height: 0; border-top: 2px solid;
  vertical-align: middle; } .key.dashed { border-top-style: dashed; }
details { background: var(--card); border-radius: 6px; padding: 8px 14px; margin: 12px 0; }
summary { cursor: pointer; }
code { font-size: 13px; overflow-wrap: anywhere; }
""" + "".join(
    f"polyline.c{i} {{ stroke: var(--c{i}); }} circle.c{i} {{ fill: var(--c{i}); }} "
    f".key.c{i} {{ border-color: var(--c{i}); }}\n"
    for i in range(COLOURS)
)


def build(
    subjects: Sequence[Subject],
    title: str,
    examples: int,
    seed: int,
    progress: Callable[[str], object] = lambda text: None,
) -> str:
    """The page as HTML.

    Args:
        subjects: list of `Subject`.
        title: title of the page.
        examples: number of examples to score per split.
        seed: seed of the samples.
        progress: called with a text that names the current step.
    """
    progress("drawing curves")
    sections = [_runs(subjects), _curves(subjects), _likelihoods(subjects, examples, progress)]
    progress("timing")
    sections += [
        _sampling(subjects),
        _pictures(subjects, seed, progress),
        _configurations(subjects),
    ]
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("ms_pixelcnn_tf", "tensorflow", "keras")
    )
    made = f"Made {datetime.date.today().isoformat()} on {machine()} with {versions}."
    body = element(
        "body", element("h1", title), element("p", made, class_="faint"), *filter(None, sections)
    )
    head = element(
        "head",
        Markup(
            '<meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
        ),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def machine() -> str:
    """The processor and its number of cores, as text."""
    return f"{processor()}, {os.cpu_count()} cores"


def _section(title, *content):
    return element("section", element("h2", title), *content)


def _runs(subjects):
    rows = []
    for subject in subjects:
        last = [lines[-1] for lines in subject.curves.values() if lines]
        lines = [line for lines in subject.curves.values() for line in lines]
        whole = len(last) == 1
        best = min(filter(math.isfinite, (line["validation_bits"] for line in lines)), default=None)
        told = {row["split"]: row["bits_per_dim"] for row in subject.card.get("bits_per_dim", ())}
        missing = subject.run.model.missing_scales
        steps = max((line["step"] for line in last), default=subject.card.get("step"))
        rows.append(
            (
                subject.name,
                subject.data,
                subject.run.model.variant,
                ", ".join(subject.run.model.conditions) or "none",
                number(subject.parameters, 0),
                number(steps, 0),
                number(max((line["examples"] for line in last), default=None), 0),
                number(sum(line["cpu_seconds"] for line in last) / 60 if last else None, 1),
                number(last[0]["validation_bits"] if whole else told.get("validation")),
                number(best if whole else None),
                f"lacks {', '.join(missing)}" if missing else "",
            )
        )
    columns = (
        "run",
        "data",
        "variant",
        "conditions",
        "parameters",
        "steps",
        "examples seen",
        "processor, min",
        "validation, bits",
        "best, bits",
        "",
    )
    if len(rows) == 1:  # as a list, which fits on a narrow screen
        rows = [(name, value) for name, value in zip(columns, rows[0], strict=True) if value]
        return _section("The run", element("div", table(("", ""), rows), class_="facts"))
    return _section("The runs", table(columns, rows))


def _curves(subjects):
    by_step, by_time = [], []
    for index, subject in enumerate(subjects):
        colour = f"c{index % COLOURS}"
        for part, lines in subject.curves.items():
            name = f"{subject.name} {part}".strip()
            validation = [(line["step"], line["validation_bits"]) for line in lines]
            by_step.append((f"{name}, validation", colour, False, validation))
            training = [(line["step"], line["train_bits"]) for line in lines]
            by_step.append((f"{name}, training", colour, True, training))
            minutes = [(line["cpu_seconds"] / 60, line["validation_bits"]) for line in lines]
            by_time.append((f"{name}, validation", colour, False, minutes))
    charts = [
        curves.chart(by_step, "steps", "bits per sub-pixel"),
        curves.chart(by_time, "minutes of processor", "bits per sub-pixel"),
    ]
    return _section("Curves", element("div", *charts, class_="runs")) if any(charts) else ""


def _likelihoods(subjects, examples, progress):
    content = []
    for subject in subjects:
        progress(f"scoring {subject.name}")
        found = subject.evaluations(examples)
        heading = element("h3", subject.name) if len(subjects) > 1 else ""
        if not found:
            content += [heading, element("p", f"Not scored: {subject.reason}", class_="faint")]
            continue
        unit = published.likelihoods_beside(subject.run).unit
        nats = unit == "nats"
        rows = [("all", *(_units(result, nats) for result in found.values()))]
        first = next(iter(found.values()))
        for term in (*first.scales, *(name for name in first.terms if not first.scales)):
            rows.append(
                (
                    term,
                    *(
                        _units((result.scales or result.terms)[term], nats)
                        for result in found.values()
                    ),
                )
            )
        if subject.source.is_video:
            rows += [
                (
                    f"frame {frame.frame}",
                    *(_units(result.frames[index], nats) for result in found.values()),
                )
                for index, frame in enumerate(first.frames)
            ]
        rows.append(("examples", *(f"{result.examples:,}" for result in found.values())))
        content += [heading, table(("", *found), rows, f"{unit} per sub-pixel; {subject.data}")]
    beside = {
        id(table_): table_ for table_ in (published.likelihoods_beside(s.run) for s in subjects)
    }
    for one in beside.values():
        content.append(_published(one, "likelihoods compare on the very same pixels only"))
    return _section("Likelihood", *content)


def _units(result, nats):
    return number(result.nats_per_dim if nats else result.bits_per_dim)


def _published(one, warning):
    rows = [(name, *(number(value, 2) for value in values)) for name, values in one.rows.items()]
    return element(
        "details",
        element("summary", f"As published: {one.title}"),
        table(("", *one.columns), rows, f"{one.pixels}; {warning}"),
    )


def _sampling(subjects):
    rows = [
        (subject.name, subject.run.model.variant, what, together, number(seconds), number(ratio, 2))
        for subject in subjects
        for what, together, seconds, ratio in subject.speeds()
    ]
    if not rows:
        return ""
    columns = ("run", "variant", "what", "together", "seconds a frame", "in likelihoods' times")
    return _section(
        "Sampling",
        table(columns, rows, f"median of three calls, on {machine()}"),
        _published(published.TABLE_4, "another machine"),
    )


def _pictures(subjects, seed, progress):
    columns = []
    for subject in subjects:
        progress(f"sampling {subject.name}")
        figures = [
            (film if pixels.ndim == 4 else picture)(pixels, caption)
            for caption, pixels in subject.pictures(seed)
        ]
        if not figures:
            why = subject.reason or "the run has not all of its scales"
            figures = [element("p", f"No pictures: {why}", class_="faint")]
        columns.append(
            element("div", element("h3", subject.name) if len(subjects) > 1 else "", *figures)
        )
    return _section(
        "What it makes" if len(subjects) == 1 else "What they make",
        element("div", *columns, class_="runs"),
    )


def _configurations(subjects):
    fields = [
        {
            name: value
            for part in dataclasses.asdict(subject.run).values()
            for name, value in part.items()
        }
        for subject in subjects
    ]
    names = list(dict.fromkeys(name for each in fields for name in each))
    rows = [(name, *(_shown(each.get(name, "–")) for each in fields)) for name in names]
    columns = ("field", *(subject.name for subject in subjects))
    differing = [row for row in rows if len(set(row[1:])) > 1]
    return _section(
        "Configuration",
        table(columns, differing, "where they differ") if differing else "",
        element("details", element("summary", f"All {len(rows)} fields"), table(columns, rows)),
    )


def _shown(value):
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
