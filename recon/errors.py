"""Errors that a user can mend."""


class ReconError(Exception):
    """Something in the input or the set-up is wrong and the user can do something about it.

    Attributes:
        message: one sentence, what is wrong.
        hint: one sentence, what to do; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
