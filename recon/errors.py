"""Errors that a user can mend."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_PLACE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)


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


@contextmanager
def mendable_storage() -> Iterator[None]:
    """Turn the system's errors about a full disk, missing rights and impossible paths into `ReconError`.

    Others pass as they are.

    For the outermost call: what knows better which file was meant raises its own.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise ReconError("The disk is full.", "Make room, then run the same command again.") from error
        if error.errno in _NO_RIGHT:
            what = str(error.filename or "A file").removesuffix(".partial")
            raise ReconError(
                f"{what} cannot be read or written: {error.strerror}.", "Check its permissions, or name another place."
            ) from error
        if error.errno in _NO_PLACE:
            raise ReconError(
                f"{error.filename} cannot be a file or folder: {error.strerror}.", "Name another."
            ) from error
        raise
