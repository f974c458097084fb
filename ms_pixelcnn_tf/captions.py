"""Captions as character codes, the input of the text encoder, in pure functions of numpy.

A caption becomes `LENGTH` codes: 1…70 for a character's position in `ALPHABET`, 0 after the
caption's end. Upper-case letters count as lower-case, and characters outside the alphabet as
spaces. Longer captions are cut; an empty caption is all 0. The alphabet is that of Reed et al.,
which has the hyphen twice; the second position counts.

Reference: Reed et al. (2016), Learning deep representations of fine-grained visual descriptions,
section 4.
"""

from collections.abc import Sequence

import numpy as np

from ms_pixelcnn_tf.errors import UserError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
LENGTH = 201
CODE_OF = {character: place for place, character in enumerate(ALPHABET, 1)}
UNKNOWN = CODE_OF[" "]


def encode(captions: Sequence[str | bytes]) -> np.ndarray:
    """Encodes captions.

    Args:
        captions: sequence of str, or of bytes (UTF-8).

    Returns:
        int32 `[B, LENGTH]`.

    Raises:
        UserError: for a caption that is not text.
    """
    codes = np.zeros((len(captions), LENGTH), "int32")
    for row, caption in enumerate(captions):
        if isinstance(caption, bytes):
            caption = caption.decode("utf-8", "replace")
        if not isinstance(caption, str):
            raise UserError(f"caption {row} is {caption!r}; valid: text")
        caption = caption.lower()[:LENGTH]
        codes[row, : len(caption)] = [CODE_OF.get(character, UNKNOWN) for character in caption]
    return codes
