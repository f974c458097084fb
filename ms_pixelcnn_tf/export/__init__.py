"""Models as SavedModels, which need TensorFlow alone."""
