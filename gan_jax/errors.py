"""The exceptions that the command line turns into one line and an exit code."""


class InputError(Exception):
    """Something the user gave cannot be used (exit code 2).

    Its message is one readable line that says what is wrong and what to do.
    """


class DivergedError(Exception):
    """Training met a value that is not finite and stopped (exit code 1)."""


class Interrupted(Exception):  # noqa: N818 - not an error: the run was asked to stop
    """A signal ended the run after its state was saved (exit code 128 + signal)."""

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal
