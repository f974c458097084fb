"""Export of models as SavedModels, which need only TensorFlow."""
