"""`UserError`, the error for mistakes that a caller can fix, and helpers."""


class UserError(ValueError):
    """Bad input: the message says in one line what is wrong, where, and what is valid.

    The command line prints it after `error:`, without a traceback, and exits with status 2.
    """


class DamagedExample(UserError):
    """An example's bytes differ from those that were written; other examples may be intact."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its type if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
