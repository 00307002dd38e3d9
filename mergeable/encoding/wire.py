"""Values to bytes and back: the one place that knows how what travels is encoded."""

from __future__ import annotations

import functools
import io
import pickle
import sys
from types import FunctionType
from typing import Any

import cloudpickle

from mergeable.encoding.archive import Archive, seal
from mergeable.encoding.plain import Reader, Writer

Classes = dict[tuple[str, str], type]


def to_bytes(value: Any, head: bytes = b"") -> bytes:
    """Return a value for another process that runs the same program; ``from_bytes`` is its inverse there. ``head`` comes first.

    Plain data is written as in a snapshot (``mergeable.encoding.plain``). The rest is pickled: classes and functions travel by name,
    those of the main program too. Only what no name finds, because it was made inside of a function, travels by its code, and
    a class of that kind gives way to the receiver's own of that name.

    Raises:
        Whatever a part that does not pickle raises.
    """
    writer = Writer(pickled)
    return seal(writer.tree(value), writer.arrays, head)


def from_bytes(data: bytes, own: Any = None, start: int = 0) -> Any:
    """Return the value that ``to_bytes`` took, of a process that is trusted; a class that no name finds is one of those in ``own``.

    It begins at ``start``, where the head ends. ``own`` is a value of this process's, which is looked through where a pickle comes.

    Example:
        >>> from_bytes(to_bytes({"total": 2**1074, "rows": (1, None)}))["rows"]
        (1, None)
    """
    archive = Archive(data, start)
    classes = functools.cache(lambda: local_classes(own))
    reader = Reader(archive.arrays(), lambda pickle: unpickled(pickle, classes()))
    value = reader.value(archive.tree)
    reader.finish()
    return value


def pickled(value: Any) -> bytes:
    """Return a value's pickle, in which classes travel by name where a name finds them."""
    file = io.BytesIO()
    _Pickler(file, {}).dump(value)
    return file.getvalue()


def unpickled(data: bytes, classes: Classes | None = None) -> Any:
    """Return the value that ``pickled`` took. This runs code that the data chooses."""
    return _Unpickler(io.BytesIO(data), classes or {}).load()


def local_classes(value: Any) -> Classes:
    """Return the classes in a value that no name finds, because they were made inside of a function."""
    classes: Classes = {}
    _Pickler(io.BytesIO(), classes).dump(value)
    return classes


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def __init__(self, file: io.BytesIO, classes: Classes) -> None:
        super().__init__(file)
        self._classes = classes

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType) and _found_by_name(obj):
            return NotImplemented  # pickle writes the name
        if isinstance(obj, type) and obj.__module__ != "builtins":
            name = obj.__module__, obj.__qualname__
            self._classes[name] = obj
            return _local_class, (*name, cloudpickle.dumps(obj))
        return super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, classes: Classes) -> None:
        super().__init__(file)
        self._classes = classes

    def find_class(self, module: str, name: str) -> Any:
        if name == _local_class.__qualname__ and module in (_local_class.__module__, "mergeable.wire"):  # of version 0.1
            return self._own_class
        return super().find_class(module, name)

    def _own_class(self, module: str, name: str, code: bytes) -> type:
        return self._classes.get((module, name)) or _local_class(module, name, code)


def _local_class(module: str, name: str, code: bytes) -> type:  # noqa: ARG001 - the name is for a receiver with a class of its own
    found: type = pickle.loads(code)
    return found


def _found_by_name(obj: type | FunctionType) -> bool:
    found: Any = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj
