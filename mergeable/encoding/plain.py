"""Plain data as JSON and arrays, and back: what files, other processes and other programs can read.

JSON's own null, true, false, strings, lists, and numbers that it keeps exactly stand for themselves. Every JSON object has
one member, which says what it is:

    {"int": "0x3p1074"}             a larger whole number: 3 times 2 to the 1074; without p, the hexadecimal number itself
    {"float": "7ff8000000000000"}   any float by its bits, where JSON has no number: NaN, infinities, those nearest to zero
    {"str": ["...", "..."]}         a string in parts, where JSON would take two halves of characters that nothing pairs for one
    {"bytes": "00ff"}               bytes in hexadecimal
    {"tuple": [...]}, {"set": [...]}, {"frozenset": [...]}
    {"list": {"array": ...}}, {"tuple": {"array": ...}}  many numbers of one kind, floats or whole ones
    {"dict": {...}}                 a dict whose keys are all strings
    {"items": [[key, value], ...]}  any other dict; {"counter": [...]} is a collections.Counter
    {"array": 3}                    the array in entry 3; {"array": ["<i8", [2], "..."]} is a small one: dtype, shape, bytes
    {"scalar": ["<f4", "..."]}      a NumPy number: dtype, bytes
    {"date": "2024-02-29"}, {"datetime": "2024-02-29T12:30:00+00:00"}, {"uuid": "..."}  those of Python, in the text of ISO 8601 or RFC 4122
    {"time": ["<M8[ns]", "..."]}    a NumPy time or span of time: dtype, bytes
    {"numpy_str": "..."}, {"numpy_bytes": "00ff"}  NumPy's strings
    {"objects": [[2], [...]]}       an array of Python objects: shape, items
    {"pickle": {"array": 4}}        anything else, pickled; it is read only where the reader trusts its source

What lies deeper than 32 collections, and whole numbers of more than 8,192 bits, are pickled too: so all that can be done with what
was read takes little time and no more of the stack than there is.

Not its job: to know states, zip files, or what a pickle may hold.
"""

from __future__ import annotations

import collections
import datetime as dt
import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from mergeable.wording import brief, short

SMALL = 256
"""Bytes up to which an array stands in the JSON text itself."""

_EXACT = 2**53
_MANY = 16
_MAX_DEPTH = 32
_MAX_BITS = 8192  # of a whole number; the largest of a state's, in Moments, has 6,358
_MAX_SHIFT = 4096
_MAX_ALIKE = 256
_MAX_AXES = 32
_LONGEST = 64  # text of a date, a time or a UUID
_MAX_EMPTY = 2**16  # bytes of an item of an array that has none
_DTYPES = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "m": 8, "M": 8, "U": math.inf, "S": math.inf}  # kind and largest size
_SCALARS = frozenset({type(None), bool, int, float, str})
_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    uuid.UUID: ("uuid", str, uuid.UUID),
}
_INT = re.compile("(-?0x[0-9a-f]+)(?:p([0-9]{1,4}))?")
_PAIR = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")  # JSON takes two such halves for one character
_TINY = 1e-290  # below it, text to number and back may pass subnormal numbers, which some threads flush to zero


class Unreadable(ValueError):
    """What was to be read is no such data."""


