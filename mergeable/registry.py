"""The registry of classes that files may name: no other class is made without a metric in hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from mergeable.wording import shown


class NotRegistered(ValueError):
    """A file names a class, ``missing``, that is not registered and that only a metric in hand can provide."""

    def __init__(self, text: str, missing: str) -> None:
        super().__init__(text)
        self.missing = missing


C = TypeVar("C", bound=type)
T = TypeVar("T")

LABELS = frozenset({"name", "dtype"})
"""Arguments of metrics that no result depends on. No file holds them, and Keras imports what a ``dtype`` names."""

_classes: dict[str, type] = {}
_names: dict[type, str] = {}
_labels: dict[type, str] = {}


@overload
def register(cls: C, /) -> C: ...
@overload
def register(*, name: str) -> Callable[[C], C]: ...
def register(cls: Any = None, /, *, name: str | None = None) -> Any:
    """Let snapshots find a metric or a state class of yours by its name: a decorator.

    A file names classes, and never decides which code runs: what it names must have been registered by your program, or be
    the class of the metric in hand. A registered metric's constructor is called with the plain arguments that the file holds,
    so register classes whose constructors are safe with any. Names are those of the classes unless ``name`` is given; a file
    keeps the name, so keep it too when you move or rename the class.

    Raises:
        TypeError: what came is no class of a metric or a state. ValueError: another class has the name.

    Example:
        >>> import mergeable as mg
        >>> @mg.register(name="docs.Accuracy")
        ... class Accuracy(mg.Metric):
        ...     right = mg.Mean()
        ...     def update_state(self, y_true, y_pred):
        ...         self.right.update([t == p for t, p in zip(y_true, y_pred)])
        ...     def result(self):
        ...         return self.right.result()
        >>> metric = Accuracy()
        >>> metric.update_state([1, 0], [1, 1])
        >>> metric.snapshot().result()
        0.5
    """
    if cls is None:
        return lambda cls: _registered(cls, name)
    return _registered(cls, None)


def _registered(cls: Any, name: str | None) -> Any:
    if not isinstance(cls, type) or not (hasattr(cls, "merge_state") or (hasattr(cls, "merge") and hasattr(cls, "empty"))):
        raise TypeError(f"mergeable.register: got {shown(cls)}, expected the class of a metric or of a state.")
    name = cls.__qualname__ if name is None else name
    if not name or ":" in name:
        raise ValueError(
            f"mergeable.register: got the name {shown(name)}, expected one without a colon. Write register(name=...)."
        )
    known = _classes.get(name, cls)
    if (known.__module__, known.__qualname__) != (
        cls.__module__,
        cls.__qualname__,
    ):  # a module that is loaded again is the same
        raise ValueError(
            f"mergeable.register: got {cls.__module__}.{cls.__qualname__} under the name {shown(name)}, which "
            f"{known.__module__}.{known.__qualname__} has. Choose another: register(name=...)."
        )
    _classes[name] = cls
    _names[cls] = name
    return cls


def name_of(cls: type) -> str:
    """Return the name under which a class is saved: the registered one, or ``module:name``."""
    return _names.get(cls) or f"{cls.__module__}:{cls.__qualname__}"


def keep_label(cls: type, label: str) -> None:
    """Register a class of ours under the name that files hold, which is not its own any more."""
    _registered(cls, label)
    _labels[cls] = label


def label_of(cls: type) -> str:
    """Return the label of a class in parameters and pages: its own name, or the one that files hold."""
    return _labels.get(cls, cls.__name__)


def default_name(cls: type) -> str:
    """Return the name of a metric that was given none: that of its class, in small letters."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()


def found(name: str) -> type | None:
    """Return the registered class of that name, or, where no name fits, the only one whose own name it is."""
    if name in _classes:
        return _classes[name]
    alike = [cls for cls in _names if cls.__qualname__ == name]
    return alike[0] if len(alike) == 1 else None


def built(cls: Callable[..., T], arguments: Mapping[str, Any], **labels: str) -> T:
    """Return a metric of a registered class with the arguments that a file holds, and with labels of the program's own.

    Raises:
        ValueError: the arguments have labels, which no save writes. Whatever the constructor raises.
    """
    for name in sorted(LABELS & arguments.keys()):
        raise ValueError(f"found the argument {name}, which no file holds")
    return cls(**arguments, **labels)


def subclasses(cls: type[T]) -> Iterator[type[T]]:
    """Yield every class that the program has derived from one, at any distance."""
    for derived in cls.__subclasses__():
        yield derived
        yield from subclasses(derived)


def is_named(cls: type, name: str) -> bool:
    """Return whether a class may be the one that was saved under the name; a program's main module has two names."""
    return name.rpartition(":")[2] in (_names.get(cls), cls.__qualname__)
