"""Copy-on-write arrays: copies of a state share large arrays until one of them writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mergeable.state.hints import Hints


def shared(array: np.ndarray) -> np.ndarray:
    """Mark an array copy-on-write, and return it: ``writable`` then copies it, and ``room`` does not offer it."""
    array.flags.writeable = False
    return array


def writable(array: np.ndarray) -> np.ndarray:
    """Return an array to write to: this one, or a copy where it is copy-on-write."""
    return array if array.flags.writeable else array.copy()


def room(array: np.ndarray) -> np.ndarray | None:
    """Return the array as ``out`` of a NumPy function, or None where it is copy-on-write."""
    return array if array.flags.writeable else None


def copied(part: Any) -> Any:
    """Return a copy, one level deep, of a list, a dict, a set or a state; an array, which is marked copy-on-write; else the part."""
    if (copy := _COPIES.get(type(part))) is not None:
        return copy(part)
    if not isinstance(part, Hints):  # a base class of every state: to ask for an abstract class takes longer
        return part
    twin: Any = part.empty()  # type: ignore[attr-defined]  # of a state
    twin._become(part)
    return twin


_COPIES: dict[type, Callable[[Any], Any]] = {list: list.copy, dict: dict.copy, set: set.copy, np.ndarray: shared, int: int}