class Writer:
    """Turns values into JSON trees, and collects their larger arrays in ``arrays``."""

    def __init__(self, pickle: Callable[[Any], bytes]) -> None:
        self.arrays: list[np.ndarray] = []
        self.pickled: list[str] = []
        self._pickle = pickle
        self._depth = 0
        self._small: float = SMALL

    def tree(self, value: Any) -> Any:
        """Return a value as a JSON tree; what is not plain is pickled, and its type noted in ``pickled``."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind is int:
            if -_EXACT < value < _EXACT:
                return value
            return {"int": _hex(value)} if value.bit_length() <= _MAX_BITS else self._opaque(value)
        if kind is float:
            return value if _TINY < abs(value) < math.inf else _float(value)
        if kind is bytes:
            return {"bytes": value.hex() if len(value) <= self._small else self._stored(np.frombuffer(value, np.uint8))}
        if kind is np.ndarray and value.dtype != object:
            return self._array(value)
        if kind in _TEXTS:
            tag, to_text, of_text = _TEXTS[kind]
            text = to_text(value)
            if repr(of_text(text)) == repr(value):  # which zones with names have not
                return {tag: text}
        if kind is np.str_:
            return {"numpy_str": _text(str.__str__(value))}
        if kind is np.bytes_:
            return {"numpy_bytes": value.hex()}
        if isinstance(value, np.generic) and value.dtype.kind in "biufcmM" and _is_portable(value.dtype):
            little = _little(value.dtype)
            return {"time" if little.kind in "mM" else "scalar": [little.str, value.astype(little).tobytes().hex()]}
        if kind not in _COLLECTIONS or self._depth == _MAX_DEPTH:
            return self._opaque(value)
        self._depth += 1
        tree = self._collection(kind, value)
        self._depth -= 1
        return tree

    def _collection(self, kind: type, value: Any) -> Any:
        if kind is list:
            numbers = self._numbers(value)
            return {"list": numbers} if numbers else [*map(self.tree, value)]
        if kind is tuple:
            return {"tuple": self._numbers(value) or [*map(self.tree, value)]}
        if kind is dict:
            if all(type(key) is str and _text(key) is key for key in value):
                return {"dict": {key: self.tree(part) for key, part in value.items()}}
            return {"items": self._items(value)}
        if kind is collections.Counter:
            return {"counter": self._items(value)}
        if kind is np.ndarray:
            return {"objects": [list(value.shape), [*map(self.tree, value.ravel().tolist())]]}
        before, self._small = self._small, math.inf  # whole texts of members have an order, numbers of entries have none
        members = sorted(map(self.tree, value), key=to_text)
        self._small = before
        return {kind.__name__: members}

    def _numbers(self, values: list[Any] | tuple[Any, ...]) -> Any:
        """Return an array for many numbers of one kind, which is shorter than their text, and read faster."""
        kinds = {*map(type, values)} if len(values) >= _MANY else None
        if kinds == {float} or (kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63):
            return self._array(np.array(values, "<f8" if kinds == {float} else "<i8"))
        return None

    def blob(self, data: bytes) -> Any:
        """Return a tree for bytes that the reader may leave unread."""
        return {"array": self._stored(np.frombuffer(data, np.uint8))}

    def _items(self, value: dict[Any, Any]) -> list[Any]:
        return [[self.tree(key), self.tree(part)] for key, part in value.items()]

    def _array(self, value: np.ndarray) -> Any:
        if not _is_portable(value.dtype) or value.ndim > _MAX_AXES:
            return self._opaque(value)
        array = np.ascontiguousarray(value, _little(value.dtype)).reshape(value.shape)
        if array.nbytes <= self._small:
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

    A tree is used up: its lists and objects become those of the value.

    ``unpickle`` reads what was pickled; None refuses it.
    """

    def __init__(self, arrays: Sequence[np.ndarray], unpickle: Callable[[bytes], Any] | None) -> None:
        self._arrays: list[np.ndarray | None] = list(arrays)
        self._unpickle = unpickle
        self._depth = 0

    def value(self, tree: Any) -> Any:
        """Return the value of a tree; raise ``Unreadable`` where it is none."""
        kind = type(tree)
        if kind in _SCALARS:
            return tree
        tag, body = ("", tree) if kind is list else self._tagged(tree)
        nests = tag not in _LEAVES
        if self._depth + nests > _MAX_DEPTH:
            raise Unreadable(f"found values that nest deeper than {_MAX_DEPTH} collections")
        self._depth += nests
        try:
            return self.members(body) if kind is list else _READ[tag](self, body)
        except Unreadable:
            raise
        except Exception as error:  # what is no such thing fails in its own way
            raise Unreadable(f"found what is no {tag} ({type(error).__name__}: {brief(error)})") from error
        finally:
            self._depth -= nests

    def _tagged(self, tree: Any) -> tuple[str, Any]:
        if type(tree) is not dict or len(tree) != 1:
            raise Unreadable(f"found {short(tree)}, expected an object with one member")
        ((tag, body),) = tree.items()
        if tag not in _READ:
            raise Unreadable(f"found the kind {short(tag)}, expected one of {', '.join(_READ)}")
        return tag, body

    def finish(self) -> None:
        """Raise ``Unreadable`` where an array was not used."""
        if any(array is not None for array in self._arrays):
            raise Unreadable("found entries that nothing refers to, expected each array to be used once")

    def array(self, index: Any) -> np.ndarray:
        """Return the array of an entry, once."""
        array = self._arrays[index] if type(index) is int and 0 <= index < len(self._arrays) else None
        if array is None:
            raise Unreadable(f"found the array {short(index)}, which is missing or used before")
        self._arrays[index] = None
        return array

    def items(self, body: Any) -> dict[Any, Any]:
        """Return a dict from a list of pairs with distinct keys."""
        pairs = [(self.value(key), self.value(part)) for key, part in _list(body)]
        check_hashes([key for key, _ in pairs])
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Unreadable("found a dict with a key twice")
        return found

    def members(self, body: Any) -> list[Any]:
        """Return the list with its values."""
        items = _list(body)
        if not _SCALARS.issuperset(map(type, items)):
            for i, item in enumerate(items):
                items[i] = self.value(item)
        return items

    def numbers(self, body: Any) -> list[Any]:
        """Return the numbers of an array as a list."""
        array = self.value(body)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.str not in ("<f8", "<i8"):
            raise Unreadable(f"found {short(body)}, expected an array of numbers")
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
            text if isinstance(text, str) else text.decode(),
            object_pairs_hook=_members,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_refuse_constant,
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
    except Pickled:
        return False
    return True


