"""Plain data as JSON and arrays, and back: what files, other processes and other programs can read.

JSON's own null, true, false, strings, lists, and numbers that it keeps exactly stand for themselves. Every JSON object has
one member, which says what it is:

    {"int": "0x3p1074"}             a larger whole number: 3 times 2 to the 1074; without p, the hexadecimal number itself
    {"float": "7ff8000000000000"}   any float by its bits, where JSON has no number: NaN, infinities, those nearest to zero
    {"bytes": "00ff"}               bytes in hexadecimal
    {"tuple": [...]}, {"set": [...]}, {"frozenset": [...]}
    {"list": {"array": ...}}, {"tuple": {"array": ...}}  many numbers of one kind, floats or whole ones
    {"dict": {...}}                 a dict whose keys are all strings
    {"items": [[key, value], ...]}  any other dict; {"counter": [...]} is a collections.Counter
    {"array": 3}                    the array in entry 3; {"array": ["<i8", [2], "..."]} is a small one: dtype, shape, bytes
    {"scalar": ["<f4", "..."]}      a NumPy number: dtype, bytes
    {"objects": [[2], [...]]}       an array of Python objects: shape, items
    {"pickle": {"array": 4}}        anything else, pickled; it is read only where the reader trusts its source

Not its job: to know states, zip files, or what a pickle may hold.
"""

from __future__ import annotations

import collections
import json
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

SMALL = 256
"""Bytes up to which an array stands in the JSON text itself."""

_EXACT = 2**53
_MANY = 16
_MAX_SHIFT = 4096
_DTYPES = "biufcmMUS"
_SCALARS = frozenset({type(None), bool, int, float, str})
_TINY = 1e-290  # below it, text to number and back may pass subnormal numbers, which some threads flush to zero


class Unreadable(ValueError):
    """What was to be read is no such data."""


