"""Hashes of keys: 64 bits, seeded, the same in every process and on every machine, and never Python's ``hash()``.

Equal keys have equal bits however they came (an array, a list, NumPy numbers); keys of other types have others: 1, 1.0, True and "1" are
four keys, as everywhere here. Whole numbers and floats are mixed by the finaliser of splitmix64 (Steele, Lea and Flood 2014), without a
loop over the items; strings, bytes, tuples and whole numbers beyond 64 bits by BLAKE2b, one by one.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mergeable.numeric import keys
from mergeable.numeric.conversion import as_lossless, objects
from mergeable.numeric.inputs import as_float64
from mergeable.state.parameters import as_whole

_GOLDEN = 0x9E37_79B9_7F4A_7C15
_ALL = 0xFFFF_FFFF_FFFF_FFFF
_KINDS = {"bool": 1, "int": 2, "float": 3}
_NAN = np.uint64(0x7FF8_0000_0000_0001)  # all NaNs are one key


def hashed(items: Any, seed: int, who: str) -> np.ndarray:
    """Return 64 bits (n,) uint64 for each key of an array, a list or another iterable.

    Raises:
        TypeError: a key is none that ``Counter`` would take.
    """
    return of_keys(as_keys(items, who), seed)


def as_keys(items: Any, who: str) -> np.ndarray:
    """Return keys (n,) as bools, int64, uint64 or float64 where all are of one such kind, else as objects in their canonical form.

    NaN and zero have one form each.

    Raises:
        TypeError: a key is none that ``Counter`` would take.
    """
    if hasattr(items, "__array__"):
        array = items = as_lossless(items, who).ravel()
        if (array.dtype.kind in "biuf" and array.dtype.itemsize <= 8) or array.dtype.name == "bfloat16":
            return _numbers(array, who)
    listed = keys.plain_list(items, who)
    for kind, dtype in ((int, np.int64), (float, np.float64)):
        if {*map(type, listed)} == {kind} and (kind is float or -(2**63) <= min(listed) <= max(listed) < 2**63):
            return _numbers(np.array(listed, dtype), who)
    return objects([keys.canonical(item, who) for item in listed])


def of_keys(array: np.ndarray, seed: int) -> np.ndarray:
    """Return 64 bits (n,) uint64 for each key (n,) of an array from ``as_keys``."""
    if array.dtype.kind in "bi":
        return _of_kind(array.astype(np.int64, copy=False).view(np.uint64), "bool" if array.dtype == bool else "int", seed)
    if array.dtype == np.float64:
        return _of_kind(array.view(np.uint64), "float", seed)
    listed = array.tolist()
    found = np.zeros(array.size, np.uint64)
    for kind, places in keys.places(map(_kind, listed)).items():
        some = [listed[i] for i in places]
        found[places] = [_digest(key, seed) for key in some] if kind == "other" else _of_kind(_bits(kind, some), kind, seed)
    return found


def seed_of(seed: Any, who: str) -> int:
    """Return a seed, a whole number of at most 64 bits."""
    return as_whole(seed, f"{who}: got seed={{}}", 0, _ALL)


def mixed(bits: np.ndarray, seed: int) -> np.ndarray:
    """Return other 64 bits (n,) for each 64 bits (n,): a permutation of them all for each seed."""
    with np.errstate(over="ignore"):
        x = bits + np.uint64((seed * _GOLDEN + _GOLDEN) & _ALL)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        mixed_bits: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed_bits


def _numbers(array: np.ndarray, who: str) -> np.ndarray:
    kind = array.dtype.kind
    if kind == "b":
        return array
    if kind == "u" and array.size and int(array.max()) >= 2**63:
        return array.astype(np.uint64)
    if kind in "iu":
        return array.astype(np.int64)
    wide = as_float64(array, who)
    bits = np.where(np.isnan(wide), _NAN, wide.view(np.uint64))
    return np.where(bits == np.uint64(1 << 63), np.uint64(0), bits).view(np.float64)  # -0.0 is 0.0


def _of_kind(bits: np.ndarray, kind: str, seed: int) -> np.ndarray:
    return mixed(mixed(bits, _KINDS[kind]), seed)


def _kind(key: keys.Canonical) -> str:
    """Return the kind of a key whose bits are mixed, or other."""
    tag, value = _tagged(key)
    return tag if tag in ("bool", "float") or (tag == "int" and -(2**63) <= value < 2**63) else "other"


def _bits(kind: str, found: list[Any]) -> np.ndarray:
    if kind == "float":
        orders = np.array([0 if order is None else order for _, order in found], np.int64)
        bits = np.where(orders < 0, -orders | np.int64(-(2**63)), orders).view(np.uint64)
        return np.where([order is None for _, order in found], _NAN, bits)
    return np.array([_tagged(key)[1] for key in found], np.int64).view(np.uint64)


def _digest(key: keys.Canonical, seed: int) -> int:
    digest = hashlib.blake2b(_text(key), digest_size=8, key=(seed & _ALL).to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def _tagged(key: keys.Canonical) -> tuple[str, Any]:
    return key if type(key) is tuple else (type(key).__name__, key)


def _text(key: keys.Canonical) -> bytes:
    """Return bytes that no other key has: a type's tag, the length, and the value."""
    tag, value = _tagged(key)
    if tag == "tuple":
        body = b"".join(map(_text, value))
    elif tag == "str":
        body = value.encode("utf-8", "surrogatepass")
    else:
        body = value if tag == "bytes" else repr(value).encode()
    return b"%s:%d:%s" % (tag.encode(), len(body), body)
