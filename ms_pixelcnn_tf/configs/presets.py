"""The presets: `tiny` and `small` run on a laptop's processor, `large` and `paper` on accelerators.

`tiny` is the demo; `small` trains on photographs in about an hour on one core. Both use a softmax,
which learns better than a DMOL in the same time (see README). `large` follows Reed et al. (2017),
section 4, at the width of its text models: 12 residual and 4 PixelCNN layers of 128 features,
softmax, RMSprop. `paper` is `large` with every departure off and the base of van den Oord et al.
(2016b).

Videos have their own presets under the same names. Their `large` follows section 4.3 and
Kalchbrenner et al. (2016b): 8 encoder and 12 decoder blocks of width 128, a ConvLSTM of width 256
and centred RMSprop; `tiny` and `small` encode at half the frame's size.
"""

import dataclasses
from typing import Any

from ms_pixelcnn_tf.configs.checks import replace, unknown
from ms_pixelcnn_tf.configs.image import ModelConfig
from ms_pixelcnn_tf.configs.run import DataConfig, RunConfig, TrainConfig, field_table, model_type
from ms_pixelcnn_tf.configs.shared import paper_values
from ms_pixelcnn_tf.configs.video import VideoConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import parse_size

PRESETS = {
    "tiny": {
        "base_layers": 8,
        "base_features": 64,
        "residual_blocks": 4,
        "features": 48,
        "head_features": 48,
        "decoder_layers": 2,
        "decoder_features": 48,
        "label_features": 32,
        "text_features": 64,
        "text_width": 64,
        "spatial_features": 32,
        "spatial_blocks": 3,
        "map_resizing": "corners",
        "output": "softmax",
        "crop_size": 16,
        "batch_size": 16,
        "steps": 2000,
        "learning_rate": 3e-3,
        "ema_decay": 0.99,
    },
    "small": {
        "base_layers": 6,
        "base_features": 64,
        "residual_blocks": 6,
        "features": 64,
        "head_features": 64,
        "decoder_layers": 3,
        "decoder_features": 64,
        "map_resizing": "corners",
        "output": "softmax",
        "batch_size": 16,
        "steps": 4000,
        "learning_rate": 3e-3,
        "ema_decay": 0.998,
        "flip": True,
    },
    "large": {
        "base_layers": 15,
        "base_features": 128,
        "residual_blocks": 12,
        "features": 128,
        "head_features": 128,
        "decoder_layers": 4,
        "decoder_features": 128,
        "label_features": 128,
        "text_features": 128,
        "text_width": 512,
        "spatial_features": 128,
        "spatial_blocks": 12,
        "map_resizing": "corners",
        "joint_features": 128,
        "output": "softmax",
        "upscaler": "B",
        "batch_size": 128,
        "steps": 200_000,
        "optimizer": "rmsprop",
        "rmsprop_start": 1.0,
        "learning_rate": 1e-4,
        "final_learning_rate": 1e-5,
        "schedule": "exponential",
        "warmup_steps": 0,
        "loss_weights": "per_scale",
        "gradient_clip_norm": 0.0,
        "clip_by": "network",
        "crop_size": 32,
        "evaluate_every": 2000,
        "checkpoint_every": 2000,
        "sample_every": 10_000,
        "evaluation_examples": 0,
    },
}
VIDEO_PRESETS = {
    "tiny": {
        "image_size": 64,
        "frame_stride": 2,
        "frame_blocks": 1,
        "frame_features": 24,
        "lstm_features": 48,
        "frame_decoder_blocks": 2,
        "base_layers": 4,
        "base_features": 48,
        "residual_blocks": 2,
        "features": 48,
        "head_features": 48,
        "batch_size": 4,
        "steps": 2000,
        "learning_rate": 3e-3,
        "ema_decay": 0.99,
        "evaluation_examples": 40,
    },
    "small": {
        "image_size": 64,
        "frame_stride": 2,
        "frame_blocks": 2,
        "frame_features": 48,
        "lstm_features": 96,
        "frame_decoder_blocks": 4,
        "base_layers": 6,
        "base_features": 48,
        "residual_blocks": 4,
        "features": 64,
        "head_features": 64,
        "batch_size": 8,
        "steps": 8000,
        "learning_rate": 3e-3,
        "ema_decay": 0.998,
        "evaluation_examples": 100,
        "evaluate_every": 1000,
    },
    "large": {
        "image_size": 64,
        "frame_stride": 1,
        "frame_blocks": 8,
        "frame_features": 128,
        "lstm_features": 256,
        "frame_decoder_blocks": 12,
        "base_layers": 15,
        "base_features": 128,
        "residual_blocks": 12,
        "features": 128,
        "head_features": 128,
        "batch_size": 64,
        "micro_batch_size": 1,
        "recompute_blocks": True,
        "steps": 200_000,
        "optimizer": "rmsprop",
        "rmsprop_start": 1.0,
        "centered": True,
        "learning_rate": 1e-4,
        "schedule": "steps",
        "drop_steps": "83000,113000",
        "warmup_steps": 0,
        "loss_weights": "per_scale",
        "gradient_clip_norm": 0.0,
        "clip_by": "network",
        "evaluate_every": 2000,
        "checkpoint_every": 2000,
        "sample_every": 10_000,
        "evaluation_examples": 256,
    },
}
PRESETS["paper"] = PRESETS["large"] | paper_values(ModelConfig) | paper_values(TrainConfig)
VIDEO_PRESETS["paper"] = (
    VIDEO_PRESETS["large"] | paper_values(VideoConfig) | paper_values(TrainConfig)
)
# The base of `paper` for every data set; van den Oord et al. (2016b), section 3.1.
BASE_OF_2016B = {"base_layers": 20, "base_features": 384}
# Fields that a variant adds to the preset: the law of a sub-pixel (Table 2) and the size of the
# crops on which section 4.3 trains upscalers.
VARIANT_FIELDS = {
    "OT_baseline": {"output": "softmax"},
    "OTN": {"output": "softmax"},
    "OT": {"output": "dmol"},
    "OTlogN": {"output": "softmax"},
    "OT_upscaler": {"output": "dmol", "crop_size": 32},
}
# Sizes of the actions and states of data sets that do not have the default of 5 numbers each.
DATA_FIELDS = {"bair_robot_pushing_small": {"action_size": 4, "state_size": 3}}


