"""The one error a user can mend, and the one refusal of what is not here yet."""


class InputError(Exception):
    """Something the user gave cannot be used: one line saying what, where, and what to do next.

    The command line prints it as it stands and exits with code 2. Stages raise it for whatever a file, an
    option or the machine can cause; `assert` is kept for emosh's own invariants.
    """
