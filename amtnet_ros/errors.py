"""Errors a user can cause, and can mend."""


class UserError(Exception):
    """Something the user gave is wrong; the message is one line that says what, where, and what to do about it.

    Commands and nodes print the message without a traceback. Everything else that escapes is a defect of the package.
    """
