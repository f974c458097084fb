"""Readers of the data sets that `bin/make_tfrecords` or TFDS has built."""
