"""Introspection of signatures: constructor arguments by name, and the place of weights and rows in an update's arguments."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mergeable.state.hints import AS_INSTANCE


def constructor_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``cls(*args, **kwargs)`` by name, defaults included; none where they do not fit."""
    try:
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]  # only its signature is read
    except TypeError:  # a wrong call, which __init__ reports, or a blank one, which __setstate__ fills
        check_instance(cls, args)
        return {}
    bound.apply_defaults()
    named = dict(list(bound.arguments.items())[1:])
    for parameter in list(bound.signature.parameters.values())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(parameter.name)
    return named


def check_instance(cls: type, args: tuple[Any, ...]) -> None:
    """Raise ``TypeError`` where a class was called with a batch, as Keras calls a function among its metrics."""
    if len(args) > 1 and all(hasattr(argument, "shape") for argument in args):
        raise TypeError(
            f"{cls.__name__}: got {len(args)} arrays as the arguments of its constructor, which does not take them. {AS_INSTANCE.format(cls.__name__)}"
        )


@functools.lru_cache(maxsize=256)  # reading a signature takes longer than a small update
def accepts(method: Callable[..., Any], name: str) -> bool:
    """Return whether a method takes an argument of that name."""
    parameters = inspect.signature(method).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


Place = tuple[int, str]
"""Where an argument is found: its position, and its name."""


@functools.lru_cache(maxsize=256)
def places(update: Callable[..., Any]) -> tuple[Place, Place]:
    """Return the places of an update's predictions and of its weights, after ``self``.

    They are called ``y_pred`` and ``sample_weight``; predictions of another name are the second argument, or the only one.
    """
    parameters = inspect.signature(update).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][1:]
    of_any_name = ["y_true", "y_pred", "sample_weight"] if any(p.kind is p.VAR_POSITIONAL for p in parameters) else []
    named += of_any_name[len(named) :]
    others = [name for name in named if name != "sample_weight"]
    y_pred = "y_pred" if "y_pred" in named or not others else others[min(1, len(others) - 1)]
    return _place(y_pred, named), _place("sample_weight", named)


def _place(name: str, named: list[str]) -> Place:
    return named.index(name) if name in named else sys.maxsize, name


def found(place: Place, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the argument at a place; None where none came."""
    position, name = place
    return kwargs.get(name, args[position] if position < len(args) else None)


def with_weights_it_takes(update: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an update without a ``sample_weight`` that is None, which Keras passes where there are no weights.

    A method that takes weights gets it as it came.

    Raises:
        TypeError: there are weights, and the method takes none.
    """
    if "sample_weight" not in kwargs or accepts(update, "sample_weight"):
        return kwargs
    if kwargs["sample_weight"] is not None:
        raise TypeError(
            f"{update.__qualname__}: got a sample_weight, or the mask of a layer, which is one; expected neither, because it takes "
            "none, and rows of weight 0 would count. Write update_state(self, y_true, y_pred, sample_weight=None), or give it "
            "predictions without a mask and list it in metrics, not in weighted_metrics."
        )
    return {name: value for name, value in kwargs.items() if name != "sample_weight"}


shape_readers: dict[type, Callable[[Any], Sequence[int]]] = {}
"""How the shapes of a framework's arrays are read, by type, where that takes less time than their attribute ``shape``."""


def row_count(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Return the length of the first array or list among the arguments of an update, or 0."""
    for argument in (*args, *kwargs.values()):
        value = argument
        if isinstance(argument, Mapping):
            value = next(iter(argument.values()), None)
        elif isinstance(argument, tuple) and argument and hasattr(argument[0], "shape"):
            value = argument[0]
        reader = shape_readers.get(type(value))
        shape = getattr(value, "shape", None) if reader is None else reader(value)
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
