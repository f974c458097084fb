"""Likelihoods of what a model was not trained on."""
