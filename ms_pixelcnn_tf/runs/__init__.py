"""Run folders: their configuration, checkpoints, data description, metrics and lock."""
