"""The recipes: `tiny` and `small` run on a laptop's processor, `paper` is the paper's.

`small` is what trains on photographs in about an hour on a core; `tiny` is the demo. Both take what
learns best in that time (see README): a softmax, ahead of a DMOL at equal time. `paper` follows Reed
et al. (2017), section 4, at the width of its text models: 12 residual and 4 PixelCNN layers of 128
features, softmax, RMSprop.
"""

from ms_pixelcnn_tf.configs.schema import (
    DataConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    field_table,
    parse_size,
    replace,
    unknown,
)

PRESETS = {
    "tiny": {
        "base_layers": 8, "base_features": 64, "residual_blocks": 4, "features": 48,
        "head_features": 48, "decoder_layers": 2, "decoder_features": 48, "label_features": 32,
        "text_features": 64, "text_width": 64, "spatial_features": 32, "spatial_blocks": 3,
        "output": "softmax", "crop_size": 16,
        "batch_size": 16, "steps": 2000, "learning_rate": 3e-3, "ema_decay": 0.99,
    },
    "small": {
        "base_layers": 6, "base_features": 64, "residual_blocks": 6, "features": 64,
        "head_features": 64, "decoder_layers": 3, "decoder_features": 64,
        "output": "softmax",
        "batch_size": 16, "steps": 4000, "learning_rate": 3e-3, "ema_decay": 0.998, "flip": True,
    },
    "paper": {
        "base_layers": 15, "base_features": 128, "residual_blocks": 12, "features": 128,
        "head_features": 128, "decoder_layers": 4, "decoder_features": 128, "label_features": 128,
        "text_features": 128, "text_width": 512, "spatial_features": 128, "spatial_blocks": 12,
        "output": "softmax", "upscaler": "B",
        "batch_size": 128, "steps": 200_000, "optimizer": "rmsprop", "learning_rate": 1e-4,
        "final_learning_rate": 1e-5, "schedule": "exponential", "warmup_steps": 0,
        "gradient_clip_norm": 0.0, "crop_size": 32, "evaluate_every": 2000,
        "checkpoint_every": 2000, "sample_every": 10_000, "evaluation_examples": 0,
    },
}


# What the paper trains on a data set, beside the `paper` preset: section 4.2 (captions with
# keypoints or a segmentation, 4x4 to 256x256) and 4.4 (ImageNet, 8x8 to 128x128, 256 features).
TEXT_MODEL = {"image_size": 256, "base_size": 4, "text": True}
PAPER_RUNS = {
    "cub": TEXT_MODEL | {"num_keypoints": 15},
    "mpii": TEXT_MODEL | {"num_keypoints": 17},
    "coco": TEXT_MODEL | {"num_segments": 80},
    "imagenet": {
        "image_size": 128, "base_size": 8, "num_classes": 1000, "base_features": 256,
        "features": 256, "head_features": 256, "decoder_features": 256,
    },
}


def make_run(dataset="shapes", variant="OlogN", preset="tiny", **overrides):
    """A run's configuration from a recipe and overrides of any field.

    Unless told, the base is the image halved once, and on until its smaller side is at most 8
    pixels, as far as both sides are even: 8x8 for 32x32, 8x12 for 32x48, 4x4 for 8x8.

    Args:
        dataset, variant, preset: names.
        **overrides: any field of `ModelConfig`, `DataConfig` or `TrainConfig`.

    Raises:
        UserError: for unknown names (with the nearest valid one) and values out of range.
    """
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    table = field_table()
    parts = {"model": {"variant": variant}, "data": {"dataset": dataset}, "train": {}}
    recipe = PRESETS[preset] | (PAPER_RUNS.get(dataset, {}) if preset == "paper" else {})
    for name, value in (recipe | overrides).items():
        if name not in table:
            raise unknown("field", name, table)
        parts[table[name][0]][name] = value
    model = parts["model"]
    image_size = parse_size(model.get("image_size", ModelConfig.image_size), "image_size")
    if variant == "ON":
        model["base_size"] = image_size
    elif "base_size" not in model:
        model["base_size"] = default_base_size(image_size)
    return RunConfig(
        model=replace(ModelConfig(), **model),
        data=replace(DataConfig(), **parts["data"]),
        train=replace(TrainConfig(), **parts["train"]),
    )


def default_base_size(image_size):
    """Halves the sides once, then until the smaller is at most 8, as long as both are even."""
    base = image_size
    while all(side % 2 == 0 for side in base) and (base == image_size or min(base) > 8):
        base = base[0] // 2, base[1] // 2
    return base
