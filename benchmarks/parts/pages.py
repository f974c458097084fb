"""Writes results as Markdown for people and as JSON for programs."""

import json
import pathlib

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.files import write_text
from parts import machine
from parts.parser import settings


def publish(options, name, title, results, body):
    """Prints a page and writes it as `name`.md, and its numbers as `name`.json, into `--out`.

    Args:
        options: those of a `Parser`.
        name: of the files.
        title: of the page; the command and the machine follow it.
        results: dict for JSON, to which the command, the machine and the settings are added.
        body: a function of the results that returns the rest of the page as Markdown paragraphs,
            of which empty ones are left out.
    """
    with flags.quiet_start():
        described = machine.describe()
    results = {
        "command": options.command,
        "machine": described,
        "settings": settings(options),
        **results,
    }
    head = f"# {title}", f"`{options.command}`: {machine.sentences(described)}"
    page = "\n\n".join(part.strip() for part in (*head, *body(results)) if part) + "\n"
    print(page)
    folder = pathlib.Path(options.out)
    write_text(folder / f"{name}.md", page)
    write_text(folder / f"{name}.json", json.dumps(results, indent=2) + "\n")


def markdown_table(header, rows):
    """A Markdown table, its first column aligned left and the others right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in (header, rule, *rows))


def table(columns, rows):
    """A Markdown table.

    Args:
        columns: a list of (header, function of a row that returns its cell).
        rows: a list of anything.
    """
    return markdown_table(
        [h for h, _ in columns], [[cell(row) for _, cell in columns] for row in rows]
    )


def goals_table(rows):
    """A section with rows of (figure, goal, found) as Markdown; "" without rows."""
    return "## Goals\n\n" + markdown_table(("figure", "goal", "found"), rows) if rows else ""


def shown(value, form, unit=1):
    """A number in a format such as ".2f", in a unit; "–" for None."""
    return "–" if value is None else f"{value / unit:{form}}"
