"""Any Python object as a state."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, final

import cloudpickle

from mergeable.errors import MergeableError
from mergeable.state import State


@final
class Held(State):
    """A Python object with a way to merge it. In ``update_state`` and ``result`` the attribute is the object itself.

    Made by ``mergeable.state(factory, merge)``. The object must pickle. It is copied before every update of a metric, so
    that a failing update can be undone; for large ones, a subclass of ``State`` or ``Set``, ``Counter`` and ``Rows`` are
    cheaper. ``bounded`` is False unless declared.
    """

    _own = State._own | {"_factory", "_merge", "_pickled"}

    def __init__(
        self,
        factory: Callable[[], Any],
        merge: Callable[[Any, Any], Any],
        *,
        exact: bool,
        commutative: bool,
        idempotent: bool,
        bounded: bool,
    ) -> None:
        self._factory, self._merge = factory, merge
        self.exact, self.commutative, self.idempotent, self.bounded = exact, commutative, idempotent, bounded
        self.value = factory()

    @property
    def parameters(self) -> dict[str, Any]:
        """What makes and merges the object, by name."""
        return {"factory": _name(self._factory), "merge": _name(self._merge)}

    def empty(self) -> Held:
        """Return a fresh object's state."""
        facts = {name: getattr(self, name) for name in ("exact", "commutative", "idempotent", "bounded")}
        return Held(self._factory, self._merge, **facts)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Call the object's own ``update``."""
        self.value.update(*args, **kwargs)

    def merge(self, other: Held) -> None:
        """Merge a copy of the other's object, in place or into what the merge function returns."""
        merged = self._merge(self.value, copy.deepcopy(other.value))
        if merged is not None:
            self.value = merged

    def result(self) -> Any:
        """Return the object's ``result()`` where it has one, else a copy of the object."""
        result = getattr(self.value, "result", None)
        return result() if callable(result) else copy.deepcopy(self.value)

    def view(self) -> Any:
        """Return the object."""
        return self.value

    def assign(self, value: Any) -> None:
        """Replace the object, or take over a copy of that of an equal kind of state."""
        if isinstance(value, State):
            self.check_mergeable(value, "assign")
            value = copy.deepcopy(value.view())
        self.value = value

    def savepoint(self) -> None:
        """Remember the object as its pickle."""
        super().savepoint()
        try:
            self._pickled = cloudpickle.dumps(self.value)
        except Exception as error:
            self.commit()
            raise MergeableError(
                f"mergeable.state({_name(self._factory)}): got a {type(self.value).__name__} that does not pickle ({error}), "
                "expected a pickleable object: states travel between processes and are undone when an update fails. "
                "Give it a __getstate__, or keep what cannot pickle outside of the state."
            ) from error

    def commit(self) -> None:
        """Forget the savepoint."""
        super().commit()
        self.__dict__.pop("_pickled", None)

    def rollback(self) -> None:
        """Return to the savepoint."""
        pickled = self.__dict__.pop("_pickled", None)
        super().rollback()
        if pickled is not None:
            self.value = pickle.loads(pickled)

    def _undo_value(self) -> dict[str, Any]:
        return {k: v for k, v in self._attributes().items() if k != "value"}

    def __getstate__(self) -> dict[str, Any]:
        code = cloudpickle.dumps((self._factory, self._merge))  # lambdas too
        return super().__getstate__() | {"_code": code}

    def __setstate__(self, value: dict[str, Any]) -> None:
        self._factory, self._merge = pickle.loads(value.pop("_code"))
        super().__setstate__(value)

    def __repr__(self) -> str:
        return f"<Held({_name(self._factory)}): {self.value!r}>"


def state(
    factory: Any,
    merge: Callable[[Any, Any], Any] | None = None,
    *,
    exact: bool = True,
    commutative: bool = True,
    idempotent: bool = False,
    bounded: bool = False,
) -> Any:
    """Declare any Python object as a state: a class with a ``merge`` method, or any factory with a merge function.

    ``factory()`` makes the empty object, the identity of ``merge(mine, other)``, which changes ``mine`` or returns a new
    object. The keywords are claims about ``merge``, as on ``State``; ``mergeable.laws.check_state`` tests them.

    Raises:
        TypeError: ``factory`` is not callable, or makes an object without ``merge`` and no function is given.

    Example:
        >>> import collections
        >>> import mergeable as mg
        >>> class Vocabulary(mg.Metric):
        ...     words = mg.state(set, merge=set.update)
        ...     lengths = mg.state(collections.Counter, merge=collections.Counter.update)
        ...     def update_state(self, text):
        ...         self.words |= set(text.split())
        ...         self.lengths.update(map(len, text.split()))
        ...     def result(self):
        ...         return len(self.words), self.lengths[2]
        >>> metric = Vocabulary()
        >>> metric.update_state("to be or not to be")
        >>> metric.result()
        (4, 5)
    """
    if isinstance(factory, State):
        return factory
    if not callable(factory):
        raise TypeError(
            f"mergeable.state: got {factory!r}, expected something that makes an empty object when called, as in "
            "state(set, merge=set.update)."
        )
    example = factory()
    if isinstance(example, State):
        return example
    if merge is None:
        if not callable(getattr(example, "merge", None)):
            raise TypeError(
                f"mergeable.state: got {_name(factory)}, whose objects have no merge method, and no merge function. "
                f"Pass merge=, as in state(set, merge=set.update), or define {type(example).__name__}.merge."
            )
        merge = _call_merge
    return Held(factory, merge, exact=exact, commutative=commutative, idempotent=idempotent, bounded=bounded)


def _call_merge(mine: Any, other: Any) -> Any:
    return mine.merge(other)


def _name(thing: Any) -> str:
    return getattr(thing, "__qualname__", repr(thing))
