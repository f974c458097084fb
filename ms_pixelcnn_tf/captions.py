"""Captions as character codes: what the text encoder reads. Pure functions of numpy.

A caption is `LENGTH` codes: 1…70 by a character's place in `ALPHABET`, 0 behind the caption's end.
Upper-case letters count as lower-case; what the alphabet lacks counts as a space; a longer caption
is cut; an empty one is all 0. The alphabet is the one of Reed et al., which has the hyphen twice:
its second place is the one that counts.

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
    """Captions as codes.

    Args:
        captions: sequence of str, or of bytes (UTF-8).

    Returns:
        int32 `[B, LENGTH]`.

    Raises:
        UserError: for a caption that is no text.
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
