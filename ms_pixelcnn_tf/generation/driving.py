"""Driving the arm: actions and states from files, or states that follow from the actions.

Frame t shows state t. Action t is commanded at frame t and leads to frame t + 1. So if the first G
frames of a clip are given, the actions before G - 1 and the states before G belong to the given
frames and stay the clip's own. The user's values replace the later ones.
"""

import os
from collections.abc import Mapping

import numpy as np

from ms_pixelcnn_tf.data.procedural import push_physics
from ms_pixelcnn_tf.errors import UserError

# Data sets whose gripper moves to the commanded pose → fraction of the way it covers per frame.
FOLLOW = {"shapes_push": push_physics.FOLLOW}


def read_values(
    path: str | os.PathLike[str], flag: str, count: int, steps: int, width: int
) -> np.ndarray:
    """Reads actions or states from a file written by `numpy.save`.

    Args:
        path: path of the file: floats or integers, `[T, N]` for all clips or `[n, T, N]`.
        flag: name of the flag, for messages.
        count, steps, width: n, T and N.

    Returns:
        float32 `[n, T, N]`.

    Raises:
        UserError: if the file cannot be read, or its array has another shape or dtype or is not
            finite.
    """
    try:
        # Memory-mapped, so that a header that claims more than the file holds reserves no memory.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"--{flag}: there is no file {path}") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--{flag}: {path} cannot be read: {reason}") from error
    except Exception as error:  # numpy raises many types for damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--{flag}: {path} is no plain .npy file, as numpy.save writes it of numbers: {reason}"
        ) from error
    valid = f"[{steps}, {width}] or [{count}, {steps}, {width}] (clips, frames, numbers)"
    if not isinstance(values, np.ndarray):
        values.close()
        raise UserError(f"--{flag}: {path} holds several arrays; give a .npy file of {valid}")
    if values.dtype.kind not in "fiu":
        raise UserError(f"--{flag}: {path} holds {values.dtype}; valid: floats, such as float32")
    if values.shape not in ((steps, width), (count, steps, width)):
        raise UserError(f"--{flag}: {path} holds {list(values.shape)}; valid: {valid}")
    with np.errstate(over="ignore"):
        values = np.array(np.broadcast_to(values, (count, steps, width)), "float32")
    if not np.isfinite(values).all():
        clip, step, number = np.argwhere(~np.isfinite(values))[0]
        raise UserError(
            f"--{flag}: {path} holds {values[clip, step, number]} at frame {step}, number "
            f"{number}; valid: finite numbers"
        )
    return values


def can_follow(name: str) -> bool:
    """Whether a data set's states can be derived from its actions."""
    return name in FOLLOW


def drive(
    name: str,
    clip: Mapping[str, np.ndarray],
    given: int,
    actions: np.ndarray,
    states: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The conditions of clips that are driven by the user.

    Args:
        name: name of the data set.
        clip: the clips' own "actions" `[n, T, A]` and, if the model takes them, "states"
            `[n, T, S]`, float32.
        given: number G of given frames.
        actions: float32 `[n, T, A]`, used from frame G - 1 on.
        states: float32 `[n, T, S]`, used from frame G on; None derives them from the actions, as if
            the arm touched nothing.

    Returns:
        The conditions, a dict with the fields of `clip`.

    Raises:
        UserError: if states are needed but neither given nor derivable.
    """
    driven = {"actions": _joined(clip["actions"], actions, given - 1)}
    if "states" not in clip:
        return driven
    if states is None:
        if not can_follow(name):
            raise UserError(
                f"what states follow from actions is not known for {name}, and the model takes "
                "states; give --states as well"
            )
        states = follow(clip["states"], driven["actions"], given, FOLLOW[name])
    return driven | {"states": _joined(clip["states"], states, given)}


def follow(states: np.ndarray, actions: np.ndarray, given: int, share: float) -> np.ndarray:
    """Derives states from actions: s[t + 1] = s[t] + share · (a[t] - s[t]).

    Args:
        states: `[n, T, S]`; the first `given` are kept.
        actions: `[n, T, S]`, the pose commanded at each frame.
        share: fraction of the way to that pose covered per frame.

    Returns:
        float32 `[n, T, S]`.
    """
    states = np.array(states, "float64")
    for t in range(given, states.shape[1]):
        before = states[:, t - 1]
        states[:, t] = before + share * (actions[:, t - 1] - before)
    return states.astype("float32")


def _joined(first, rest, start):
    """`first` before frame `start`, `rest` from there on."""
    return np.concatenate([first[:, :start], rest[:, start:]], axis=1)
