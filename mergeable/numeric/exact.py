"""Exact arithmetic on float64: sums and sums of products as one Python integer.

A float64 is a whole number of units of 2^-1074, so a sum of them is one too, however it is ordered. The vectorised
path extracts, pass by pass, the leading bits that all items of a block have in common, and adds those without
rounding (Rump, Ogita and Oishi 2008, "Accurate floating-point summation I"). Where that could meet subnormal numbers,
which the threads of some frameworks flush to zero, or the top of the range, the bits are added as integers instead.
Nothing here depends on the thread's floating-point mode.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator

import numpy as np

UNIT_BITS = 1074
"""A unit is 2^-1074, the smallest positive float64."""

MANTISSA_BITS = 52
"""Numbers of less than 2^52 units are subnormal: threads that flush them to zero read them as 0."""

_BLOCK = 65536  # items whose sum is taken at once: 512 KiB, so that the passes over a block stay in the cache
_PRODUCTS = 16384  # items whose products are: they need some arrays more
_ROW = 4096  # items that float64 adds without rounding, once what they have in common is extracted
_WIDE = 256  # bits from the first to the last one: of more, extraction takes so many passes that integers are quicker
_MAGNITUDE = np.uint64(0x7FFF_FFFF_FFFF_FFFF)
_MANTISSA = (1 << 52) - 1
_INFINITY = 0x7FF << 52
_FEW = 64  # items that say whether a look at all of them may pay


def _bits_of(exponent: int) -> int:
    return (exponent + 1023) << 52


_SUM_LOW, _SUM_HIGH = _bits_of(-960), _bits_of(1000)  # every partial result stays a normal number
_PRODUCT_LOW, _PRODUCT_HIGH = _bits_of(-250), _bits_of(250)  # so does every error term of three factors


def total(values: np.ndarray) -> int:
    """Return the exact sum of float64 values (n,) in units of 2^-1074.

    Raises:
        ArithmeticError: a value is NaN or infinite.
    """
    return sum(_block_total(block, np.empty_like(block)) for block in _blocks(values))


def run_totals(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the exact sums (k,), in units of 2^-1074, of runs that begin at starts (k,) of finite float64 values not below 0."""
    bits = values.view(np.int64)
    exponents = bits >> 52 & 0x7FF
    mantissas = bits & (1 << 52) - 1 | (exponents > 0).astype(np.int64) << 52
    runs = np.zeros(values.size, np.int64)
    runs[starts] = 1
    parts = np.cumsum(runs) << 11 | exponents  # values of one run and exponent add up as integers
    order = np.argsort(parts, kind="stable")
    parts, mantissas = parts[order], mantissas[order]
    firsts = np.flatnonzero(np.diff(parts, prepend=-1))
    parts = parts[firsts]
    high, low = (np.add.reduceat(half, firsts).astype(object) for half in (mantissas >> 26, mantissas & (1 << 26) - 1))
    units = ((high << 26) + low) << np.maximum((parts & 0x7FF) - 1, 0).astype(object)
    totals: np.ndarray = np.add.reduceat(units, np.flatnonzero(np.diff(parts >> 11, prepend=-1)))
    return totals


def product_total(*factors: np.ndarray) -> int:
    """Return the exact sum of elementwise products of one to three finite float64 arrays (n,).

    The unit is 2^-1074 to the power of the number of factors.
    """
    units = 0
    for i in range(0, factors[0].size, _PRODUCTS):
        cut = {id(factor): factor[i : i + _PRODUCTS] for factor in factors}  # a square stays one
        units += _block_product_total([cut[id(factor)] for factor in factors])
    return units


