"""Captions as character codes: the alphabet, and what counts as what."""

import numpy as np
import pytest

from ms_pixelcnn_tf import captions as text
from support.errors import refuses

SPACE = 70


def encoded(caption):
    """The codes of one caption, as a list."""
    return text.encode([caption])[0].tolist()


def test_the_alphabet_has_seventy_characters():
    assert len(text.ALPHABET) == 70
    assert len(set(text.ALPHABET)) == 69 and text.ALPHABET.count("-") == 2
    assert text.LENGTH == 201


def test_a_code_is_the_characters_place_from_one():
    assert encoded("abc z0 9")[:9] == [1, 2, 3, SPACE, 26, 27, SPACE, 36, 0]
    codes = text.encode([text.ALPHABET])[0, :70]
    back = "".join(text.ALPHABET[code - 1] for code in codes)
    assert back == text.ALPHABET
    places = np.arange(1, 71)
    np.testing.assert_array_equal(codes[codes != places], [text.ALPHABET.rindex("-") + 1])


def test_upper_case_counts_as_lower_case():
    np.testing.assert_array_equal(text.encode(["A Red STAR!"]), text.encode(["a red star!"]))


@pytest.mark.parametrize("character", ["é", "日", "\n", "\t", "…", "\0"])
def test_what_the_alphabet_lacks_is_a_space(character):
    assert encoded(f"a{character}b") == encoded("a b")
    assert encoded("a b")[:4] == [1, SPACE, 2, 0]


def test_long_captions_are_cut_and_short_ones_filled_with_zeros():
    codes = text.encode(["a" * 201 + "b", "b" * 200, ""])
    assert codes.shape == (3, 201) and codes.dtype == np.int32
    assert (codes[0] == 1).all()
    assert (codes[1, :200] == 2).all() and codes[1, 200] == 0
    assert not codes[2].any()
    assert text.encode([]).shape == (0, 201)


def test_a_letter_whose_lower_case_is_longer_is_cut_too():
    assert len("İ".lower()) == 2
    assert np.count_nonzero(text.encode(["İ" * 150])) == 201


def test_bytes_are_utf_8():
    captions = ["a red circle", "café"]
    np.testing.assert_array_equal(
        text.encode([caption.encode() for caption in captions]), text.encode(captions)
    )
    assert encoded(b"a\xffb") == encoded("a b")  # no UTF-8


@pytest.mark.parametrize("wrong", [3, None, ["a"], 2.5])
def test_what_is_no_text_is_told(wrong):
    with refuses("caption 1", wrong, "text"):
        text.encode(["a", wrong])
