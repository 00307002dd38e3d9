"""Values of users' metrics for readers: as JSON for programs, and as short text for people.

Not its job: to read them back.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mergeable.cli.printing import Block
from mergeable.coverage import Coverage
from mergeable.state import State

_MANY = 32
_FEW = 8
_LONG = 200

JSON_RULES = (
    'NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"; arrays, tuples and sets are lists, and named '
    "tuples objects; a dict whose keys are no strings has them as text."
)


def as_json(value: Any) -> Any:
    """Return a value as what JSON has."""
    value = _named(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, Mapping):
        keys = [as_key(key) for key in value]
        if len(set(keys)) == len(keys):
            return {key: as_json(part) for key, part in zip(keys, value.values(), strict=True)}
        return [[as_json(key), as_json(part)] for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(as_json, value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [*map(as_json, value)]
    plain = _plain(value)
    return str(value) if plain is value else as_json(plain)


def as_key(key: Any) -> str:
    """Return a dict's key as text."""
    found = as_json(key)
    return found if isinstance(found, str) else json.dumps(found)


def as_text(value: Any) -> str:
    """Return a value as text for a cell of a table: numbers in full, and the beginning of what is long."""
    if isinstance(value, str):
        return _cut(value)
    value = _plain(value, keep_arrays=True)
    if isinstance(value, np.ndarray) and value.ndim:
        text = np.array2string(value, threshold=_MANY * _FEW, edgeitems=3, max_line_width=100, floatmode="unique")
        return Block(text if value.size <= _MANY * _FEW else f"{text}\n({value.dtype} of shape {value.shape})")
    return _cut(_short(value))


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the parts of a result, which may be a dict of dicts, with a name for each."""
    value = _named(value)
    if isinstance(value, Mapping) and 0 < len(value) <= _MANY:
        for key, part in value.items():
            yield from flat(part, f"{name}.{as_key(key)}" if name else as_key(key))
    else:
        yield name, value


def coverage_as_json(found: Coverage) -> dict[str, Any]:
    """Return what a snapshot covers, for JSON."""
    return {"updates": found.updates, "rows": found.rows, **found.to_data()}


def count(n: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def size(n: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"


def first(texts: Iterable[str], most: int = _FEW) -> str:
    """Return the first texts, and how many more there are."""
    texts = list(texts)
    return ", ".join(texts[:most] + [f"{len(texts) - most} more"] * (len(texts) > most))


def _plain(value: Any, *, keep_arrays: bool = False) -> Any:
    """Return what stands for a number of NumPy, an array, a tensor or a state; anything else is itself."""
    if isinstance(value, State) and not hasattr(value, "__array__"):
        return value.result()
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        array = np.asarray(value)
        return array if keep_arrays and array.ndim else array.tolist()
    return value


def _named(value: Any) -> Any:
    """Return the members of a named tuple by name; anything else is itself."""
    return value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else value


def _short(value: Any) -> str:
    value = _named(_plain(value, keep_arrays=True))
    if isinstance(value, np.ndarray):
        return (
            f"{value.dtype} of shape {value.shape}"
            if value.size > _FEW
            else np.array2string(value, separator=", ", floatmode="unique")
        )
    if isinstance(value, Mapping):
        return "{" + _listed((f"{_short(key)}: {_short(part)}" for key, part in value.items()), len(value)) + "}"
    for kind, ends in ((list, "[]"), (tuple, "()"), (set, "{}"), (frozenset, "{}")):
        if isinstance(value, kind):
            return ends[0] + _listed(map(_short, value), len(value)) + ends[1]
    return repr(value)


def _listed(texts: Iterable[str], n: int) -> str:
    return ", ".join([*itertools.islice(texts, _FEW), *([f"{n - _FEW} more"] if n > _FEW else [])])


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]} ... ({len(text)} characters)"
