"""`captions.encode` as a graph of TensorFlow operations."""

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.captions import CODE_OF, LENGTH, UNKNOWN
from ms_pixelcnn_tf.types import Tensor

# The letters outside ASCII that `str.lower` makes ASCII: İ → i and a dot above, K (Kelvin) → k.
DOTTED_I, KELVIN = "\u0130", "\u212a"


def encode(captions: Tensor) -> Tensor:
    """Encodes captions.

    Args:
        captions: string `[B]`, UTF-8; invalid bytes count as unknown characters.

    Returns:
        int32 `[B, LENGTH]`.
    """
    captions = tf.strings.regex_replace(captions, DOTTED_I, "i\u0307")
    captions = tf.strings.regex_replace(captions, KELVIN, "k")
    points = tf.strings.unicode_decode(captions, "UTF-8", errors="replace")[:, :LENGTH]
    ascii_codes = np.full(129, UNKNOWN, "int32")
    for character, code in CODE_OF.items():
        ascii_codes[[ord(character), ord(character.upper())]] = code
    values = tf.gather(ascii_codes, tf.minimum(points.flat_values, 128))
    return points.with_flat_values(values).to_tensor(shape=(None, LENGTH))
