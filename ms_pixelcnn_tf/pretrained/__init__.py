"""Small models that ship with the package, each a run's folder by its name.

    config.json, data.json      as of any run
    checkpoints/step-N          the averaged weights alone
    card.json                   what it scores, the command that remakes it, the files' SHA-256

They are of the procedural data sets. `bin/benchmark ready_made` makes them.
"""

import os
import pathlib

from ms_pixelcnn_tf.errors import UserError

FOLDER = pathlib.Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the models that are there, sorted."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/config.json")))


def folder_of(name: str) -> pathlib.Path | None:
    """Folder of the model of a name, or None."""
    return FOLDER / name if name in names() else None


def find(path: "str | os.PathLike[str]") -> pathlib.Path:
    """The folder of a model.

    Args:
        path: of a run, of an export, or of a folder of exports by their version, of which the
            newest is meant; or, where nothing is at that path, the name of a model that ships.

    Raises:
        UserError: if there is none; it lists the names.
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
    """Numbers of the exports in a folder of them."""
    return [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