class Writer:
    """Turns values into JSON trees, and collects their larger arrays in ``arrays``."""

    def __init__(self, pickle: Callable[[Any], bytes]) -> None:
        self.arrays: list[np.ndarray] = []
        self.pickled: list[str] = []
        self._pickle = pickle

    def tree(self, value: Any) -> Any:
        """Return a value as a JSON tree; what is not plain is pickled, and its type noted in ``pickled``."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -_EXACT < value < _EXACT else {"int": _hex(value)}
        if kind is float:
            return value if _TINY < abs(value) < math.inf else _float(value)
        if kind is list:
            numbers = self._numbers(value)
            return {"list": numbers} if numbers else [*map(self.tree, value)]
        if kind is tuple:
            return {"tuple": self._numbers(value) or [*map(self.tree, value)]}
        if kind is dict:
            if all(type(key) is str for key in value):
                return {"dict": {key: self.tree(part) for key, part in value.items()}}
            return {"items": self._items(value)}
        if kind is bytes:
            return {"bytes": value.hex() if len(value) <= SMALL else self._stored(np.frombuffer(value, np.uint8))}
        if kind is set or kind is frozenset:
            return {kind.__name__: sorted(map(self.tree, value), key=to_text)}
        if kind is np.ndarray:
            return self._array(value)
        if isinstance(value, np.generic) and value.dtype.kind in "biufc" and value.dtype.itemsize <= 16:
            return {"scalar": [_little(value.dtype).str, value.astype(_little(value.dtype)).tobytes().hex()]}
        if kind is collections.Counter:
            return {"counter": self._items(value)}
        return self._opaque(value)

    def _numbers(self, values: list[Any] | tuple[Any, ...]) -> Any:
        """Return an array for many numbers of one kind, which is shorter than their text, and read faster."""
        kinds = {*map(type, values)} if len(values) >= _MANY else None
        if kinds == {float} or (kinds == {int} and -(2**63) <= min(values) and max(values) < 2**63):
            return self._array(np.array(values, "<f8" if kinds == {float} else "<i8"))
        return None

    def blob(self, data: bytes) -> Any:
        """Return a tree for bytes that the reader may leave unread."""
        return {"array": self._stored(np.frombuffer(data, np.uint8))}

    def _items(self, value: dict[Any, Any]) -> list[Any]:
        return [[self.tree(key), self.tree(part)] for key, part in value.items()]

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype == object:
            return {"objects": [list(value.shape), self.tree(value.ravel().tolist())]}
        if value.dtype.kind not in _DTYPES or (value.dtype.kind in "fc" and value.dtype.itemsize > 16):
            return self._opaque(value)
        array = np.ascontiguousarray(value, _little(value.dtype)).reshape(value.shape)
        if array.nbytes <= SMALL:
            return {"array": [array.dtype.str, list(array.shape), array.tobytes().hex()]}
        return {"array": self._stored(array)}

    def _opaque(self, value: Any) -> Any:
        data = self._pickle(value)
        self.pickled.append(f"{type(value).__module__}.{type(value).__qualname__}")
        return {"pickle": self.blob(data)}

    def _stored(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


class Reader:
    """Turns JSON trees back into values. Every array is used once, so that no small text stands for much data.

    ``unpickle`` reads what was pickled; None refuses it.
    """

    def __init__(self, arrays: Sequence[np.ndarray], unpickle: Callable[[bytes], Any] | None) -> None:
        self._arrays: list[np.ndarray | None] = list(arrays)
        self._unpickle = unpickle

    def value(self, tree: Any) -> Any:
        """Return the value of a tree; raise ``Unreadable`` where it is none."""
        kind = type(tree)
        if kind in _SCALARS:
            return tree
        if kind is list:
            return tree if _SCALARS.issuperset(map(type, tree)) else [*map(self.value, tree)]
        if kind is not dict or len(tree) != 1:
            raise Unreadable(f"found {_short(tree)}, expected an object with one member")
        (tag,) = tree
        read = _READ.get(tag)
        if read is None:
            raise Unreadable(f"found the kind {tag!r}, expected one of {', '.join(_READ)}")
        try:
            return read(self, tree[tag])
        except Unreadable:
            raise
        except Exception as error:  # what is no such thing fails in its own way
            raise Unreadable(f"found what is no {tag} ({type(error).__name__}: {error})") from error

    def finish(self) -> None:
        """Raise ``Unreadable`` where an array was not used."""
        if any(array is not None for array in self._arrays):
            raise Unreadable("found entries that nothing refers to, expected each array to be used once")

    def array(self, index: Any) -> np.ndarray:
        """Return the array of an entry, once."""
        array = self._arrays[index] if type(index) is int and 0 <= index < len(self._arrays) else None
        if array is None:
            raise Unreadable(f"found the array {_short(index)}, which is missing or used before")
        self._arrays[index] = None
        return array

    def items(self, body: Any) -> dict[Any, Any]:
        """Return a dict from a list of pairs with distinct keys."""
        pairs = [(self.value(key), self.value(part)) for key, part in _list(body)]
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Unreadable("found a dict with a key twice")
        return found

    def members(self, body: Any) -> list[Any]:
        """Return the values of a list."""
        values: list[Any] = self.value(_list(body))
        return values

    def numbers(self, body: Any) -> list[Any]:
        """Return the numbers of an array as a list."""
        array = self.value(body)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.str not in ("<f8", "<i8"):
            raise Unreadable(f"found {_short(body)}, expected an array of numbers")
        listed: list[Any] = array.tolist()
        return listed

    def unpickled(self, body: Any) -> Any:
        """Return what was pickled, where that is allowed."""
        if self._unpickle is None:
            raise Pickled
        return self._unpickle(self.array(body["array"]).tobytes())


class Pickled(Unreadable):
    """A part was pickled, and the reader does not trust its source."""


def to_text(tree: Any) -> str:
    """Return the JSON text of a tree."""
    return json.dumps(tree, separators=(",", ":"), allow_nan=False)


def from_text(text: str | bytes) -> Any:
    """Return the tree of a JSON text; members that come twice, NaN, infinities and huge numbers are refused."""
    try:
        return json.loads(
            text, object_pairs_hook=_members, parse_int=_whole, parse_float=_finite, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise Unreadable("found JSON that nests too deeply") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"found text that is not UTF-8 ({error.reason})") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"found what is not JSON ({error})") from error


def is_plain(value: Any) -> bool:
    """Return whether a value can be stored without a pickle."""
    try:
        Writer(_refuse_pickle).tree(value)
    except (Pickled, RecursionError):
        return False
    return True


def _refuse_pickle(value: Any) -> NoReturn:
    raise Pickled(f"found a {type(value).__qualname__}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(f"found the member {_short([key for key, _ in pairs])} twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > 17:
        raise Unreadable(f"found the number {text[:20]}..., expected whole numbers below 2**53")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable(f"found the number {text[:20]}, expected finite ones")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise Unreadable(f"found {text}, which is not JSON")


def _hex(value: int) -> str:
    shift = (value & -value).bit_length() - 1
    return f"{value >> shift:#x}p{shift}" if 64 <= shift <= _MAX_SHIFT else f"{value:#x}"


def _float(value: float) -> Any:
    bits = struct.pack(">d", value)
    return 0.0 if bits == bytes(8) else {"float": bits.hex()}


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _read_int(_: Reader, body: Any) -> int:
    digits, _, shift = body.partition("p")
    if "_" in body or not digits.lstrip("-").startswith("0x") or len(shift) > 4 or int(shift or 0) > _MAX_SHIFT:
        raise Unreadable(f"found the whole number {_short(body)}")
    return int(digits, 16) << int(shift or 0)


def _read_float(_: Reader, body: Any) -> float:
    value: float = struct.unpack(">d", _bytes(body, 8))[0]
    return value


def _read_bytes(reader: Reader, body: Any) -> bytes:
    return _bytes(body) if type(body) is str else reader.array(body).tobytes()


def _read_dict(reader: Reader, body: Any) -> dict[str, Any]:
    return {key: reader.value(part) for key, part in body.items()}


def _read_counter(reader: Reader, body: Any) -> Any:
    counter: Any = collections.Counter()
    dict.update(counter, reader.items(body))
    return counter


def _read_set(reader: Reader, body: Any) -> set[Any]:
    members = reader.members(body)
    found = set(members)
    if len(found) < len(members):
        raise Unreadable("found a set with a member twice")
    return found


def _read_array(reader: Reader, body: Any) -> np.ndarray:
    if type(body) is int:
        return reader.array(body).copy()
    dtype, shape, data = _list(body)
    return shaped(_bytes(data), dtype, tuple(_list(shape))).copy()


def _read_scalar(_: Reader, body: Any) -> Any:
    dtype, data = _list(body)
    return shaped(_bytes(data), dtype, ())[()]


def _read_objects(reader: Reader, body: Any) -> np.ndarray:
    shape, items = _list(body)
    values = reader.members(items)
    if math.prod(_shape(shape)) != len(values):
        raise Unreadable(f"found {len(values)} objects for an array of shape {_short(shape)}")
    return np.fromiter(values, object, len(values)).reshape(_shape(shape))


_READ: dict[str, Callable[[Reader, Any], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "bytes": _read_bytes,
    "list": lambda reader, body: reader.numbers(body),
    "tuple": lambda reader, body: tuple(reader.members(body) if type(body) is list else reader.numbers(body)),
    "set": _read_set,
    "frozenset": lambda reader, body: frozenset(_read_set(reader, body)),
    "dict": _read_dict,
    "items": lambda reader, body: reader.items(body),
    "counter": _read_counter,
    "array": _read_array,
    "scalar": _read_scalar,
    "objects": _read_objects,
    "pickle": lambda reader, body: reader.unpickled(body),
}


def shaped(data: bytes | memoryview, dtype: Any, shape: tuple[Any, ...]) -> np.ndarray:
    """Return bytes as a read-only array, whose dtype and shape must fit them; raise ``Unreadable`` where they do not."""
    if not isinstance(dtype, str) or len(dtype) > 16:
        raise Unreadable(f"found the dtype {_short(dtype)}")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise Unreadable(f"found the dtype {_short(dtype)}") from error
    if kind.kind not in _DTYPES or kind.str != dtype or kind.str[0] == ">" or not kind.itemsize:
        raise Unreadable(f"found the dtype {dtype!r}, expected little-endian numbers or strings")
    if math.prod(_shape(shape)) * kind.itemsize != len(data):
        raise Unreadable(f"found {len(data)} bytes for an array of {dtype} and shape {_short(shape)}")
    array = np.frombuffer(data, kind).reshape(shape) if len(data) else np.zeros(shape, kind)
    if kind.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise Unreadable("found bools that are neither 0 nor 1")
    if kind.kind == "U" and array.size and np.frombuffer(data, "<u4").max() > 0x10FFFF:
        raise Unreadable("found strings with characters beyond Unicode")
    return array


def _shape(shape: Any) -> tuple[int, ...]:
    if len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise Unreadable(f"found the shape {_short(shape)}")
    return tuple(shape)


def _bytes(text: Any, length: int | None = None) -> bytes:
    data = bytes.fromhex(text)
    if data.hex() != text or (length is not None and len(data) != length):
        raise Unreadable(f"found the bytes {_short(text)}")
    return data


def _list(body: Any) -> list[Any]:
    if type(body) is not list:
        raise Unreadable(f"found {_short(body)}, expected a list")
    return body


def _short(value: Any) -> str:
    text = repr(value) if type(value) in _SCALARS else type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."
