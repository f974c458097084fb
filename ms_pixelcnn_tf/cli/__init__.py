"""The commands: they parse flags and call the library; most parse before importing TensorFlow."""
