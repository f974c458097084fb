"""The error type for mistakes a caller can mend, and what is told apart of them."""


class UserError(ValueError):
    """Bad input: the message says what is wrong, where, and what would be right, in one line.

    The command line prints it after `error:` and exits with status 2; it never shows a traceback.
    """


class DamagedExample(UserError):
    """An example's bytes are not what was written; the others may be sound."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
