"""Small models of images and of videos, with random weights, and random inputs for them."""

import numpy as np

from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig, replace
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN

VIDEO_OUTPUTS = {
    "OT_baseline": "softmax",
    "OTN": "softmax",
    "OT": "dmol",
    "OTlogN": "softmax",
    "OT_upscaler": "dmol",
}
VIDEO_VARIANTS = tuple(VIDEO_OUTPUTS)
PAPER_PAST = {  # what a video model sees of the past, and how, as in the paper
    "previous_frame": "none",
    "memory_norms": "none",
    "pose_places": "none",
    "encoder_dilation": 8,
    "frame_blocks": 2,  # the second is dilated
}
TYPE_B = {"upscaler": "B", "patch_size": 2, "decoder_layers": 1, "decoder_features": 6}
SIZES = {  # of every small model
    "image_size": 4,
    "base_size": 2,
    "channels": 1,
    "num_levels": 2,
    "num_mixtures": 2,
    "residual_blocks": 1,
}

# The law, the way to it and the inputs as the paper has them: all together, and each alone.
PAPER_PIXELS = {"softmax_law": "free", "prediction_path": "none", "pixel_inputs": "values"}
PAPER_PIXELS_ALONE = [  # output, fields
    (output, {name: value})
    for output in ("softmax", "dmol")
    for name, value in PAPER_PIXELS.items()
    if output == "softmax" or name != "softmax_law"
]


def small_image(**overrides):
    """Fields of a small image model: two levels, 4x4, gray, two scales."""
    return (
        SIZES
        | {
            "base_layers": 2,
            "base_features": 9,
            "first_kernel": 5,
            "features": 8,
            "head_features": 9,
            "patch_size": 2,
            "decoder_layers": 2,
            "decoder_features": 9,
            "label_features": 4,
            "text_features": 4,
            "text_width": 8,
            "spatial_features": 4,
            "spatial_blocks": 1,
        }
        | overrides
    )


def small_video(variant, **overrides):
    """Fields of a small video model: two levels, 4x4, gray, five frames, two of them given."""
    return (
        SIZES
        | {
            "variant": variant,
            "output": VIDEO_OUTPUTS[variant],
            "base_layers": 1,
            "base_features": 6,
            "first_kernel": 3,
            "features": 6,
            "head_features": 6,
            "num_frames": 5,
            "given_frames": 2,
            "action_size": 2,
            "state_size": 1,
            "frame_blocks": 1,
            "frame_features": 4,
            "frame_stride": 1,
            "lstm_features": 5,
            "frame_decoder_blocks": 1,
        }
        | overrides
    )


def as_flags(fields):
    """Fields as a command's flags."""
    return [f"--{name}={value}" for name, value in fields.items()]


def make_model(**overrides):
    """A small image model before training."""
    return MultiscalePixelCNN(replace(ModelConfig(), **small_image(**overrides)))


def make_video_model(variant, **overrides):
    """A small video model before training."""
    return VideoPixelCNN(replace(VideoConfig(), **small_video(variant, **overrides)))


def random_model(weight_seed=0, weight_scale=0.5, **overrides):
    """A small model, every variable drawn at random: no zero, no symmetry hides a mistake."""
    model = make_model(**overrides)
    randomise(model, weight_seed, weight_scale)
    return model


def random_video_model(variant, weight_seed=0, weight_scale=0.5, **overrides):
    """A small model, every variable drawn at random."""
    model = make_video_model(variant, **overrides)
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


def random_frames(model, batch, seed=0):
    """uint8 `[batch, T, H, W, C]` levels, uniform."""
    config = model.config
    shape = (batch, config.num_frames, *config.image_size, config.channels)
    return np.random.default_rng(seed).integers(0, config.num_levels, shape).astype("uint8")


def random_sequences(model, batch, seed=0):
    """Random actions and states, as far as the model takes them, else None."""
    config, generator = model.config, np.random.default_rng(seed)
    sizes = {"actions": config.action_size, "states": config.state_size}
    return {
        name: generator.normal(size=(batch, config.num_frames, sizes[name])).astype("float32")
        for name in config.conditions
    } or None


def random_video_uniforms(model, batch, seed=0, dtype="float64"):
    """`[batch, T - G, H, W, C]` uniforms in [0, 1)."""
    config = model.config
    shape = (batch, config.predicted_frames, *config.image_size, config.channels)
    return np.random.default_rng(seed).random(shape, dtype=dtype)
