"""Checks the arguments of a video model before they reach a graph; see `models.checks`."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models import checks
from ms_pixelcnn_tf.types import Conditions, Tensor

DTYPE = "float32"  # of actions and states


def check_frames(
    config: VideoConfig, frames: Any, conditions: Conditions
) -> tuple[Tensor, dict[str, Tensor]]:
    """Checks frames and conditions; returns int32 levels and a dict of tensors.

    Args:
        config: the model's `VideoConfig`.
        frames: `[B, T, H, W, C]` integers in 0…num_levels-1.
        conditions: as for `check_conditions`.

    Raises:
        UserError: for a wrong shape, dtype or range, or a missing or unexpected condition.
    """
    levels = check_levels(config, "frames", frames, config.num_frames, config.image_size)
    return levels, check_conditions(config, conditions, levels.shape[0])


def check_given(
    config: VideoConfig, given: Any, conditions: Conditions
) -> tuple[Tensor, dict[str, Tensor]]:
    """`check_frames` for given frames `[B, G, H, W, C]` and conditions of the whole clip."""
    levels = check_levels(config, "given_frames", given, config.given_frames, config.image_size)
    return levels, check_conditions(config, conditions, levels.shape[0])


def check_low(config: VideoConfig, low: Any, given: Any) -> tuple[Tensor, Tensor]:
    """Checks the frames of `OT_upscaler` at half their size, `[B, T, H/2, W/2, C]`, and the given
    frames `[B, G, H, W, C]`; returns both as int32 levels.

    The model reads only the previous frame, so T and G are free; G is from 1 to T - 1.

    Raises:
        UserError: as for `check_frames`, and if `low` does not hold the pixels of the given frames.
    """
    low, given = checks.as_array("low_frames", low), checks.as_array("given_frames", given)
    length, count = (
        values.shape[1] if len(values.shape) == 5 else default
        for values, default in ((low, config.num_frames), (given, config.given_frames))
    )
    count = max(count, 1)
    given = check_levels(config, "given_frames", given, count, config.image_size)
    low = check_levels(config, "low_frames", low, max(length, count + 1), config.sizes[0])
    if low.shape[0] != given.shape[0]:
        raise UserError(
            f"given_frames of {given.shape[0]} videos, low_frames of {low.shape[0]}; give as many"
        )
    known, whole = checks.concrete(low[:, :count]), checks.concrete(given)
    if known is not None and whole is not None and (known != whole[:, :, ::2, ::2]).any():
        raise UserError(
            f"every second pixel of given_frames is not the first {count} of low_frames; give the "
            "same frames, of twice the size"
        )
    return low, given


def check_uniforms(
    config: VideoConfig, uniforms: Any, batch_size: int, length: int | None = None
) -> Tensor:
    """Checks uniforms `[B, length, H, W, C]`; returns them in the dtype that decoding takes.

    The default `length` is T - G.

    Raises:
        UserError: for a wrong shape, or values outside [0, 1).
    """
    size = (length or config.predicted_frames, *config.image_size)
    uniforms = checks.check_plain_uniforms(config, uniforms, size)
    if uniforms.shape[0] != batch_size:
        raise UserError(f"{uniforms.shape[0]} uniforms for {batch_size} videos; give one a video")
    return uniforms


def check_draws(
    config: VideoConfig, uniforms: Any, chosen: Any, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Checks and returns uniforms `[B, P, T, H, W, C]` of P passes, and bool `[B, P, T]`."""
    chosen = checks.as_array("chosen", chosen)
    kind = keras.backend.standardize_dtype(chosen.dtype)
    if kind != "bool" or len(chosen.shape) != 3:
        raise UserError(
            f"chosen is of {kind} and shape {tuple(chosen.shape)}; valid: bool (batch, passes, "
            f"{config.num_frames})"
        )
    passes, length = chosen.shape[1], config.num_frames
    checks.check_shape("chosen", chosen, (passes, length), batch_size)
    size = (passes, length, *config.image_size)
    checks.check_shape(
        "uniforms", checks.as_array("uniforms", uniforms), (*size, config.channels), batch_size
    )
    return checks.check_plain_uniforms(config, uniforms, size), chosen


def condition_shapes(config: VideoConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """`(shape, dtype)` of each condition as the model takes it, without the batch axis."""
    sizes = {"actions": config.action_size, "states": config.state_size}
    return {name: ((config.num_frames, sizes[name]), DTYPE) for name in config.conditions}


def check_conditions(
    config: VideoConfig, conditions: Conditions, batch_size: int | None
) -> dict[str, Tensor]:
    """Checks conditions; returns them as a dict of float32 tensors.

    Args:
        config: the model's `VideoConfig`.
        conditions: None, or a dict with exactly the fields that the model was built with: "actions"
            `[B, T, A]` and "states" `[B, T, S]`, finite numbers for the whole clip. Those of the
            last frame are not used: they may have any value, and are returned as 0.
        batch_size: B, or None if it is not known yet.

    Raises:
        UserError: for a wrong shape, a number that is not finite, or a missing or unexpected
            condition.
    """
    conditions = {} if conditions is None else conditions
    if not isinstance(conditions, dict):
        raise UserError(
            f"conditions are a {type(conditions).__name__}; valid: None or a dict, such as "
            '{"actions": actions}'
        )
    shapes = condition_shapes(config)
    if not shapes and conditions:
        raise UserError(f"this model takes no conditions; got {', '.join(map(str, conditions))}")
    if set(conditions) != set(shapes):
        given = ", ".join(sorted(map(str, conditions))) or "none"
        needed = " and ".join(
            f"{name} (batch, {', '.join(map(str, shape))})" for name, (shape, _) in shapes.items()
        )
        raise UserError(f"conditions given: {given}; this model needs {needed}")
    return {
        name: _check_condition(name, conditions[name], shape, batch_size)
        for name, (shape, _) in shapes.items()
    }


def _check_condition(name, values, shape, batch_size):
    values = checks.as_array(name, values)
    checks.check_shape(name, values, shape, batch_size)
    used = ops.cast(values[:, :-1], DTYPE)
    known = checks.concrete(used)
    if known is not None and not np.isfinite(known).all():
        where = tuple(int(index) for index in np.argwhere(~np.isfinite(known))[0])
        own = np.asarray(values)[where]  # may be finite, but too large for DTYPE
        raise UserError(f"{name} hold {own} at {where}; valid: finite numbers in {DTYPE}")
    return ops.pad(used, ((0, 0), (0, 1), (0, 0)))


def check_levels(
    config: VideoConfig, name: str, frames: Any, length: int, size: Sequence[int]
) -> Tensor:
    """Checks frames `[B, length, *size, C]`; returns them as int32 levels."""
    frames = checks.as_array(name, frames)
    checks.check_shape(name, frames, (length, *size, config.channels))
    return checks.check_levels(config, name, frames)
