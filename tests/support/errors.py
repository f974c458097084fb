"""What a message must say, not how it says it: the field, the value, and what would be right."""

import contextlib
import re

import pytest

from ms_pixelcnn_tf.errors import UserError


@contextlib.contextmanager
def refuses(*facts, error=UserError):
    """Passes if the block raises `error` with one line that holds all of `facts`.

    Args:
        facts: as for `missing_facts`.
        error: the exception's class.

    Yields:
        pytest's `ExceptionInfo`.
    """
    with pytest.raises(error) as raised:
        yield raised
    message = str(raised.value)
    assert "\n" not in message, message
    assert not missing_facts(message, *facts), message


@contextlib.contextmanager
def warns(*facts):
    """Passes if one of the block's warnings holds all of `facts`, as for `missing_facts`."""
    with pytest.warns(UserWarning) as warned:
        yield
    messages = [str(warning.message) for warning in warned]
    assert any(not missing_facts(message, *facts) for message in messages), messages


def missing_facts(message, *facts):
    """Those of `facts` that `message` does not hold as whole words, in any order.

    Args:
        facts: strings, numbers, paths: a field's name, the value given, each valid one. Not a
            sentence: prose may change.
    """
    return [
        fact
        for fact in map(str, facts)
        if not re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", message)
    ]
