"""Small models that ship with the package, each in a run folder with its name.

    config.json, data.json      as in any run
    checkpoints/step-N          only the averaged weights
    card.json                   its likelihoods, the command that makes it, the files' SHA-256

They are trained on the procedural data sets. `bin/benchmark ready_made` makes them.
"""

import os
import pathlib

from ms_pixelcnn_tf.errors import UserError

FOLDER = pathlib.Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the shipped models, sorted."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/config.json")))


def folder_of(name: str) -> pathlib.Path | None:
    """Folder of a shipped model by its name, or None."""
    return FOLDER / name if name in names() else None


def find(path: "str | os.PathLike[str]") -> pathlib.Path:
    """The folder of a model.

    Args:
        path: path of a run, of an export, or of a folder of exports, which means the newest
            version; if the path does not exist, the name of a shipped model.

    Raises:
        UserError: if there is no such model; the message lists the names.
    """
    folder = pathlib.Path(path).expanduser()
    if not folder.exists():
        ready = folder_of(str(path))
        if ready is None:
            raise UserError(
                f"{path} is no folder, and no model that ships; those are {', '.join(names())}"
            )
        return ready
    there = versions(folder)
    if there and not (folder / "config.json").is_file():
        return folder / str(max(there))
    return folder


def versions(folder: pathlib.Path) -> list[int]:
    """Version numbers of the exports in a folder."""
    return [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
