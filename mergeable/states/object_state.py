"""Any Python object as a state, with a factory and a merge function."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, TypeVar, final, overload

import cloudpickle
import numpy as np

from mergeable.encoding.plain import is_plain
from mergeable.errors import MergeableError
from mergeable.registry import NotRegistered
from mergeable.state.access import view
from mergeable.state.state import Opaque, State
from mergeable.wording import brief, shown, some

S = TypeVar("S", bound=State)
T = TypeVar("T")


@final
class ObjectState(State):
    """A Python object and a way to merge it. In ``update_state`` and ``result`` the attribute is the object itself.

    Made by ``mergeable.state(factory, merge)``. The object must pickle. It is copied before every update of a metric, so
    that a failing update can be undone; for large ones, a subclass of ``State`` or ``Set``, ``Counter`` and ``Rows`` are
    cheaper. ``bounded`` is False unless declared.
    """

    _own = frozenset({"_factory", "_merge", "_pickled"})

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
        """The names of the factory and of the merge function."""
        return {"factory": _name(self._factory), "merge": _name(self._merge)}

    def empty(self) -> ObjectState:
        """Return a fresh object's state."""
        return ObjectState(self._factory, self._merge, **self._facts())

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Call the object's own ``update``."""
        self.value.update(*args, **kwargs)

    def merge(self, other: ObjectState) -> None:
        """Merge a copy of the other's object, in place or into the object that the merge function returns."""
        merged = self._merge(self.value, copy.deepcopy(other.value))
        if merged is not None:
            self.value = merged

    def result(self) -> Any:
        """Return the object's ``result()`` where it has one, else a copy of the object."""
        result = getattr(self.value, "result", None)
        return result() if callable(result) else copy.deepcopy(self.value)

    def to_data(self) -> Any:
        """Return the object as plain data, or its attributes where these are plain; else the object, for a pickle."""
        fresh = self._factory()
        if _has_plain_attributes(self.value, fresh):
            return {"attributes": dict(vars(self.value))}
        return {"value": self.value} if _alike(self.value, fresh) else {"other": Opaque(self.value)}

    def from_data(self, data: Any) -> None:
        """Take over an object of the class that the factory makes."""
        fresh = self._factory()
        if type(data) is dict and data.keys() == {"attributes"} and type(data["attributes"]) is dict:
            if not hasattr(fresh, "__dict__") or vars(fresh).keys() != data["attributes"].keys():
                raise ValueError(f"found the attributes {some(data['attributes'])}, expected those of {type(fresh).__name__}")
            vars(fresh).update(data["attributes"])
        elif type(data) is dict and data.keys() == {"value"}:
            if not _alike(data["value"], fresh):
                raise ValueError(f"found a {type(data['value']).__name__}, expected a {type(fresh).__name__}")
            fresh = data["value"]
        elif type(data) is dict and data.keys() == {"other"} and isinstance(data["other"], Opaque):
            fresh = data["other"].value
        else:
            raise ValueError("found neither a value nor attributes")
        self.value = fresh

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> ObjectState:
        """Refuse: parameters only name the factory and the merge function."""
        made = f"mergeable.state({parameters.get('factory')})"
        raise NotRegistered(f"found {made}, which only a metric in hand can make", made)

    @classmethod
    def _made(cls, code: bytes) -> ObjectState:  # pickles name it
        factory, merge, facts = pickle.loads(code)
        return cls(factory, merge, **facts)

    def _view(self) -> Any:
        """Return the object."""
        return self.value

    def _assign(self, value: Any) -> None:
        """Replace the object, or take over a copy of that of an equal kind of state."""
        if isinstance(value, State):
            self._check_mergeable(value, "assign")
            value = copy.deepcopy(view(value))
        self.value = value

    def _can_share(self) -> bool:
        return False  # readers get the object

    def _savepoint(self) -> None:
        """Remember the object as its pickle."""
        self.__dict__.pop("_pickled", None)
        super()._savepoint()
        try:
            self._pickled = cloudpickle.dumps(self.value)
        except Exception as error:
            self._commit()
            raise MergeableError(
                f"mergeable.state({_name(self._factory)}): got a {type(self.value).__name__} that does not pickle ({brief(error)}), "
                "expected a pickleable object: states travel between processes and are undone when an update fails. "
                "Give it a __getstate__, or keep what cannot pickle outside of the state."
            ) from error

    def _commit(self) -> None:
        """Forget the savepoint."""
        super()._commit()
        self.__dict__.pop("_pickled", None)

    def _rollback(self) -> None:
        """Return to the savepoint."""
        pickled = self.__dict__.get("_pickled")
        value = self.value if pickled is None else pickle.loads(pickled)
        super()._rollback()
        self.value = value
        self.__dict__.pop("_pickled", None)

    def _undo_value(self) -> dict[str, Any]:
        return {k: v for k, v in self._attributes().items() if k != "value"}

    def __deepcopy__(self, memo: dict[int, Any]) -> ObjectState:
        twin = self.empty()
        memo[id(self)] = twin
        twin.value = copy.deepcopy(self.value, memo)
        return twin

    def _recipe(self) -> Any:
        return ObjectState._made, (code_of(self),)

    def _facts(self) -> dict[str, bool]:
        return {name: getattr(self, name) for name in ("exact", "commutative", "idempotent", "bounded")}

    def __repr__(self) -> str:
        return f"<ObjectState({_name(self._factory)}): {shown(self.value)}>"


def code_of(state: ObjectState) -> bytes:
    """Return a pickle of a state's factory, merge and facts, for readers without a metric in hand."""
    return bytes(cloudpickle.dumps((state._factory, state._merge, state._facts())))


def made_from(code: bytes) -> ObjectState:
    """Return an empty state from its code, which runs: the code must be trusted."""
    return ObjectState._made(code)


@overload
def state(factory: S) -> S: ...


@overload
def state(
    factory: Callable[[], T],
    merge: Callable[[Any, Any], Any] | None = None,
    *,
    exact: bool = True,
    commutative: bool = True,
    idempotent: bool = False,
    bounded: bool = False,
) -> T: ...


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

    Type checkers see an object of the factory's, as in ``update_state``: ``words: set[str] = mg.state(set, merge=set.update)``.

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
            f"mergeable.state: got {shown(factory)}, expected something that makes an empty object when called, as in "
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
    return ObjectState(factory, merge, exact=exact, commutative=commutative, idempotent=idempotent, bounded=bounded)


def _call_merge(mine: Any, other: Any) -> Any:
    return mine.merge(other)


Held = ObjectState  # the names in older pickles
_Other = Opaque


_NUMBERS = (bool, int, float, np.generic, np.ndarray)


def _alike(value: Any, fresh: Any) -> bool:
    return type(value) is type(fresh) or fresh is None or (isinstance(fresh, _NUMBERS) and isinstance(value, _NUMBERS))


def _has_plain_attributes(value: Any, fresh: Any) -> bool:
    """Return whether an object is the factory's with other plain attributes, and no way to pickle of its own."""
    cls = type(value)
    if cls is not type(fresh) or is_plain(value) or not hasattr(value, "__dict__") or vars(value).keys() != vars(fresh).keys():
        return False
    ways = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
    own = {name for base in cls.__mro__[:-1] for name in ways if name in vars(base)}
    builtin = any(base.__module__ == "builtins" for base in cls.__mro__[:-1])  # a dict's items are no attributes
    slots = any(vars(base).get("__slots__") for base in cls.__mro__[:-1])
    return not own and not builtin and not slots and is_plain(vars(value))


def _name(thing: Any) -> str:
    return getattr(thing, "__qualname__", repr(thing))
