"""Sampling: uniforms → levels by inverse CDF, with or without a cache."""
