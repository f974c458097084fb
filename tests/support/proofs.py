"""What the proofs share: small models with random weights, all images of a size, teacher forcing."""

import numpy as np

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import ModelConfig, replace
from ms_pixelcnn_tf.models import MultiscalePixelCNN
from ms_pixelcnn_tf.models.inputs import check_images

SMALL = {
    "image_size": 4,
    "base_size": 2,
    "channels": 1,
    "num_levels": 2,
    "num_mixtures": 2,
    "base_layers": 2,
    "base_features": 9,
    "first_kernel": 5,
    "residual_blocks": 1,
    "features": 8,
    "head_features": 9,
    "patch_size": 2,
    "decoder_layers": 2,
    "decoder_features": 9,
    "label_features": 4,
}
# The law, the way to it and the inputs as the paper has them: all together, and each alone.
PAPER_PIXELS = {"softmax_law": "free", "prediction_path": "none", "pixel_inputs": "values"}
PAPER_PIXELS_ALONE = [  # output, fields
    (output, {name: value})
    for output in ("softmax", "dmol")
    for name, value in PAPER_PIXELS.items()
    if output == "softmax" or name != "softmax_law"
]


def make_model(**overrides):
    """A small model as it is before training."""
    return MultiscalePixelCNN(replace(ModelConfig(), **(SMALL | overrides)))


def random_model(weight_seed=0, weight_scale=0.5, **overrides):
    """A small model, every variable drawn at random: no zero, no symmetry hides a mistake."""
    model = make_model(**overrides)
    randomise(model, weight_seed, weight_scale)
    return model


def randomise(model, seed=0, scale=0.5):
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(generator.normal(size=variable.shape) * scale)


def random_levels(model, batch, seed=0):
    """uint8 `[batch, H, W, C]` levels, uniform."""
    shape = (batch, *model.config.image_size, model.config.channels)
    levels = np.random.default_rng(seed).integers(0, model.config.num_levels, shape)
    return levels.astype("uint8")


def random_uniforms(model, batch, seed=0, dtype="float64"):
    """`[batch, H, W, C]` uniforms in [0, 1)."""
    shape = (batch, *model.config.image_size, model.config.channels)
    return np.random.default_rng(seed).random(shape, dtype=dtype)


def random_conditions(model, batch, seed=0):
    """Random conditions, as far as the model takes them, else None."""
    config, generator = model.config, np.random.default_rng(seed)
    if not config.conditions:
        return None
    captions = ["a red circle", "blue", "two green squares above a star", "", "a cross; a moon!"]
    drawn = {
        "label": generator.integers(0, max(config.num_classes, 1), batch).astype("int32"),
        "text": [captions[index] for index in generator.integers(0, len(captions), batch)],
        "keypoints": generator.integers(0, 2, (batch, 32, 32, config.num_keypoints)),
        "segmentation": generator.integers(0, 2, (batch, 32, 32, config.num_segments)),
    }
    return {name: drawn[name] for name in config.conditions}


def taken(conditions, rows):
    """The conditions of some rows (a list of indices, or a slice's range); None of None."""
    if conditions is None:
        return None
    return {name: [values[row] for row in rows] for name, values in conditions.items()}


def all_images(model):
    """Every image there is, uint8 `[num_levels ** (H·W·C), H, W, C]`."""
    shape = (*model.config.image_size, model.config.channels)
    levels, count = model.config.num_levels, int(np.prod(shape))
    digits = np.arange(levels**count)[:, None] // levels ** np.arange(count) % levels
    return digits.astype("uint8").reshape(-1, *shape)


def probabilities(model, images, conditions=None, chunk=16384):
    """p(image | conditions) of each image, float64.

    Args:
        conditions: of one image, such as `{"label": [2]}`; None without.
    """
    result = []
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        own = conditions and {
            name: np.repeat(np.asarray(values), len(part), axis=0)
            for name, values in conditions.items()
        }
        result.append(np.exp(np.asarray(model.log_prob(part, own), "float64")))
    return np.concatenate(result)


def teacher_forced(model, images, conditions=None):
    """Every factor as the likelihood evaluates it: the parameters given the true pixels.

    Yields:
        The parameters of a factor, the slice of the image that holds its pixels, and its levels.
    """
    _, conditions = check_images(model.config, images, conditions)
    codes = model.encode(conditions)
    scales = [scale.astype("int32") for scale in pixels.pyramid(images, len(model.sizes))]
    factor = 2 ** (len(scales) - 1)
    yield (
        model.base(scales[0], model.conditioning(codes, 0)),
        np.s_[:, ::factor, ::factor],
        scales[0],
    )
    upscalers = iter(model.upscalers)
    for number, scale in enumerate(scales[1:], 1):
        factor //= 2
        conditioning = model.conditioning(codes, number)
        corners = [scale[:, row::2, column::2] for row, column in ((0, 0), (0, 1), (1, 0), (1, 1))]
        for index, (row, column) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
            upscaler = next(upscalers)
            known = upscaler.trunk(np.concatenate(corners[:index], axis=-1), conditioning)
            where = np.s_[:, row * factor :: 2 * factor, column * factor :: 2 * factor]
            yield upscaler(known, corners[index]), where, corners[index]


def teacher_forced_decode(model, images, uniforms, conditions=None):
    """Each sub-pixel decoded by itself, from the parameters that the true pixels give it."""
    law = model.distribution
    result = np.full(images.shape, -1)
    for params, where, levels in teacher_forced(model, images, conditions):
        params = np.asarray(params)
        parts = [params] * law.channels
        if law.channel_autoregressive:
            parts = np.split(params, law.channels, axis=-1)
        previous = [levels[..., channel] for channel in range(law.channels)]
        result[where] = np.stack(
            [
                law.decode_channel(
                    parts[: channel + 1], previous[:channel], uniforms[where][..., channel]
                )[0]
                for channel in range(law.channels)
            ],
            axis=-1,
        )
    return result
