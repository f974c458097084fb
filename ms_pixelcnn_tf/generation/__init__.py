"""What a model is asked for, and what comes of it."""
