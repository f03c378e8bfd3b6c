"""The error that a user can correct."""


class InputError(Exception):
    """The user's input cannot be used. The message is one line: what is wrong, where, and what to do next.

    The command line prints the message unchanged and exits with code 2. Stages raise it for every error that a file, an
    option or the machine can cause. `assert` is only for emosh's own invariants.
    """
