"""The commands. Flags parse, libraries act; TensorFlow is imported only once the flags are good."""
