"""Driving the arm oneself: actions and states from files, and states that follow from the actions.

Frame t shows state t; action t is commanded then, for frame t + 1. So of a clip whose first G
frames are given, the actions before G - 1 and the states before G belong to the given frames, and
stay the clip's own; what comes after is the driver's.
"""

import os
from collections.abc import Mapping

import numpy as np

from ms_pixelcnn_tf.data.procedural import push_physics
from ms_pixelcnn_tf.errors import UserError

# Data sets whose gripper goes for the commanded pose → the part of the way it covers in a frame.
FOLLOW = {"shapes_push": push_physics.FOLLOW}


def read_values(
    path: str | os.PathLike[str], flag: str, count: int, steps: int, width: int
) -> np.ndarray:
    """Actions or states of a file that `numpy.save` has written.

    Args:
        path: of the file, `[T, N]` for all clips or `[n, T, N]`, of floats or integers.
        flag: by which it was given, for messages.
        count, steps, width: n, T and N.

    Returns:
        float32 `[n, T, N]`.

    Raises:
        UserError: if there is no such file, or its array is of another kind or not finite.
    """
    try:
        # Mapped, so that a header that promises more than the file holds reserves no memory.
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
    """Whether the states of a data set follow from the actions."""
    return name in FOLLOW


def drive(
    name: str,
    clip: Mapping[str, np.ndarray],
    given: int,
    actions: np.ndarray,
    states: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """What a model is to be told of clips that are driven.

    Args:
        name: of the data set.
        clip: "actions" `[n, T, A]` and, if the model takes them, "states" `[n, T, S]`, float32.
        given: frames G that are given.
        actions: float32 `[n, T, A]`, used from frame G - 1 on.
        states: float32 `[n, T, S]`, used from frame G on; None: those that follow from the actions
            if nothing is touched.

    Returns:
        The conditions, a dict with the fields of `clip`.

    Raises:
        UserError: if states are needed and neither given nor to be had.
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
    """The states that follow from the actions: s[t + 1] = s[t] + share · (a[t] - s[t]).

    Args:
        states: `[n, T, S]`, of which the first `given` are kept.
        actions: `[n, T, S]`: the pose that each frame commands.
        share: of the way to it that one frame covers.

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
