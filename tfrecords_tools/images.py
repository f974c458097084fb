"""Decodes, resizes and encodes the images of a source, and skips those it cannot use.

A builder that keeps the source's resolution stores the file's own bytes. Otherwise it decodes the
image, converts it to RGB, crops it as the data set requires, resizes it (`data.decode`) and stores
it as PNG, which is lossless. EXIF orientation is ignored: annotations refer to pixels as stored.
"""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from ms_pixelcnn_tf.data import decode
from tfrecords_tools.tasks import Skipped

FORMATS = ("PNG", "JPEG")
Image.init()


def opened(content: bytes) -> Image.Image:
    """An image from bytes, not yet decoded. Raises `Skipped` if it is no image or too large."""
    if not content:
        raise Skipped("empty file")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise Skipped("neither JPEG nor PNG") from error
    except Image.DecompressionBombError as error:
        raise Skipped(f"image of more than {decode.MAX_PIXELS} pixels") from error
    except Exception as error:  # the decoders raise many types for damaged bytes
        raise Skipped("damaged image") from error
    if image.width * image.height > decode.MAX_PIXELS:
        raise Skipped(f"image of more than {decode.MAX_PIXELS} pixels")
    return image


def decoded(content: bytes) -> Image.Image:
    """Bytes → an RGB image. Raises `Skipped` if they cannot be decoded completely."""
    image = opened(content)
    try:
        image.load()
        return decode.to_rgb(image)
    except Exception as error:
        raise Skipped("damaged image") from error


def encoded(image: Image.Image) -> bytes:
    """An image → PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shorter_side(image: Image.Image, side: int) -> tuple[bytes, np.ndarray]:
    """Resizes an RGB image to a shorter side of `side` pixels.

    Returns:
        PNG bytes, and float64 `[2]`: the factors that map x and y of the image to the result.
    """
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    resized = decode.resize(image, (height, width))
    return encoded(resized), np.array([width / image.width, height / image.height])