def check_hashes(keys: Sequence[Any]) -> None:
    """Raise ``Unreadable`` where so many keys have one hash that a dict would compare each of them with all others."""
    if len(keys) <= _MAX_ALIKE or {*map(type, keys)} == {str}:  # whose hashes nobody can choose
        return
    if max(collections.Counter(map(hash, keys)).values()) > _MAX_ALIKE:
        raise Unreadable(f"found more than {_MAX_ALIKE} keys that are equal or have one hash")


def _refuse_pickle(value: Any) -> NoReturn:
    raise Pickled(f"found a {type(value).__qualname__}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(f"found the member {short([key for key, _ in pairs])} twice in one object")
    return found


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 17 else _EXACT
    if not -_EXACT < value < _EXACT:
        raise Unreadable(f"found the number {short(text)}, expected whole numbers below 2**53")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable(f"found the number {short(text)}, expected finite ones")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise Unreadable(f"found {text}, which is not JSON")


def _hex(value: int) -> str:
    shift = (value & -value).bit_length() - 1
    return f"{value >> shift:#x}p{shift}" if 64 <= shift <= _MAX_SHIFT else f"{value:#x}"


def _text(value: str) -> Any:
    """Return a string, in parts where JSON would take two of its characters for one."""
    return {"str": _PAIR.split(value)} if _PAIR.search(value) else value


def _float(value: float) -> Any:
    bits = struct.pack(">d", value)
    return 0.0 if bits == bytes(8) else {"float": bits.hex()}


def _is_portable(dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype has the same bytes on every machine, which long doubles have not, and NumPy computes with it."""
    if dtype.kind in "mM" and np.datetime_data(dtype)[1] < 1:  # NumPy divides by it, which ends the process
        return False
    return 0 < dtype.itemsize <= _DTYPES.get(dtype.kind, 0)


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _read_int(_: Reader, body: Any) -> int:
    parts = _INT.fullmatch(body) if type(body) is str and len(body) < _MAX_BITS else None
    value = int(parts[1], 16) << int(parts[2] or 0) if parts and int(parts[2] or 0) <= _MAX_SHIFT else None
    if value is None or value.bit_length() > _MAX_BITS:
        raise Unreadable(f"found the whole number {short(body)}, expected hexadecimal digits of at most {_MAX_BITS} bits")
    return value


def _read_float(_: Reader, body: Any) -> float:
    value: float = struct.unpack(">d", _bytes(body, 8))[0]
    return value


def _read_str(_: Reader, body: Any) -> str:
    return "".join(_list(body))


def _read_bytes(reader: Reader, body: Any) -> bytes:
    return _bytes(body) if type(body) is str else reader.array(body).tobytes()


def _read_dict(reader: Reader, body: Any) -> dict[str, Any]:
    found: dict[str, Any] = body
    for key, part in found.items():
        found[key] = reader.value(part)
    return found


def _read_counter(reader: Reader, body: Any) -> Any:
    counter: Any = collections.Counter()
    dict.update(counter, reader.items(body))
    return counter


def _read_set(reader: Reader, body: Any) -> set[Any]:
    members = reader.members(body)
    check_hashes(members)
    found = set(members)
    if len(found) < len(members):
        raise Unreadable("found a set with a member twice")
    return found


def _read_array(reader: Reader, body: Any) -> np.ndarray:
    if type(body) is int:
        return reader.array(body).copy()
    dtype, shape, data = _list(body)
    return shaped(_bytes(data), dtype, tuple(_list(shape))).copy()


def _read_scalar(body: Any, kinds: str, what: str) -> Any:
    dtype, data = _list(body)
    value = shaped(_bytes(data), dtype, ())[()]
    if value.dtype.kind not in kinds:
        raise Unreadable(f"found the dtype {short(dtype)}, expected {what}")
    return value


def _read_text(kind: type, body: Any) -> Any:
    tag, to_text, of_text = _TEXTS[kind]
    value = of_text(body) if type(body) is str and len(body) <= _LONGEST else None
    if value is None or to_text(value) != body:
        raise Unreadable(f"found the {tag} {short(body)}, expected its standard text")
    return value


def _read_numpy_str(reader: Reader, body: Any) -> Any:
    text = body if type(body) is str else reader.value(body)
    if type(text) is not str:
        raise Unreadable(f"found {short(text)}, expected a string")
    return np.str_(text)


def _read_objects(reader: Reader, body: Any) -> np.ndarray:
    shape, items = _list(body)
    values = reader.members(items)
    if math.prod(_shape(shape)) != len(values):
        raise Unreadable(f"found {len(values)} objects for an array of shape {short(shape)}")
    return np.fromiter(values, object, len(values)).reshape(_shape(shape))


_READ: dict[str, Callable[[Reader, Any], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "str": _read_str,
    "bytes": _read_bytes,
    "list": lambda reader, body: reader.numbers(body),
    "tuple": lambda reader, body: tuple(reader.members(body) if type(body) is list else reader.numbers(body)),
    "set": _read_set,
    "frozenset": lambda reader, body: frozenset(_read_set(reader, body)),
    "dict": _read_dict,
    "items": lambda reader, body: reader.items(body),
    "counter": _read_counter,
    "array": _read_array,
    "scalar": lambda _, body: _read_scalar(body, "biufc", "a number's"),
    "time": lambda _, body: _read_scalar(body, "mM", "a time's"),
    "date": lambda _, body: _read_text(dt.date, body),
    "datetime": lambda _, body: _read_text(dt.datetime, body),
    "uuid": lambda _, body: _read_text(uuid.UUID, body),
    "numpy_str": _read_numpy_str,
    "numpy_bytes": lambda _, body: np.bytes_(_bytes(body)),
    "objects": _read_objects,
    "pickle": lambda reader, body: reader.unpickled(body),
}
_LEAVES = frozenset(_READ) - {"", "list", "tuple", "set", "frozenset", "dict", "items", "counter", "objects"}
_COLLECTIONS = frozenset({list, tuple, dict, set, frozenset, collections.Counter, np.ndarray})


def shaped(data: bytes | memoryview, dtype: Any, shape: Any) -> np.ndarray:
    """Return bytes as a read-only array, whose dtype and shape must fit them; raise ``Unreadable`` where they do not."""
    try:
        kind = np.dtype(dtype) if type(dtype) is str and len(dtype) <= 16 else None
    except Exception:  # NumPy reads a small language, which fails in many ways
        kind = None
    if kind is None or kind.str != dtype or kind.str[0] == ">" or not _is_portable(kind):
        raise Unreadable(f"found the dtype {short(dtype)}, expected little-endian numbers or strings")
    if math.prod(_shape(shape)) * kind.itemsize != len(data):
        raise Unreadable(f"found {len(data)} bytes for an array of {short(dtype)} and shape {short(shape)}")
    if not len(data) and kind.itemsize > _MAX_EMPTY:
        raise Unreadable(f"found the dtype {short(dtype)} for an array without items")
    array = np.frombuffer(data, kind).reshape(shape) if len(data) else np.zeros(shape, kind)
    if kind.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise Unreadable("found bools that are neither 0 nor 1")
    if kind.kind == "U" and array.size and np.frombuffer(data, "<u4").max() > 0x10FFFF:
        raise Unreadable("found strings with characters beyond Unicode")
    return array


def _shape(shape: Any) -> tuple[int, ...]:
    """Return a list or tuple of sizes, of which all but the zeros have a product that NumPy can count."""
    if type(shape) not in (list, tuple) or len(shape) > _MAX_AXES or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise Unreadable(f"found the shape {short(shape)}")
    if math.prod(n for n in shape if n) >= 2**48:
        raise Unreadable(f"found the shape {short(shape)}, expected fewer items")
    return tuple(shape)


def _bytes(text: Any, length: int | None = None) -> bytes:
    data = bytes.fromhex(text)
    if data.hex() != text or (length is not None and len(data) != length):
        raise Unreadable(f"found the bytes {short(text)}")
    return data


def _list(body: Any) -> list[Any]:
    if type(body) is not list:
        raise Unreadable(f"found {short(body)}, expected a list")
    return body
