"""From a `Source` to the batches that training and evaluation take."""
