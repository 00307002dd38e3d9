"""What the user's code was called with: constructor arguments, their equality, and the rows of a batch."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np


def constructor_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``cls(*args, **kwargs)`` by name, defaults included; none where they do not fit."""
    try:
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]  # only its signature is read
    except TypeError:  # a wrong call, which __init__ reports, or a blank one, which __setstate__ fills
        return {}
    bound.apply_defaults()
    named = dict(list(bound.arguments.items())[1:])
    for parameter in list(bound.signature.parameters.values())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(parameter.name)
    return named


def same(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal: arrays by their elements, plain objects by their attributes."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    defines_equality = any("__eq__" in vars(cls) for cls in type(a).__mro__[:-1])
    if hasattr(a, "__dict__") and not defines_equality:
        return same(vars(a), vars(b))
    return bool(a == b)


def row_count(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Return the length of the first array or list among the arguments of an update, or 0."""
    for argument in (*args, *kwargs.values()):
        value = argument
        if isinstance(argument, Mapping):
            value = next(iter(argument.values()), None)
        elif isinstance(argument, tuple) and argument and hasattr(argument[0], "shape"):
            value = argument[0]
        shape = getattr(value, "shape", None)
        if shape is not None:
            return int(shape[0]) if len(shape) else 1
        if isinstance(value, list | tuple | set):
            return len(value)
    return 0


def shallow(value: Any) -> Any:
    """Return a copy one level deep, or the value where it cannot be copied."""
    try:
        return copy.copy(value)
    except Exception:  # what cannot be copied is put back as it is
        return value
