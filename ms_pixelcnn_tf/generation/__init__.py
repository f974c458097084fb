"""Sampling: prompts, clips and actions as inputs, and futures and upscaled images as results."""
