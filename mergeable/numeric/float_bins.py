"""Floats by their top bits: bins that cut each octave alike, found by shifts of integers and never by a logarithm.

The position of a positive number is its exponent with its mantissa's 52 bits as binary places: 0 for 1.0, half of 2^52 for 1.5, 2^52
for 2.0. A bin holds the numbers whose positions agree but for so many low bits. Subnormal numbers have the positions that they would
have if exponents had no end, so that bins are as narrow for them as for all others.
"""

from __future__ import annotations

import numpy as np

BITS = 52
"""Binary places of a position."""

LOWEST, END = -1074 << BITS, 1024 << BITS
"""The positions of the smallest positive number and of infinity."""

INFINITY = 0x7FF << BITS
"""The bits of infinity."""

_ONE = 1023 << BITS  # the bits of 1.0
_NORMAL = 1 << BITS  # the bits of the smallest normal number
_MANTISSA = _NORMAL - 1


def positions(magnitudes: np.ndarray) -> np.ndarray:
    """Return the positions (n,) int64 of positive numbers and infinities, given by their bits (n,) int64; 0 is read as the smallest."""
    found: np.ndarray = magnitudes - _ONE
    small = magnitudes < _NORMAL
    if np.count_nonzero(small):
        units = np.maximum(magnitudes[small], 1).astype(np.float64)  # normal numbers, as whole numbers of 2^-1074
        found[small] = units.view(np.int64) - _ONE + LOWEST
    return found


def units_from(position: int) -> int:
    """Return the smallest float64 at this position or above it, in units of 2^-1074."""
    mantissa, exponent = _parts(position)
    return mantissa << exponent if exponent >= 0 else -(-mantissa >> -exponent)


def units_to(position: int) -> int:
    """Return the largest float64 at this position or below it, in units of 2^-1074."""
    mantissa, exponent = _parts(position)
    return mantissa << exponent if exponent >= 0 else mantissa >> -exponent


def _parts(position: int) -> tuple[int, int]:
    return position & _MANTISSA | _NORMAL, (position >> BITS) + 1074 - BITS
