"""Checks the arguments of a model before they reach a graph.

Shapes and dtypes are always checked. Values are checked if they are known, that is, unless a graph
is being traced. Messages name the given value and the valid ones.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf.configs import ModelConfig
from ms_pixelcnn_tf.configs.shared import DensityConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sampling.uniforms import check_seed
from ms_pixelcnn_tf.sizes import MAP_SIZE
from ms_pixelcnn_tf.types import Conditions, Tensor

CAPTIONS = 'a list of one str an image, as ["a red circle", "a blue square"] for two'
EXAMPLES = {
    "label": '{"label": [0, 3]} for two images',
    "text": '{"text": ["a red circle", "a blue square"]} for two images',
    "keypoints": '{"keypoints": maps} of 32x32, one a part',
    "segmentation": '{"segmentation": maps} of 32x32, one a class',
}


def check_images(
    config: ModelConfig, images: Any, conditions: Conditions
) -> tuple[Tensor, dict[str, Tensor]]:
    """Checks images and conditions; returns int32 levels and a dict of tensors.

    Args:
        config: the model's `ModelConfig`.
        images: `[B, H, W, C]` integers in 0…num_levels-1.
        conditions: as for `check_conditions`.

    Raises:
        UserError: for a wrong shape, dtype or range, or a missing or unexpected condition.
    """
    images = as_array("images", images)
    check_shape("images", images, (*config.image_size, config.channels))
    levels = check_levels(config, "images", images)
    return levels, check_conditions(config, conditions, images.shape[0])


def check_uniforms(
    config: ModelConfig, uniforms: Any, conditions: Conditions
) -> tuple[Tensor, dict[str, Tensor]]:
    """Checks uniforms and conditions; returns them as a tensor and a dict of tensors.

    The returned uniforms have the dtype that decoding takes (`uniforms_dtype`).

    Args:
        config: the model's `ModelConfig`.
        uniforms: `[B, H, W, C]` floats in [0, 1).
        conditions: as for `check_conditions`.

    Raises:
        UserError: as for `check_images`.
    """
    uniforms = check_plain_uniforms(config, uniforms, config.image_size)
    return uniforms, check_conditions(config, conditions, uniforms.shape[0])


def check_plain_uniforms(config: DensityConfig, uniforms: Any, size: Sequence[int]) -> Tensor:
    """`check_uniforms` for images of `size`, without conditions."""
    uniforms = as_array("uniforms", uniforms)
    check_shape("uniforms", uniforms, (*size, config.channels))
    known = concrete(uniforms)
    if known is not None and known.size and not (known.min() >= 0 and known.max() < 1):
        raise UserError(
            f"uniforms hold values from {known.min()} to {known.max()}; valid: 0 up to, not "
            "including, 1"
        )
    dtype = uniforms_dtype(config)
    below_one = np.nextafter(np.ones((), dtype), np.zeros((), dtype))
    return ops.minimum(ops.cast(uniforms, dtype), below_one)  # a cast may round up to 1


def check_request(
    config: ModelConfig, num: Any, conditions: Conditions, seed: Any
) -> dict[str, Tensor]:
    """Checks the arguments of `sample`; returns the conditions as a dict of tensors.

    Raises:
        UserError: unless `num` and `seed` are integers of 0 or more and the conditions are right
            for `num` images.
    """
    check_count("num", num)
    check_seed(seed)
    return check_conditions(config, conditions, num)


def check_count(name: str, value: Any) -> None:
    """Raises UserError unless `value` is an integer of 0 or more."""
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise UserError(f"{name} is {value!r}; valid: integers of 0 or more")


def uniforms_dtype(config: DensityConfig) -> str:
    """The dtype of uniforms and of the log-probabilities that decoding returns."""
    return "float64" if config.dtype == "float64" else "float32"


def check_shape(
    name: str, values: Tensor, expected: tuple[int, ...], batch_size: int | None = None
) -> None:
    """Raises UserError unless `values` are `[B, *expected]`; `batch_size` None allows any B."""
    batch = values.shape[0] if len(values.shape) else None
    wrong_number = None not in (batch, batch_size) and batch != batch_size
    wrong_shape = len(values.shape) != 1 + len(expected) or tuple(values.shape[1:]) != expected
    if wrong_shape or wrong_number:
        shown = ", ".join(map(str, ("batch" if batch_size is None else batch_size, *expected)))
        raise UserError(
            f"{name} {_verb(name, 'have')} shape {tuple(values.shape)}; valid: "
            f"({shown}{',' * (not expected)})"
        )


def check_levels(config: DensityConfig, name: str, images: Tensor) -> Tensor:
    """Returns images as int32; raises UserError unless they are integer levels."""
    if not _is_integer(images):
        raise UserError(
            f"{name} {_verb(name)} {images.dtype}; valid: integer levels 0 to "
            f"{config.num_levels - 1}"
        )
    known = concrete(images)
    if known is not None and known.size:
        if known.min() < 0 or known.max() >= config.num_levels:
            raise UserError(
                f"{name} {_verb(name, 'hold')} levels {known.min()} to {known.max()}; valid: 0 to "
                f"{config.num_levels - 1} (see pixels.quantise)"
            )
    return ops.cast(images, "int32")


def condition_shapes(config: ModelConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """`(shape, dtype)` of each condition as the networks take it, without the batch axis."""
    shapes = {
        "label": ((), "int32"),
        "text": ((text.LENGTH,), "int32"),
        "keypoints": ((MAP_SIZE, MAP_SIZE, config.num_keypoints), "float32"),
        "segmentation": ((MAP_SIZE, MAP_SIZE, config.num_segments), "float32"),
    }
    return {name: shapes[name] for name in config.conditions}


def check_low_resolution(config: ModelConfig, images: Any, size: Sequence[int]) -> Tensor:
    """`check_images` for images of `size`, without conditions: int32 levels `[B, *size, C]`."""
    images = as_array("low_resolution", images)
    check_shape("low_resolution", images, (*size, config.channels))
    return check_levels(config, "low_resolution", images)


def check_conditions(
    config: ModelConfig, conditions: Conditions, batch_size: int | None
) -> dict[str, Tensor]:
    """Checks conditions; returns them as a dict of tensors, captions as codes.

    Args:
        config: the model's `ModelConfig`.
        conditions: None, or a dict with exactly the fields that the model was built with: "label"
            `[B]` integers, "text" a list of one str per image or `[B, 201]` codes, "keypoints"
            `[B, 32, 32, P]` and "segmentation" `[B, 32, 32, S]` numbers from 0 to 1. A field that
            is None counts as left out.
        batch_size: B, or None if it is not known yet.

    Raises:
        UserError: for a wrong shape, dtype or range, or a missing or unexpected condition.
    """
    conditions = {} if conditions is None else conditions
    if not isinstance(conditions, dict):
        raise UserError(
            f"conditions are a {type(conditions).__name__}; valid: None or a dict by field, such "
            'as {"label": [0, 3]}'
        )
    conditions = {name: values for name, values in conditions.items() if values is not None}
    if not config.conditions and conditions:
        raise UserError(f"this model takes no conditions; got {', '.join(conditions)}")
    if set(conditions) != set(config.conditions):
        given = ", ".join(sorted(conditions)) or "none"
        raise UserError(
            f"conditions given: {given}; this model needs {', '.join(config.conditions)}, as in "
            + ", ".join(EXAMPLES[name] for name in config.conditions)
        )
    highest = condition_limits(config)
    return {
        name: _check_condition(name, conditions[name], shape, dtype, highest[name], batch_size)
        for name, (shape, dtype) in condition_shapes(config).items()
    }


def condition_limits(config: ModelConfig) -> dict[str, int]:
    """The largest value of each condition; the smallest is 0."""
    return {
        "label": config.num_classes - 1,
        "text": len(text.ALPHABET),
        "keypoints": 1,
        "segmentation": 1,
    }


def _check_condition(name, values, shape, dtype, highest, batch_size):
    if name == "text":
        values = _as_codes(values, batch_size)
    values = as_array(name, values)
    check_shape(name, values, shape, batch_size)
    if dtype == "int32" and not _is_integer(values):
        raise UserError(f"{name} {_verb(name)} {values.dtype}; valid: integers")
    known = concrete(values)
    if known is not None and known.size:
        wrong = known[~((known >= 0) & (known <= highest))]
        if wrong.size:
            raise UserError(f"{name} {wrong.flat[0]} is out of range; valid: 0 to {highest}")
    return ops.cast(values, dtype)


def _as_codes(captions, batch_size):
    """Captions as codes; values that are already numbers are not encoded."""
    if isinstance(captions, (str, bytes)):
        raise UserError(f"text is one {type(captions).__name__}; valid: {CAPTIONS}")
    if "string" in str(getattr(captions, "dtype", "")):  # a tensor, of TensorFlow or of NumPy
        captions = _known_strings(captions)
    if hasattr(captions, "dtype") and not isinstance(captions, np.ndarray):
        return captions
    given = isinstance(captions, (list, tuple)) and (
        not len(captions) or any(isinstance(caption, (str, bytes)) for caption in captions)
    )  # an array of them would turn numbers among the captions into text
    if not given:
        try:
            captions = np.asarray(captions)
        except ValueError as error:
            raise UserError(f"text is no array: {error}; valid: {CAPTIONS}") from error
        if captions.dtype.kind not in "OSTU":
            return captions
        if captions.ndim != 1:
            raise UserError(f"text has shape {captions.shape}; valid: {CAPTIONS}")
    if batch_size not in (None, len(captions)):
        counts = (
            f"{count} {noun}{'s' * (count != 1)}"
            for count, noun in ((len(captions), "caption"), (batch_size, "image"))
        )
        raise UserError(f"text has {' for '.join(counts)}; give {CAPTIONS}")
    return text.encode(list(captions))


def _known_strings(tensor):
    """A tensor of strings as a numpy array; raises UserError while a graph is being traced."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        return np.asarray(tensor.numpy(), object)
    except (AttributeError, NotImplementedError) as error:
        raise UserError(
            "text is a tensor of strings in a graph that is being traced; give the codes that "
            "ms_pixelcnn_tf.captions.encode makes of them"
        ) from error


def as_array(name: str, values: Any) -> Tensor:
    """`values` unchanged if they are a tensor, else as a numpy array; raises UserError unless
    that array holds numbers."""
    if hasattr(values, "dtype") and not isinstance(values, np.ndarray):
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name} {_verb(name)} no array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} {_verb(name)} {array.dtype}; valid: numbers")
    return array


def _verb(name, plural="are"):
    """The form of a verb that agrees with an argument's name."""
    singular = {"are": "is", "have": "has", "hold": "holds"}
    return plural if name.endswith("s") else singular[plural]


def _is_integer(values):
    return "int" in keras.backend.standardize_dtype(values.dtype)


def concrete(values: Tensor) -> np.ndarray | None:
    """Values as a numpy array, or None while a graph is being traced and they are unknown."""
    try:
        return np.asarray(values)
    except (NotImplementedError, TypeError):
        return None
