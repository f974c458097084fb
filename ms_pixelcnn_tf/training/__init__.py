"""Training: the loop, its step, optimizers, replicas, and the metrics that it writes."""
