"""Training: one step as a function, the loop around it, checkpoints and what to look at."""
