"""Configurations of models, data and training as frozen dataclasses, and named presets."""

from ms_pixelcnn_tf.configs.checks import replace, unknown
from ms_pixelcnn_tf.configs.image import CONDITIONS, VARIANTS, ModelConfig
from ms_pixelcnn_tf.configs.presets import PRESETS, VARIANT_FIELDS, VIDEO_PRESETS, make_run
from ms_pixelcnn_tf.configs.run import DataConfig, RunConfig, TrainConfig, field_table, model_type
from ms_pixelcnn_tf.configs.video import VIDEO_FIELDS, VIDEO_VARIANTS, VideoConfig
from ms_pixelcnn_tf.sizes import parse_size

__all__ = [
    "CONDITIONS",
    "PRESETS",
    "VARIANTS",
    "VARIANT_FIELDS",
    "VIDEO_FIELDS",
    "VIDEO_PRESETS",
    "VIDEO_VARIANTS",
    "DataConfig",
    "ModelConfig",
    "RunConfig",
    "TrainConfig",
    "VideoConfig",
    "field_table",
    "make_run",
    "model_type",
    "parse_size",
    "replace",
    "unknown",
]
