"""The signatures of an exported model: functions of named tensors, each one graph for any batch.

Levels are uint8, seeds int64, captions strings; everything else is as in the model's own methods.
Assertions in the graphs take the place of the model's checks in Python.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.export import captions
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from ms_pixelcnn_tf.models import checks as inputs
from ms_pixelcnn_tf.models.video import checks as video_inputs
from ms_pixelcnn_tf.sampling import uniforms
from ms_pixelcnn_tf.sizes import format_size

SEED = tf.TensorSpec((), tf.int64, "seed")
NUMBER = tf.TensorSpec((), tf.int32, "number")


def signatures(
    model: MultiscalePixelCNN | VideoPixelCNN,
) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """The signatures of a model: name → (function, the specs of its arguments).

    Each function takes the arguments by name and returns a dict of tensors.

    Args:
        model: a `MultiscalePixelCNN` or a `VideoPixelCNN`.
    """
    return (_of_videos if isinstance(model.config, VideoConfig) else _of_images)(model)


# -- images ---------------------------------------------------------------------------------------


def _of_images(model):
    config = model.config
    shape = (*config.image_size, config.channels)
    images = _levels("images", shape)
    conditions = _condition_specs(inputs.condition_shapes(config))
    drawn = tf.TensorSpec((None, *shape), inputs.uniforms_dtype(config), "uniforms")
    low = tf.TensorSpec((None, None, None, config.channels), tf.uint8, "low_resolution")

    def terms(images, **given):
        levels = _checked_levels(model, "images", images)
        return model.log_prob_terms(levels, _conditions(model, given, tf.shape(images)[0]))

    def decode(uniforms, **given):
        _check_uniforms(uniforms)
        given = _conditions(model, given, tf.shape(uniforms)[0])
        return {"images": model.graphs.decode(uniforms, given)}

    def sample(seed, number, **given):
        _check_request(seed, number)
        return decode(_drawn(model, seed, number, shape), **given)

    def upscale(low_resolution, seed, **given):
        _check_request(seed)
        levels = _checked_levels(model, "low_resolution", low_resolution)
        count = tf.shape(levels)[0]
        given = _conditions(model, given, count)
        drawn = _drawn(model, seed, count, shape)
        starts = _upscaled_from(model)
        size = tf.shape(levels)[1:3]
        fits = [tf.reduce_all(size == model.sizes[start]) for start in starts]
        valid = ", ".join(format_size(model.sizes[start]) for start in starts)
        checked = _check(tf.reduce_any(fits), f"low_resolution: valid sizes are {valid}")
        with tf.control_dependencies(
            [checked]
        ):  # before a branch finds a shape that is not its own
            branch = tf.argmax(fits, output_type=tf.int32)

        def from_size(start):
            low = tf.ensure_shape(levels, (None, *model.sizes[start], config.channels))
            return model.graphs.upscale(start, len(model.sizes) - 1)(low, drawn, given)

        branches = [functools.partial(from_size, start) for start in starts]
        return {"images": tf.switch_case(branch, branches)}

    found: dict[str, Any] = {"log_prob_terms": (terms, [images, *conditions])}
    if not config.missing_scales:
        found |= {
            "log_prob": (_summed(terms), [images, *conditions]),
            "decode": (decode, [drawn, *conditions]),
            "sample": (sample, [SEED, NUMBER, *conditions]),
        }
    if _upscaled_from(model):
        found["upscale"] = (upscale, [low, SEED, *conditions])
    return found


def _upscaled_from(model):
    """Indices in `model.sizes` of the sizes from which the held scales reach the largest."""
    config, starts = model.config, []
    for index in reversed(range(1, len(model.sizes))):
        if config.scale_names[index] not in config.held_scales:
            break
        starts.insert(0, index - 1)
    return starts


# -- videos ---------------------------------------------------------------------------------------


def _of_videos(model):
    config = model.config
    shape = (*config.image_size, config.channels)
    predicted = (config.predicted_frames, *shape)
    frames = _levels("frames", (config.num_frames, *shape))
    given = _levels("given_frames", (config.given_frames, *shape))
    low = _levels("low_frames", (config.num_frames, *config.sizes[0], config.channels))
    drawn = tf.TensorSpec((None, *predicted), inputs.uniforms_dtype(config), "uniforms")
    conditions = _condition_specs(video_inputs.condition_shapes(config))

    def terms(frames, **sequences):
        levels = _checked_levels(model, "frames", frames)
        return model.log_prob_terms(levels, _sequences(model, sequences, tf.shape(frames)[0]))

    def decode(uniforms, given_frames, **sequences):
        _check_uniforms(uniforms)
        _check(
            tf.shape(uniforms)[0] == tf.shape(given_frames)[0], "give one set of uniforms a video"
        )
        levels = _checked_levels(model, "given_frames", given_frames)
        sequences = _sequences(model, sequences, tf.shape(uniforms)[0])
        decode = model.graphs.decode(config.predicted_frames, score=False)
        return {"frames": decode(uniforms, levels, sequences)}

    def sample(seed, number, given_frames, **sequences):
        _check_request(seed, number)
        repeated = {name: tf.repeat(values, number, axis=0) for name, values in sequences.items()}
        given_frames = tf.repeat(given_frames, number, axis=0)
        drawn = _drawn(model, seed, tf.shape(given_frames)[0], predicted)
        return decode(drawn, given_frames, **repeated)

    def upscale(low_frames, given_frames, seed):
        _check_request(seed)
        checked = _check(
            tf.shape(low_frames)[0] == tf.shape(given_frames)[0],
            "give as many given_frames as low_frames",
        )
        with tf.control_dependencies([checked]):
            low_levels = _checked_levels(model, "low_frames", tf.identity(low_frames))
        known = (
            low_levels[:, : config.given_frames] == tf.cast(given_frames, "int32")[:, :, ::2, ::2]
        )
        _check(tf.reduce_all(known), "every second pixel of given_frames is not low_frames'")
        drawn = _drawn(model, seed, tf.shape(given_frames)[0], predicted)
        levels = _checked_levels(model, "given_frames", given_frames)
        decode = model.graphs.decode(config.predicted_frames, score=False)
        new = decode(drawn, levels, {"low": low_levels})
        return {"frames": tf.concat([given_frames, new], axis=1)}

    found: dict[str, Any] = {"log_prob_terms": (terms, [frames, *conditions])}
    if config.missing_scales:
        return found
    found["log_prob"] = (_summed(terms), [frames, *conditions])
    if model.upscales:
        return found | {"upscale": (upscale, [low, given, SEED])}
    return found | {
        "decode": (decode, [drawn, given, *conditions]),
        "sample": (sample, [SEED, NUMBER, given, *conditions]),
    }


def _sequences(model, given, count):
    _check_counts(given, count)
    for name, values in given.items():
        finite = tf.reduce_all(tf.math.is_finite(values[:, :-1]))
        _check(finite, f"{name}: valid are finite numbers")
    return video_inputs.check_conditions(model.config, given, None)


# -- both -----------------------------------------------------------------------------------------


def _summed(terms):
    """`log_prob`, the sum of `log_prob_terms`."""
    return lambda **arguments: {"log_prob": sum(terms(**arguments).values())}


def _levels(name, shape):
    return tf.TensorSpec((None, *shape), tf.uint8, name)


def _condition_specs(shapes):
    """Specs of conditions; a caption is a string."""
    return [
        tf.TensorSpec((None,), tf.string, name)
        if name == "text"
        else tf.TensorSpec((None, *shape), dtype, name)
        for name, (shape, dtype) in shapes.items()
    ]


def _conditions(model, given, count):
    """Checks conditions, and returns them as the networks take them."""
    _check_counts(given, count)
    highest = inputs.condition_limits(model.config)
    found = dict(given)
    for name, values in given.items():
        if name == "text":
            found[name] = captions.encode(values)
        else:
            holds = tf.reduce_all((values >= 0) & (values <= highest[name]))
            checked = _check(holds, f"{name}: valid are 0 to {highest[name]}")
            with tf.control_dependencies([checked]):  # before a look-up itself fails
                found[name] = tf.identity(values)
    return found


def _check_counts(given, count):
    for name, values in given.items():
        _check(tf.shape(values)[0] == count, f"{name}: give as many as images or videos")


def _checked_levels(model, name, levels):
    """Checks uint8 levels, and returns them as int32."""
    highest = model.config.num_levels - 1
    if highest < 255:
        _check(tf.reduce_all(levels <= highest), f"{name}: valid levels are 0 to {highest}")
    return tf.cast(levels, tf.int32)


def _check_uniforms(drawn):
    _check(
        tf.reduce_all((drawn >= 0) & (drawn < 1)), "uniforms: valid are 0 up to, not including, 1"
    )


def _check_request(seed, number=None):
    _check(seed >= 0, f"seed: valid are 0 to {uniforms.MAX_SEED}")
    if number is not None:
        _check(number >= 0, "number: valid are 0 and more")


def _drawn(model, seed, count, shape):
    """Uniforms in the dtype that the model decodes."""
    return tf.cast(uniforms.draw(seed, 0, count, shape), inputs.uniforms_dtype(model.config))


def _check(holds, message):
    return tf.debugging.Assert(holds, [message], name="valid")