def units_of(value: float) -> int:
    """Return a finite float in units of 2^-1074, from its bits."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    exponent = bits >> 52 & 0x7FF
    mantissa = bits & 0xF_FFFF_FFFF_FFFF
    units = (mantissa | 1 << 52) << (exponent - 1) if exponent else mantissa
    return -units if bits >> 63 else units


def to_float(numerator: int, denominator: int) -> float:
    """Return numerator / denominator (denominator > 0), rounded once, to nearest even; infinity beyond the range."""
    try:
        value = numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
    if abs(value) > 2.3e-308 or not numerator:
        return value
    # A subnormal result is put together from its bits: this thread may flush subnormal numbers to zero.
    units, rest = divmod(abs(numerator) << UNIT_BITS, denominator)
    units += 2 * rest > denominator or (2 * rest == denominator and units & 1)
    return from_bits(units | (numerator < 0) << 63)


def to_floats(numerators: Iterable[int], denominator: int) -> list[float]:
    """Return each numerator / denominator (denominator > 0), rounded as ``to_float`` does."""
    return [to_float(numerator, denominator) for numerator in numerators]


def is_whole(value: float) -> bool:
    """Return whether a finite float is a whole number, from its bits."""
    return not units_of(value) & ((1 << UNIT_BITS) - 1)


def sqrt_to_float(numerator: int, denominator: int) -> float:
    """Return the square root of numerator / denominator (both not negative), rounded once."""
    shift = max(0, 128 - numerator.bit_length() + denominator.bit_length())
    shift += shift & 1
    quotient, rest = divmod(numerator << shift, denominator)
    root = math.isqrt(quotient)
    inexact = rest > 0 or root * root != quotient
    return to_float(root << 1 | inexact, 2 << shift // 2)


def from_bits(bits: int) -> float:
    """Return the float64 with these 64 bits."""
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


def order_keys(values: np.ndarray) -> np.ndarray:
    """Return int64 keys (n,) in the order of the float64 values; -0.0 and 0.0 are equal. NaN has no place in it."""
    bits = np.ascontiguousarray(values).view(np.int64)
    keys: np.ndarray = bits ^ ((bits >> 63) & np.int64(_MAGNITUDE))
    keys += keys < 0  # -0.0 would have the key -1; the other negative numbers move up beside it
    return keys


def values_of_keys(keys: np.ndarray) -> np.ndarray:
    """Return the float64 values (n,) that have these order keys (n,)."""
    bits = np.where(keys < 0, -keys | np.int64(-(2**63)), keys)
    values: np.ndarray = bits.view(np.float64)
    return values


def key_of_value(value: float) -> int:
    """Return the order key of one float64 value."""
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -(bits + 2**63)


def value_of_key(key: int) -> float:
    """Return the float64 value that has this order key."""
    return from_bits(key) if key >= 0 else from_bits(-key | 1 << 63)


def _within(values: np.ndarray, low: int, high: int) -> np.ndarray:
    magnitude = values.view(np.uint64) & _MAGNITUDE
    within: np.ndarray = (magnitude == 0) | ((magnitude >= low) & (magnitude <= high))
    return within


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Cut values (n,) into blocks of whole rows, and the rest."""
    start = 0
    while start < values.size:
        size = min(values.size - start, _BLOCK)
        size -= size % _ROW if size > _ROW else 0
        yield values[start : start + size]
        start += size


def _range(values: np.ndarray, scratch: np.ndarray) -> tuple[int, int]:
    """Return the bits of the smallest magnitude above 0 and of the largest one; 0 where there is none."""
    bits = values.view(np.uint64)
    doubled = np.add(bits, bits, out=scratch.view(np.uint64))  # the sign is gone
    largest, smallest = int(np.maximum.reduce(doubled)), int(np.minimum.reduce(doubled))
    if largest and not smallest:
        doubled -= np.uint64(1)  # a zero wraps around and does not count
        smallest = int(np.minimum.reduce(doubled)) + 1
    return smallest >> 1, largest >> 1


def _block_total(values: np.ndarray, scratch: np.ndarray) -> int:
    """Return the exact sum of a block of whole rows, or of one row; ``scratch`` (n,) is overwritten."""
    smallest, largest = _range(values, scratch)
    if largest >= _INFINITY:
        raise ArithmeticError("exact.total: got NaN or infinite values, expected finite ones. Split them off first.")
    if not largest:
        return 0
    top, low = (largest >> 52) - 1022, (smallest >> 52) - 1075  # all |values| <= 2^top, and they are multiples of 2^low
    if largest > _SUM_HIGH or smallest < _SUM_LOW or top - low > _WIDE:
        return _integer_total(values)
    rows = (-1, min(values.size, _ROW))
    grow = (rows[1] - 1).bit_length()
    units = 0
    while top + grow > low + 53:  # sums of a row would round
        lead_bits = top + max(grow - 1, 1)
        lead = np.add(values, math.ldexp(1.5, lead_bits), out=None if values is scratch else scratch)
        lead -= math.ldexp(1.5, lead_bits)  # multiples of 2^(lead_bits - 52)
        units += _sum_of_whole(lead.reshape(rows), lead_bits - 52)
        values = np.subtract(values, lead, out=scratch)
        top = lead_bits - 53
    return units + _sum_of_whole(values.reshape(rows), low)


