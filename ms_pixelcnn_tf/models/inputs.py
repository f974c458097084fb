"""What callers hand to a model, checked before it reaches a graph.

Shapes and dtypes are checked always, values wherever they are known, that is, unless a graph is
being traced. Every message says what was given and what would be right.
"""

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.errors import UserError


def check_images(config, images, conditions):
    """`images` as int32 levels and `conditions` as a dict of tensors.

    Args:
        config: the model's `ModelConfig`.
        images: `[B, H, W, C]` integers in 0…num_levels-1.
        conditions: None, or `{"label": [B] integers}` if the model has classes.

    Raises:
        UserError: for a wrong shape, dtype or range, or a condition too many or too few.
    """
    images = _as_tensor("images", images)
    _check_shape(config, "images", images)
    if not _is_integer(images):
        raise UserError(
            f"images are {images.dtype}; valid: integer levels 0 to {config.num_levels - 1}"
        )
    known = _concrete(images)
    if known is not None and known.size:
        if known.min() < 0 or known.max() >= config.num_levels:
            raise UserError(
                f"images hold levels {known.min()} to {known.max()}; valid: 0 to "
                f"{config.num_levels - 1} (see pixels.quantise)"
            )
    return ops.cast(images, "int32"), _check_conditions(config, conditions, images.shape[0])


def check_uniforms(config, uniforms, conditions):
    """`uniforms` in the dtype that decoding takes, and `conditions` as a dict of tensors.

    Args:
        config: the model's `ModelConfig`.
        uniforms: `[B, H, W, C]` floats in [0, 1).
        conditions: as for `check_images`.

    Raises:
        UserError: as `check_images`.
    """
    uniforms = _as_tensor("uniforms", uniforms)
    _check_shape(config, "uniforms", uniforms)
    known = _concrete(uniforms)
    if known is not None and known.size and not (known.min() >= 0 and known.max() < 1):
        raise UserError(
            f"uniforms hold values from {known.min()} to {known.max()}; valid: 0 up to, not "
            "including, 1"
        )
    dtype = uniforms_dtype(config)
    below_one = np.nextafter(np.ones((), dtype), np.zeros((), dtype))
    uniforms = ops.minimum(ops.cast(uniforms, dtype), below_one)  # a cast may round up to 1
    return uniforms, _check_conditions(config, conditions, uniforms.shape[0])


def check_request(config, num, conditions, seed):
    """Checks what `sample` is asked for; returns the conditions as a dict of tensors.

    Raises:
        UserError: for a number or a seed below 0, or conditions of another number.
    """
    for name, value in (("num", num), ("seed", seed)):
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise UserError(f"{name} is {value!r}; valid: integers of 0 or more")
    return _check_conditions(config, conditions, num)


def uniforms_dtype(config):
    """dtype of uniforms and of the log-probabilities that decoding returns."""
    return "float64" if config.dtype == "float64" else "float32"


def _check_shape(config, name, values):
    expected = (*config.image_size, config.channels)
    if len(values.shape) != 4 or tuple(values.shape[1:]) != expected:
        raise UserError(
            f"{name} have shape {tuple(values.shape)}; valid: (batch, "
            f"{', '.join(map(str, expected))})"
        )


def _check_conditions(config, conditions, batch_size):
    conditions = {} if conditions is None else conditions
    if not isinstance(conditions, dict):
        raise UserError(
            f"conditions are a {type(conditions).__name__}; valid: None or a dict by field, such as "
            '{"label": [0, 3]}'
        )
    if not config.num_classes:
        if conditions:
            raise UserError(f"this model takes no conditions; got {', '.join(conditions)}")
        return {}
    if set(conditions) != {"label"}:
        given = ", ".join(sorted(conditions)) or "none"
        raise UserError(
            f"conditions given: {given}; this model needs label, as in "
            '{"label": [0, 3]} for two images'
        )
    label = _as_tensor("label", conditions["label"])
    if len(label.shape) != 1 or label.shape[0] not in (None, batch_size):
        raise UserError(
            f"label has shape {tuple(label.shape)}; valid: one an image, ({batch_size},)"
        )
    if not _is_integer(label):
        raise UserError(f"label is {label.dtype}; valid: integers")
    known = _concrete(label)
    if known is not None:
        wrong = known[(known < 0) | (known >= config.num_classes)]
        if wrong.size:
            raise UserError(
                f"label {wrong[0]} is out of range; valid: 0 to {config.num_classes - 1}"
            )
    return {"label": ops.cast(label, "int32")}


def _as_tensor(name, values):
    """`values` themselves if they have a dtype, else as a numpy array of numbers."""
    if hasattr(values, "dtype") and not isinstance(values, np.ndarray):
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name} are no array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} are {array.dtype}; valid: numbers")
    return array


def _is_integer(values):
    return "int" in keras.backend.standardize_dtype(values.dtype)


def _concrete(values):
    """Values as a numpy array, or None while a graph is being traced and there are none yet."""
    try:
        return np.asarray(values)
    except (NotImplementedError, TypeError):
        return None
