"""Captions are encoded in a graph as they are in Python."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf.export import captions


def assert_same(given):
    encoded = captions.encode(tf.constant([caption.encode() for caption in given]))
    np.testing.assert_array_equal(encoded, text.encode(given))


def test_every_character_there_is():
    """In fives: a letter that becomes two shifts what stands behind it."""
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    characters = "".join(map(chr, points))
    assert_same([characters[start : start + 150] for start in range(0, len(characters), 150)])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=250), min_size=1, max_size=4))
def test_any_text(given):
    assert_same(given)


@pytest.mark.parametrize("given", [[""], ["", "a"], ["A red Circle, above!", "x" * 201, "y" * 400]])
def test_empty_and_long_ones(given):
    assert_same(given)
    assert captions.encode(tf.constant(given)).shape == (len(given), text.LENGTH)


@pytest.mark.parametrize("raw", [b"a\xffb", b"\xe2\x82", b"a\xc3", b"\xf0\x9f\x98z"])
def test_bytes_that_are_no_text(raw):
    np.testing.assert_array_equal(captions.encode(tf.constant([raw])), text.encode([raw]))
