"""Small batches that wait to be taken as one, and places in time to return to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
Key = tuple[Any, ...]
Mark = dict[Key, tuple[list[Any], int]]

NUMBERS: Key = (float,)
"""The group of numbers that came one by one; they are joined to one float64 array."""

BUFFER_BYTES = 128 * 1024
"""Small batches wait in a buffer until they hold this many bytes: 16,384 float64 values."""


class Buffer:
    """Batches that wait, grouped by what can be joined: number of arrays, dtypes and trailing shapes."""

    def __init__(self) -> None:
        self.groups: dict[Key, list[Any]] = {}
        self.nbytes = 0

    def joins(self, arrays: Arrays) -> bool:
        """Return whether a batch can be joined to all that waits."""
        return set(self.groups) <= {_key(arrays)}

    def add(self, arrays: Arrays, nbytes: int) -> None:
        """Keep copies of one batch of so many bytes."""
        copies = (arrays[0].copy(),) if len(arrays) == 1 else tuple([a.copy() for a in arrays])
        self.groups.setdefault(_key(arrays), []).append(copies)
        self.nbytes += nbytes

    def add_number(self, number: float) -> None:
        """Keep one number."""
        self.groups.setdefault(NUMBERS, []).append(number)
        self.nbytes += 8

    def joined(self, key: Key) -> Arrays:
        """Return one group as one batch."""
        batches = self.groups[key]
        if key is NUMBERS:
            return (np.array(batches),)
        return batches[0] if len(batches) == 1 else tuple(map(np.concatenate, zip(*batches, strict=True)))

    def drop(self, key: Key) -> None:
        """Forget one group."""
        self.nbytes -= _nbytes(key, self.groups.pop(key))

    def mark(self) -> Mark:
        """Remember what waits now; batches are only ever appended to a group's list."""
        return {key: (batches, len(batches)) for key, batches in self.groups.items()}

    @classmethod
    def at(cls, mark: Mark) -> Buffer:
        """Return a buffer as it was at the mark."""
        buffer = cls()
        buffer.groups = {key: batches[:length] for key, (batches, length) in mark.items()}
        buffer.nbytes = sum(_nbytes(key, batches) for key, batches in buffer.groups.items())
        return buffer


def _nbytes(key: Key, batches: list[Any]) -> int:
    return 8 * len(batches) if key is NUMBERS else sum(a.nbytes for batch in batches for a in batch)


def _key(arrays: Arrays) -> Key:
    if len(arrays) == 1:  # as most have
        return ((arrays[0].dtype, arrays[0].shape[1:]),)
    return tuple([(a.dtype, a.shape[1:]) for a in arrays])


class Savepoint:
    """An open savepoint: a mark in the buffer, the value once it was about to be written, and steps to undo before it."""

    __slots__ = ("journal", "mark", "value")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.value: dict[str, Any] | None = None
        self.journal: list[Callable[[], Any]] = []
