"""A buffer of small batches, which are joined and taken as one; a mark in it undoes later batches."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
Key = tuple[Any, ...]
Mark = dict[Key, tuple[Any, ...]]

NUMBERS: Key = (float,)
"""The group of numbers that came one by one; they are joined to one float64 array."""

BUFFER_BYTES = 128 * 1024
"""Small batches wait in a buffer until they take this many bytes: 16,384 float64 values, in arrays of any length."""

PART_BYTES = 8192
"""Of many states that stand side by side, a buffer holds less, but at least this many bytes."""

_NUMBER_BYTES = 32  # a float of Python's, and a place in a list
_GROUP_BYTES = 768  # beside its arrays
_CHUNK_BYTES = 512  # to make room costs as much as some hundred bytes


class _Chunk:
    """Arrays with room for a number of rows, of which the first n are taken. Taken rows are not written to again."""

    __slots__ = ("n", "room", "stores")

    def __init__(self, stores: Arrays, n: int) -> None:
        self.stores, self.n, self.room = stores, n, len(stores[0])


class _Group:
    """Batches that can be joined, in chunks of which each has room for as many rows as all before it."""

    __slots__ = ("chunks", "nbytes", "of_objects")

    def __init__(self, chunks: list[_Chunk], nbytes: int, of_objects: bool) -> None:
        self.chunks, self.nbytes, self.of_objects = chunks, nbytes, of_objects


class Buffer:
    """Batches that wait, in groups of batches that can be joined: equal number of arrays, dtypes and trailing shapes."""

    __slots__ = ("groups", "nbytes")

    def __init__(self) -> None:
        self.groups: dict[Key, Any] = {}
        self.nbytes = 0

    def joins(self, arrays: Arrays) -> bool:
        """Return whether a batch has the group of all batches that wait."""
        return set(self.groups) <= {_key(arrays)}

    def add(self, arrays: Arrays, nbytes: int, limit: int) -> None:
        """Keep a copy of one batch of so many bytes, in a buffer that is emptied at the limit."""
        key = _key(arrays)
        group = self.groups.get(key)
        if group is None:  # no more room than the batch takes: it may stay alone
            copies = (arrays[0].copy(),) if len(arrays) == 1 else tuple([a.copy() for a in arrays])
            group = self.groups[key] = _Group([_Chunk(copies, len(copies[0]))], 0, any(a.dtype.hasobject for a in arrays))
            nbytes += _GROUP_BYTES
        else:
            chunk = group.chunks[-1]
            start, rows = chunk.n, len(arrays[0])
            if start + rows > chunk.room:
                chunk, start = _with_room(arrays, rows, nbytes, chunk.room, limit - self.nbytes), 0
                group.chunks.append(chunk)
            end = start + rows
            if len(arrays) == 1:  # as most have
                chunk.stores[0][start:end] = arrays[0]
            else:
                for store, a in zip(chunk.stores, arrays, strict=True):
                    store[start:end] = a
            chunk.n = end
        if group.of_objects:
            nbytes += sum(sys.getsizeof(item) for a in arrays if a.dtype.hasobject for item in a.ravel().tolist())
        group.nbytes += nbytes
        self.nbytes += nbytes

    def add_number(self, number: float) -> None:
        """Keep one number."""
        self.groups.setdefault(NUMBERS, []).append(number)
        self.nbytes += _NUMBER_BYTES

    def joined(self, key: Key) -> Arrays:
        """Return a copy of one group as one batch."""
        group = self.groups[key]
        if key is NUMBERS:
            return (np.array(group),)
        columns = zip(*([store[: chunk.n] for store in chunk.stores] for chunk in group.chunks), strict=True)
        return tuple([np.concatenate(column) for column in columns])

    def drop(self, key: Key) -> None:
        """Forget one group."""
        group = self.groups.pop(key)
        self.nbytes -= _NUMBER_BYTES * len(group) if key is NUMBERS else group.nbytes

    def mark(self) -> Mark:
        """Return a mark behind the batches that wait now; later ones are written behind it."""
        marks: Mark = {}
        for key, group in self.groups.items():
            if key is NUMBERS:
                marks[key] = group, len(group)
            else:
                chunks = group.chunks
                marks[key] = group, len(chunks), chunks[-1].n, group.nbytes
        return marks

    @classmethod
    def at(cls, mark: Mark) -> Buffer:
        """Return a buffer as it was at the mark."""
        buffer = cls()
        for key, (group, length, *rest) in mark.items():
            if key is NUMBERS:
                buffer.groups[key] = group[:length]
                buffer.nbytes += _NUMBER_BYTES * length
            else:
                n, nbytes = rest
                chunks = [_Chunk(chunk.stores, chunk.n) for chunk in group.chunks[:length]]
                chunks[-1].n = n
                buffer.groups[key] = _Group(chunks, nbytes, group.of_objects)
                buffer.nbytes += nbytes
        return buffer


def _with_room(arrays: Arrays, rows: int, nbytes: int, before: int, free: int) -> _Chunk:
    """Return room for a batch of so many rows and bytes, and for others: twice that of the chunk before, but no more than is free."""
    few, most = ((size * rows // nbytes if nbytes else 2 * before) for size in (_CHUNK_BYTES, free))
    rows = max(rows, min(max(2 * before, few), most))
    return _Chunk(tuple([np.empty((rows, *a.shape[1:]), a.dtype) for a in arrays]), 0)


def _key(arrays: Arrays) -> Key:
    if len(arrays) == 1:  # as most have
        return ((arrays[0].dtype, arrays[0].shape[1:]),)
    return tuple([(a.dtype, a.shape[1:]) for a in arrays])
