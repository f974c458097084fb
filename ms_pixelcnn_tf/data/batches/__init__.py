"""Turns a `Source` into the batches for training and evaluation."""