def _sum_of_whole(rows: np.ndarray, exponent: int) -> int:
    """Return the sum, in units of 2^-1074, of multiples of 2^exponent, whose sum over a row is at most 2^53 of them."""
    sums = np.add.reduce(rows, axis=1)
    if sums.size == 1:
        return units_of(sums.item())
    return int(np.add.reduce((sums * math.ldexp(1.0, -exponent)).astype(np.int64))) << (exponent + UNIT_BITS)


def _integer_total(values: np.ndarray) -> int:
    bits = values.view(np.uint64)
    exponents = (bits >> np.uint64(52) & np.uint64(0x7FF)).astype(np.int64)
    mantissas = (bits & np.uint64((1 << 52) - 1)).astype(np.int64)
    mantissas += (exponents > 0).astype(np.int64) << 52
    np.negative(mantissas, out=mantissas, where=(bits >> np.uint64(63)).astype(bool))
    # Halves of 27 and 26 bits: their sums in float64 are whole numbers below 2^53 for up to 2^26 items.
    high = np.bincount(exponents, weights=(mantissas >> 26).astype(np.float64))
    low = np.bincount(exponents, weights=(mantissas & (1 << 26) - 1).astype(np.float64))
    used = np.flatnonzero((high != 0) | (low != 0)).tolist()
    return sum(((int(high[e]) << 26) + int(low[e])) << max(e - 1, 0) for e in used)


def _block_product_total(factors: list[np.ndarray]) -> int:
    scratch = np.empty_like(factors[0])
    ranges = [_range(factor, scratch) for factor in {id(factor): factor for factor in factors}.values()]
    units = 0
    if any(largest and not _PRODUCT_LOW <= smallest <= largest <= _PRODUCT_HIGH for smallest, largest in ranges):
        safe = np.logical_and.reduce([_within(f, _PRODUCT_LOW, _PRODUCT_HIGH) for f in factors])
        rest = [f[~safe].tolist() for f in factors]
        units = sum(math.prod(map(units_of, items)) for items in zip(*rest, strict=True))
        factors = [f[safe] for f in factors]
    terms = [factors[0]]
    for factor in factors[1:]:
        terms = [part for term in terms for part in _two_product(term, factor)]
    return units + (sum(map(total, terms)) << (UNIT_BITS * (len(factors) - 1)))


def _two_product(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Return the rounded products and, unless there are none, their rounding errors (Dekker 1971)."""
    product = a * b
    if _fit(a[:_FEW], b[:_FEW]) and _fit(a, b):
        return [product]
    a_high, a_low = _halves(a)
    b_high, b_low = (a_high, a_low) if a is b else _halves(b)
    error = a_high * b_high
    error -= product
    error += a_high * b_low
    error += a_low * b_high
    error += a_low * b_low
    return [product, error]


def _fit(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether products are not rounded, because the factors have few digits, as a widened float32 has."""
    used = [int(np.bitwise_or.reduce(values.view(np.uint64))) & _MANTISSA | 1 << 52 for values in (a, b)]
    digits = sorted(54 - (bits & -bits).bit_length() for bits in used)  # from the first bit to the last one that is used
    return sum(digits) <= 53 or digits[0] == 1


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper 26 bits of the mantissas, rounded, and the rest, of either sign: products of these are not rounded."""
    bits = values.view(np.uint64) + np.uint64(1 << 26)
    bits &= np.uint64(2**64 - (1 << 27))
    high = bits.view(np.float64)
    return high, values - high
