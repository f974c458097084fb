"""The one error type for mistakes a caller can mend."""


class UserError(ValueError):
    """Bad input: the message says what is wrong, where, and what would be right, in one line.

    The command line prints it after `error:` and exits with status 2; it never shows a traceback.
    """
