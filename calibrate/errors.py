"""Errors that end in one clear line: what is wrong, in which file, and what to do about it."""


class InputError(Exception):
    """Bad input by the user; the command line prints its text as one line and exits with code 2."""
