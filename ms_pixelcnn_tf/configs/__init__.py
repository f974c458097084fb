"""Configurations as plain frozen data, and the recipes by name."""

from ms_pixelcnn_tf.configs.presets import PRESETS, make_run
from ms_pixelcnn_tf.configs.schema import (
    CONDITIONS,
    VARIANTS,
    DataConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    field_table,
    parse_size,
    replace,
    unknown,
)

__all__ = [
    "CONDITIONS", "PRESETS", "VARIANTS", "DataConfig", "ModelConfig", "RunConfig", "TrainConfig",
    "field_table", "make_run", "parse_size", "replace", "unknown",
]
