"""What was taken out of a scene, step by step, so that every step can be undone: masks only, no Gaussians."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Edit:
    """One step.

    Attributes:
        what: in a few words, such as "likely floaters, strength 0.5".
        packed: the Gaussians that it removed: a bit for each, compressed.
        count: how many they are.
    """

    what: str
    packed: bytes
    count: int


class EditHistory:
    """Steps that removed Gaussians, and those that were undone and can be done again.

    A step takes about as many bytes as it removed Gaussians, at most N / 8.
    """

    def __init__(self, num_gaussians: int) -> None:
        """Begin with all of `num_gaussians` in place."""
        self._num = num_gaussians
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    def __len__(self) -> int:
        """How many steps are done."""
        return len(self._done)

    @property
    def num_gaussians(self) -> int:
        """Of the scene that the steps belong to."""
        return self._num

    @property
    def steps(self) -> tuple[Edit, ...]:
        """The steps that are done, the oldest first."""
        return tuple(self._done)

    @property
    def next_undo(self) -> Edit | None:
        """What `undo` would take back; None: there is nothing."""
        return self._done[-1] if self._done else None

    @property
    def next_redo(self) -> Edit | None:
        """What `redo` would do again; None: there is nothing."""
        return self._undone[-1] if self._undone else None

    def removed(self) -> Mask:
        """Which Gaussians are out [N]."""
        out = np.zeros(self._num, bool)
        for edit in self._done:
            out |= _unpacked(edit.packed, self._num)
        return out

    def remove(self, mask: Mask, what: str) -> int:
        """Take Gaussians out; what was undone before cannot be redone then.

        Args:
            mask: which [N]; those that are out already do not count.
            what: in a few words.

        Returns:
            How many went; with none nothing happens.

        Raises:
            ValueError: the mask is not [N], or would leave nothing of the scene.
        """
        if np.shape(mask) != (self._num,):
            raise ValueError(f"the mask must be [{self._num}], got {list(np.shape(mask))}")
        before = self.removed()
        new = np.asarray(mask, bool) & ~before
        count = int(new.sum())
        if count == 0:
            return 0
        if count + int(before.sum()) == self._num:
            raise ValueError("nothing would be left of the scene")
        self._done.append(Edit(what, _packed(new), count))
        self._undone.clear()
        return count

    def undo(self) -> Edit | None:
        """Take the last step back; returns it, None if there is none."""
        return self._move(self._done, self._undone)

    def redo(self) -> Edit | None:
        """Do the step again that was undone last; returns it, None if there is none."""
        return self._move(self._undone, self._done)

    def to_document(self) -> dict[str, Any]:
        """The steps that are done, for a JSON file."""
        steps = [{"what": e.what, "count": e.count, "rows": base64.b64encode(e.packed).decode()} for e in self._done]
        return {"num_gaussians": self._num, "steps": steps}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "EditHistory":
        """Undo `to_document`.

        Raises:
            ValueError, KeyError, TypeError: the document holds no history.
        """
        history = cls(int(document["num_gaussians"]))
        for step in document["steps"]:
            packed = base64.b64decode(step["rows"], validate=True)
            try:
                count = int(_unpacked(packed, history._num).sum())
            except zlib.error as error:
                raise ValueError(f"a step is damaged: {error}") from error
            history._done.append(Edit(str(step["what"]), packed, count))
        return history

    @staticmethod
    def _move(source: list[Edit], target: list[Edit]) -> Edit | None:
        if not source:
            return None
        target.append(source.pop())
        return target[-1]


def _packed(mask: Mask) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 9)


def _unpacked(packed: bytes, count: int) -> Mask:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    if len(bits) != (count + 7) // 8:
        raise ValueError(f"a step must be of {count} Gaussians")
    return np.unpackbits(bits, count=count).astype(bool)
