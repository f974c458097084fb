"""Cases of parametrised tests."""

import pytest


def fast(cases, *places):
    """The cases, of which those at `places` run by default and all others are marked slow.

    Args:
        cases: values of one parameter, in a list.
        places: indices into it.
    """
    return [
        case if place in places else pytest.param(case, marks=pytest.mark.slow)
        for place, case in enumerate(cases)
    ]
