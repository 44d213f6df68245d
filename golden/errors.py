"""The one exception that a user is meant to see."""


class SaformerError(Exception):
    """Bad input from outside: one line that says what is wrong and what to do about it."""
