"""card.json: facts about exported or shipped weights, and the SHA-256 of their files."""

import hashlib
import json
import pathlib
from collections.abc import Iterable
from typing import Any

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.types import AnyPath

CARD = "card.json"


def write(folder: AnyPath, facts: dict[str, Any], names: Iterable[str]) -> None:
    """Writes a card: `facts`, a dict for JSON, and the hashes of the named files in `folder`."""
    folder = pathlib.Path(folder)
    hashes = {name: _sha256(folder / name) for name in sorted(names)}
    write_text(folder / CARD, json.dumps(facts | {"sha256": hashes}, indent=2) + "\n")


def read(folder: AnyPath) -> dict[str, Any] | None:
    """Reads a folder's card, a dict; None if it has none.

    Raises:
        UserError: if the card is damaged.
    """
    path = pathlib.Path(folder) / CARD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found["sha256"], dict):
            return found
        raise ValueError("sha256 is no object")
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def check(folder: AnyPath, pattern: str) -> None:
    """Checks a folder's files against its card, which must list each match of `pattern` (weights).

    Raises:
        UserError: naming the file, if one is missing, changed or not listed.
    """
    hashes = (read(folder) or {"sha256": {}})["sha256"]
    weights = [path for path in pathlib.Path(folder).glob(pattern) if path.is_file()]
    for path in weights:
        if str(path.relative_to(folder)) not in hashes:
            raise UserError(f"{path} is not listed in {CARD}; fetch or export the model again")
    for name, expected in hashes.items():
        path = pathlib.Path(folder) / name
        if not path.is_file():
            raise UserError(f"{path} is missing, but {CARD} lists it")
        found = _sha256(path)
        if found != expected:
            raise UserError(
                f"{path} is not the file that was written: its SHA-256 is {found[:16]}…, {CARD} "
                f"says {str(expected)[:16]}…; fetch or export the model again"
            )


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
