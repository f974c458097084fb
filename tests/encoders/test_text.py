"""The text encoder sees every character of a caption, and nothing behind its end."""

import numpy as np
import pytest

from ms_pixelcnn_tf import captions as text
from ms_pixelcnn_tf.encoders import TextEncoder
from support.models import randomise

SHORT = ["a", "a red circle", "two green squares above a star; a moon", "x" * 81]


@pytest.fixture(scope="module")
def encoder():
    return random_encoder()


def random_encoder(**options):
    encoder = TextEncoder(6, width=8, dtype="float64", **options)
    encoder.build()
    randomise(encoder, 1, 0.25)
    return encoder


def code(encoder, captions, length=text.LENGTH):
    return np.asarray(encoder(text.encode(captions)[:, :length]))


def test_padding_behind_the_end_does_not_change_the_code(encoder):
    whole = code(encoder, SHORT)
    np.testing.assert_allclose(code(encoder, SHORT, 120), whole, rtol=1e-12)
    assert (np.abs(whole).max(axis=1) > 1e-3).all()
    assert np.unique(whole.round(6), axis=0).shape == whole.shape, "captions should differ"


def test_the_cut_is_seen_where_the_caption_goes_on(encoder):
    """The comparison can fail: a caption beyond the cut has another code."""
    caption = ["a star " * 20]
    assert np.abs(code(encoder, caption) - code(encoder, caption, 120)).max() > 1e-4


def changes(encoder, caption, place):
    """How far each other character at a place moves the code: the largest."""
    captions = [caption[:place] + other + caption[place + 1 :] for other in text.ALPHABET]
    return np.abs(code(encoder, captions) - code(encoder, [caption])).max()


@pytest.mark.parametrize("place", [0, 1, 7, 40, 80])
def test_each_character_matters(encoder, place):
    caption = ("a small blue triangle under two large pink crosses and a " * 2)[:81]
    assert changes(encoder, caption, place) > 1e-6


def test_the_order_of_words_matters(encoder):
    one, other = code(encoder, ["a red circle, a blue star", "a blue circle, a red star"])
    assert np.abs(one - other).max() > 1e-4


def test_an_empty_caption_has_the_code_zero(encoder):
    np.testing.assert_array_equal(code(encoder, ["", "a"])[0], np.zeros(6))


def test_over_all_steps_the_mean_dilutes_a_short_caption(encoder):
    """A caption that fills all steps has the same code either way, a shorter one has not."""
    whole, captions = random_encoder(average="all"), ["x" * text.LENGTH, *SHORT, ""]
    of_caption, of_all = code(encoder, captions), code(whole, captions)
    np.testing.assert_allclose(of_all[0], of_caption[0], rtol=1e-12)
    assert (np.abs(of_all - of_caption)[1:].max(axis=1) > 1e-4).all()
    assert np.abs(of_all - code(whole, captions, 120)).max() > 1e-4, "padding enters the mean"


def test_the_last_character_of_the_longest_caption_matters(encoder):
    caption = "a red circle below a star and " * 6 + "a large yellow moon !"
    assert len(caption) == text.LENGTH
    assert changes(encoder, caption, text.LENGTH - 1) > 1e-6


def test_a_code_does_not_depend_on_its_neighbours_in_the_batch(encoder):
    together = code(encoder, SHORT)
    alone = np.concatenate([code(encoder, [caption]) for caption in SHORT])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_the_configuration_makes_the_same_encoder(encoder):
    again = TextEncoder.from_config(encoder.get_config())
    assert again.average == encoder.average == "caption"
    assert TextEncoder.from_config(random_encoder(average="all").get_config()).average == "all"
    again.build()
    assert [v.shape for v in again.variables] == [v.shape for v in encoder.variables]
    for ours, theirs in zip(again.variables, encoder.variables, strict=True):
        ours.assign(theirs)
    np.testing.assert_array_equal(code(again, SHORT), code(encoder, SHORT))
