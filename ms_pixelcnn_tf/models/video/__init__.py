"""The video models."""