# Fields that the paper's experiments add to the presets of its width: sections 4.2 (captions with
# keypoints or a segmentation, 4x4 to 256x256) and 4.4 (ImageNet, 8x8 to 128x128, 256 features).
AT_PAPER_WIDTH = ("large", "paper")
TEXT_MODEL = {"image_size": 256, "base_size": 4, "text": True}
PAPER_RUNS = {
    "cub": TEXT_MODEL | {"num_keypoints": 15},
    "mpii": TEXT_MODEL | {"num_keypoints": 17},
    "coco": TEXT_MODEL | {"num_segments": 80},
    "imagenet": {
        "image_size": 128,
        "base_size": 8,
        "num_classes": 1000,
        "base_features": 256,
        "features": 256,
        "head_features": 256,
        "decoder_features": 256,
    },
}


def make_run(
    dataset: str = "shapes", variant: str = "OlogN", preset: str = "tiny", **overrides: Any
) -> RunConfig:
    """A run's configuration from a preset and overrides of any field.

    The default `base_size` is the image size, halved once and then until the smaller side is at
    most 8 pixels, as long as both sides are even: 8x8 for 32x32, 8x12 for 32x48, 4x4 for 8x8. For
    ON it is always the image size.

    Args:
        dataset, variant, preset: names.
        **overrides: any field of `DataConfig`, `TrainConfig`, and `ModelConfig` or `VideoConfig`,
            depending on the variant.

    Raises:
        UserError: for unknown names (with the closest valid one), fields of the other kind of
            model, and invalid values.
    """
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    table, kind = field_table(), model_type(variant)
    own = {field.name for field in dataclasses.fields(kind)}
    parts = {"model": {"variant": variant}, "data": {"dataset": dataset}, "train": {}}
    for name, value in (_recipe(dataset, variant, preset) | overrides).items():
        if name not in table:
            raise unknown("field", name, table)
        part = table[name][0]
        if part == "model" and name not in own:
            images, videos = ("images", "videos")[:: 1 if kind is VideoConfig else -1]
            raise UserError(f"{name} is of models of {images}; variant {variant} is of {videos}")
        parts[part][name] = value
    model = parts["model"]
    image_size = parse_size(model.get("image_size", kind.image_size), "image_size")
    if variant == "ON":
        model["base_size"] = image_size
    elif "base_size" not in model:
        model["base_size"] = default_base_size(image_size)
    return RunConfig(
        model=replace(kind(), **model),
        data=replace(DataConfig(), **parts["data"]),
        train=replace(TrainConfig(), **parts["train"]),
    )


def _recipe(dataset, variant, preset):
    """Fields of a preset with those of the data set and variant, before any override."""
    base = BASE_OF_2016B if preset == "paper" else {}
    if model_type(variant) is VideoConfig:
        own = VARIANT_FIELDS[variant] | DATA_FIELDS.get(dataset, {})
        return VIDEO_PRESETS[preset] | base | own
    own = PAPER_RUNS.get(dataset, {}) if preset in AT_PAPER_WIDTH else {}
    return PRESETS[preset] | own | base


def default_base_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Halves both sides once, then until the smaller is at most 8, as long as both are even."""
    base = image_size
    while all(side % 2 == 0 for side in base) and (base == image_size or min(base) > 8):
        base = base[0] // 2, base[1] // 2
    return base
