"""Reserved names: attributes of metrics and states that are the library's, and refusals of a user's attributes of these names.

Ours are the names with one underscore of the classes that it is made of, those of frameworks among them, and what their
constructors set. The classes themselves say which.

Not its job: to know what any of them is for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mergeable.registry import default_name
from mergeable.state.hints import AS_INSTANCE, OfInstances, check_no_classes
from mergeable.wording import short, shown

VERBS = ("update_state", "result", "reset_state", "merge_state")
"""What a subclass of a metric writes, and others call."""

_SET_BY_PYTHON = frozenset({"_abc_impl"})
_OPEN = frozenset({"_direction", "_name"})
"""Names of Keras that users set: which way is better, and another name for the logs."""


OF_EVERY_CLASS = frozenset({"_class_states", "_private_names", "_names", "_users"})
"""What the library writes into each class of the user's when it is made."""


def is_private(name: str) -> bool:
    """Return whether a name begins with one underscore; names with two are Python's."""
    return name.startswith("_") and not name.startswith("__") and name not in _OPEN


def reserved(cls: type) -> frozenset[str]:
    """Return the names that the library's classes among the bases of a metric's class use for themselves."""
    return frozenset(name for base in _library(cls) for name in vars(base) if is_private(name)) - _SET_BY_PYTHON


def methods(cls: type) -> frozenset[str]:
    """Return the names of the methods of the library's own classes that others call on a metric, which attributes would hide."""
    found = ((name, value) for base in cls.__mro__ if _is_ours(base) for name, value in vars(base).items())
    called = {name for name, value in found if not name.startswith("_") and (callable(value) or hasattr(value, "__get__"))}
    called -= {name for name in called if any(isinstance(vars(base).get(name), OfInstances) for base in cls.__mro__)}  # Keras's
    return frozenset(called).union(VERBS)


def users(cls: type) -> tuple[type, ...]:
    """Return the bases of a metric's class that are the user's, itself among them."""
    library = {*_library(cls), object}
    return tuple(base for base in cls.__mro__ if base not in library)


def claim(cls: Any, always: frozenset[str]) -> None:
    """Check the attributes of a new class, and note the reserved names of its metrics, ``always`` among them."""
    private = reserved(cls) | always
    check_methods(cls)
    check_class(cls, private)
    check_no_classes(cls, vars(cls))
    cls._private_names = private - OF_EVERY_CLASS
    cls._names = private | methods(cls)
    cls._users = users(cls)


_HOOKS = frozenset({"_undoes_updates", "_mutated", "_copy_value", "_undo_value"})
"""What a state may say of itself, or do in a way of its own."""


def claim_state(cls: Any) -> None:
    """Check the attributes of a new class of states; those of the user's check what their instances get."""
    private = reserved(cls).union(*(vars(base).get("_own", ()) for base in _library(cls))) - _HOOKS
    check_class(cls, private)
    if users(cls) and cls.__setattr__ is object.__setattr__:

        def set_attribute(self: Any, name: str, value: Any) -> None:
            if name in private and not is_set_by_library(type(self), 2):
                refuse(type(self), name)
            object.__setattr__(self, name, value)

        cls.__setattr__ = set_attribute


def check_attribute(cls: Any, name: str, value: Any) -> None:
    """Raise ``TypeError`` where an instance gets an attribute of a reserved name, or a wrong value for a fact."""
    if name in cls._names and not is_set_by_library(cls):
        refuse(cls, name)
    if name in FACTS:
        check_fact(cls, name, value)
    if isinstance(value, type):
        check_no_classes(cls, {name: value})


def own_name(cls: type, arguments: Mapping[str, Any]) -> str:
    """Return the name that a metric's constructor was given among its arguments, or that of its class."""
    name = arguments.get("name")
    return name if isinstance(name, str) and name else default_name(cls)


def check_class(cls: type, names: frozenset[str]) -> None:
    """Raise ``TypeError`` where a class, or a mixin among its bases, has an attribute that would take the place of one of these."""
    for base in users(cls):
        is_written = base is not cls and isinstance(vars(base).get("_private_names"), frozenset)
        taken = names & (vars(base).keys() - (OF_EVERY_CLASS if is_written else ()))
        if taken:
            refuse(cls, min(taken), "" if base is cls else f" in {base.__name__}")


def check_methods(cls: type) -> None:
    """Raise ``TypeError`` where a class has another attribute in the place of a method of ours, or a wrong value for a fact."""
    slots = vars(cls).get("__slots__") or ()
    if slots:
        raise TypeError(
            f"{cls.__name__}: got __slots__ ({slots if isinstance(slots, str) else ', '.join(slots)}), expected none, because copies and "
            "files hold what is in __dict__. Leave __slots__ out, or slots=True of a dataclass."
        )
    for name in methods(cls).difference(VERBS).intersection(vars(cls)):
        value = vars(cls)[name]
        if not callable(value) and not hasattr(value, "__get__"):
            refuse(cls, name)
    for name in FACTS.keys() & vars(cls).keys():
        check_fact(cls, name, vars(cls)[name])


def check_fact(cls: type, name: str, value: Any) -> None:
    """Raise ``TypeError`` unless a value is of the kind that a fact of the class has."""
    is_one, expected = FACTS[name]
    if not is_one(value) and not isinstance(value, property):
        raise TypeError(f"{cls.__name__}.{name}: got {shown(value)}, expected {expected}. Write {name} = ..., or rename yours.")


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and all(isinstance(name, str) for name in value)


def _is_kinds(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(part, str) for item in value.items() for part in item)


FACTS = {
    "joins": (_is_truth, "True or False"),
    "scratch": (_is_names, "a tuple of names"),
    "plots": (_is_kinds, "a dict of kinds of plots and the names of states"),
}
"""What a class says of its metrics."""


def refuse(cls: type, name: str, where: str = "") -> None:
    """Raise ``TypeError`` that names an attribute of the user's whose name the library uses."""
    raise TypeError(
        f"{cls.__name__}.{name}: got an attribute of this name{where}, expected another name, because mergeable uses this one itself. "
        "Rename yours."
    )


def check_text(cls: type, name: Any) -> None:
    """Raise ``TypeError`` unless a metric's own name is a text, or none was given."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{cls.__name__}: got {short(name)} as its name, expected a text. {AS_INSTANCE.format(cls.__name__)}")


def is_set_by_library(cls: type, calls: int = 3) -> bool:
    """Return whether the code that sets an attribute, so many calls above, is of a library whose class is among the bases."""
    module = str(sys._getframe(calls).f_globals.get("__name__", ""))
    return module.partition(".")[0] in {base.__module__.partition(".")[0] for base in _library(cls)} - {"builtins"}


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "mergeable"


def _library(cls: type) -> list[type]:
    """Return the bases of a metric's class that are ours, or below ours."""
    ours = [base for base in cls.__mro__ if _is_ours(base)]
    below = {found for base in ours for found in base.__mro__} - {object}
    return [base for base in cls.__mro__ if base in below]
