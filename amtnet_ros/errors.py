"""Errors a user can cause, and can mend."""


class UserError(Exception):
    """Something the user gave is wrong; the message is one line that says what, where, and what to do about it.

    Commands and nodes print the message without a traceback. Everything else that escapes is a defect of the package.
    """


def quoted(text: object, most: int = 60) -> str:
    """What somebody sent, as it may stand in a line: in quotes, without control characters, and not endless.

    >>> quoted("rgb8\n")
    "'rgb8\\n'"
    """
    said = repr(text)
    return said if len(said) <= most else f"{said[:most]}…"
