"""Bytes that are equal exactly for equal values: what the laws compare, and what tells whether two processes agree."""

from __future__ import annotations

import datetime as dt
import math
import struct
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import cloudpickle
import numpy as np

from mergeable.state import State


def canonical_bytes(value: Any) -> bytes:
    """Return bytes that are equal exactly for equal values, on every machine and in every process.

    Dicts and sets have no order here, floats are their bits, arrays their dtype, shape and bytes. What is none of numbers,
    strings, bytes, arrays, collections and states is taken by its pickle.

    Example:
        >>> canonical_bytes({"a": 1, "b": {2, 3}}) == canonical_bytes({"b": {3, 2}, "a": 1})
        True
        >>> canonical_bytes(0.0) == canonical_bytes(-0.0)
        False
    """
    if isinstance(value, State):
        return _record("state", type(value).__qualname__.encode(), canonical_bytes((value.to_data(), value.parameters)))
    if isinstance(value, np.generic):
        if value.dtype.kind in "mMV":  # Python's own would be numbers, dates, tuples or None, as their units choose
            return _record("scalar", value.dtype.str.encode(), value.tobytes())
        value = value if isinstance(value, str | bytes) else value.item()  # which would drop zero bytes
    if value is None or isinstance(value, bool):
        return _record(repr(value))
    if isinstance(value, int):
        return _record("int", str(int(value)).encode() if value.bit_length() < 10_000 else hex(value).encode())
    if isinstance(value, float):
        return _record("float", b"nan" if math.isnan(value) else struct.pack("<d", value))
    if isinstance(value, str):
        return _record("str", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return _record("bytes", value)
    if type(value) in (dt.date, dt.datetime, uuid.UUID):
        return _record("time or id", repr(value).encode())
    if isinstance(value, np.ndarray):
        return _array_bytes(value)
    if isinstance(value, Mapping):
        items = sorted((canonical_bytes(k), canonical_bytes(v)) for k, v in value.items())
        return _record("dict", *(part for item in items for part in item))
    if isinstance(value, AbstractSet):
        return _record("set", *sorted(map(canonical_bytes, value)))
    if isinstance(value, list | tuple):
        return _record("list" if isinstance(value, list) else "tuple", *map(canonical_bytes, value))
    if callable(value) and hasattr(value, "__qualname__"):  # how a function pickles differs between processes
        return _record("callable", f"{value.__module__}.{value.__qualname__}".encode())
    if hasattr(value, "__dict__"):
        return _record("object", type(value).__qualname__.encode(), canonical_bytes(vars(value)))
    return _record("pickle", cloudpickle.dumps(value))


def _array_bytes(array: np.ndarray) -> bytes:
    head = (array.dtype.str.encode(), repr(array.shape).encode())
    if array.dtype == object:
        return _record("array", *head, *map(canonical_bytes, array.ravel().tolist()))
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return _record("array", *head, np.ascontiguousarray(array).tobytes())


def _record(tag: str, *parts: bytes) -> bytes:
    return b"".join([tag.encode(), b"(", *(struct.pack("<Q", len(p)) + p for p in parts), b")"])
