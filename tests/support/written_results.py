"""What a benchmark has written."""

import json


def results_of(folder, name, *others):
    """The numbers of a page, which names neither its folder nor `others`."""
    page = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert page.strip()
    assert not [path for path in (folder, *others) if str(path) in page]
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
