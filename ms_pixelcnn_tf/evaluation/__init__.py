"""Evaluation: the likelihood of splits and of your own images, and timing."""
