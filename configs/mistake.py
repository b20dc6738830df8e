"""The one base of errors that a person must mend: the command shows their words alone, without a traceback."""


class Mistake(Exception):  # noqa: N818 - it is one, and `except Mistake` reads like one
    """Something in settings, paths, templates or models; the message says what is wrong, where, and what to do."""
