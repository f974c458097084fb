"""Bits per sub-pixel of the same images in general lossless formats."""

import io

from PIL import Image

CODECS = {
    "PNG": {"format": "PNG", "optimize": True},
    # More effort does not always give smaller files at this size, so the default is shown too.
    "WebP, method 4": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4},
    "WebP, method 6": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
}


def lossless_bits(images):
    """Bits per sub-pixel of one file per image, headers included, averaged over the images.

    Args:
        images: uint8 `[N, H, W, 3]`.

    Returns:
        dict codec → bits, for each of `CODECS`.
    """
    return {
        name: 8 * sum(_size(image, options) for image in images) / images.size
        for name, options in CODECS.items()
    }


def _size(image, options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return file.tell()
