"""Builders that convert the published archives of the paper's five data sets into TFRecords.

`ms_pixelcnn_tf` never imports this package: built data describes itself.
"""
