"""What the user's code was called with: constructor arguments, and the rows of a batch."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any


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


@functools.lru_cache(maxsize=256)  # reading a signature takes longer than a small update
def accepts(method: Callable[..., Any], name: str) -> bool:
    """Return whether a method takes an argument of that name."""
    parameters = inspect.signature(method).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def without_absent_weights(method: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an update without a ``sample_weight`` that is None, by which Keras says that there is none.

    A method that takes weights gets it as it came.
    """
    if kwargs.get("sample_weight", ...) is None and not accepts(method, "sample_weight"):
        return {name: value for name, value in kwargs.items() if name != "sample_weight"}
    return kwargs


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
