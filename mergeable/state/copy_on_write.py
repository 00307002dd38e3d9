"""Copy-on-write arrays: copies of a state share large arrays until one of them writes."""

from __future__ import annotations

import numpy as np


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
