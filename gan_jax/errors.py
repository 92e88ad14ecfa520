"""The one exception that means: the user can mend this."""


class InputError(Exception):
    """Something the user gave cannot be used.

    Its message is one readable line that says what is wrong and what to do; the
    command line prints it without a traceback and exits with code 2.
    """
