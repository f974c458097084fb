"""Builders of the paper's five data sets: archives as their owners publish them in, TFRecords out.

`ms_pixelcnn_tf` never imports this package: built data describes itself.
"""
