"""What a benchmark has written."""

import json


def results_of(folder, name, *others):
    """The numbers of a page, which names neither its folder nor `others`."""
    page = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert page.strip()
    assert not [path for path in (folder, *others) if str(path) in page]
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def goals_met(table):
    """dict figure → whether its goal is met, of a Markdown table of goals, in its order."""
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    return {row[1]: row[-2] == "yes" for row in cells if row[-2:-1] in (["yes"], ["no"])}
