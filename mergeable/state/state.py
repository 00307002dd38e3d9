"""Idea 1: a state is an empty value and an associative merge.

Not its job: to know which metric holds it, which replica feeds it, or how it travels.
"""

from __future__ import annotations

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import numpy as np

from mergeable.errors import IncompatibleStates, ReadOnlyState
from mergeable.state.buffer import BUFFER_BYTES, PART_BYTES, Buffer
from mergeable.state.copy_on_write import copied
from mergeable.state.hints import Hints, check_declared_facts
from mergeable.state.names import claim_state
from mergeable.state.parameters import differences
from mergeable.state.signature import Place, weights_among
from mergeable.state.undo import Savepoint, Undoable
from mergeable.wording import brief, shown, some

Self = TypeVar("Self", bound="State")
S = TypeVar("S", bound="State")


class State(Undoable, Hints, ABC):
    """One pickleable monoid object: an empty value (the identity) and an associative ``merge``.

    A state of your own says what its ``update``, ``merge`` and ``result`` do, and, where its
    constructor takes parameters, returns them from ``parameters``. The rest is derived:

    - ``merge`` is guarded: a state of another class or with other parameters is refused before your
      code runs, ``other`` is never changed by our side, and a state may be merged with itself;
    - ``update`` may call ``self.buffer(*arrays)``; then ``absorb(*arrays)`` gets many small batches as
      one, before the next merge, result, copy or pickle, or when 128 KiB have gathered; a property that reads the value calls
      ``self.flush()`` first;
    - an update that fails inside a metric is undone;
    - files, pickles and exchanges hold the attributes. A state that they should hold in another form writes ``to_data`` and
      ``from_data``; ``of`` where ``parameters`` are no keywords of the constructor; ``cells`` where they say how much to allocate.

    A state has no lock: the metric that holds it has one. Several threads that update one bare state lose updates without a word;
    give each a state of its own, and merge these.

    Class facts, to be stated where they differ from the default: ``exact`` (the same bytes whatever the
    order and tree of merges), ``commutative``, ``idempotent`` (``a`` merged with ``a`` is ``a``) and
    ``bounded`` (memory does not grow with the data).

    Example:
        >>> class Longest(State):
        ...     idempotent = True
        ...     def __init__(self):
        ...         self.text = ""
        ...     def update(self, texts):
        ...         self.text = max(self.text, *texts, key=lambda t: (len(t), t))
        ...     def merge(self, other):
        ...         self.update([other.text])
        ...     def result(self):
        ...         return self.text
        >>> a, b = Longest(), Longest()
        >>> a.update(["to", "be"]); b.update(["or", "not"])
        >>> a.merge(b)
        >>> a.result()
        'not'
        >>> a.merge(3)
        Traceback (most recent call last):
        mergeable.errors.IncompatibleStates: Longest.merge: got int, expected another Longest. Merge states of one class only.
    """

    exact: bool = True
    commutative: bool = True
    idempotent: bool = False
    bounded: bool = True

    _mutated: ClassVar[tuple[str, ...] | None] = None
    """The attributes whose lists, dicts, sets, arrays or states a write changes in place, but nothing inside of them: copies copy
    these one level deep and share the others. None: copies are deep."""

    _levels: int = 0
    """How deep states stand inside of this one."""

    _own: ClassVar[frozenset[str]] = frozenset({"_waiting", "_frozen", "_saved", "_limit"})
    """Attributes that are not part of the value. A class names those of its own, and has those of its bases too."""

    _waiting: Buffer
    """The batches that ``absorb`` has not got yet."""

    _limit: int = BUFFER_BYTES
    """How many bytes may wait in the buffer: less in one of many states that stand side by side."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_declared_facts(cls)
        claim_state(cls)
        if "_own" in cls.__dict__:
            cls._own = frozenset().union(*(vars(base).get("_own", ()) for base in cls.__mro__))
        for name, guard in _GUARDS.items():
            method = cls.__dict__.get(name)
            if method is not None and not hasattr(method, "__guarded__"):
                setattr(cls, name, guard(method))

    # The four verbs, and what must agree.

    @property
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments: plain values that must be equal for two states to merge."""
        return {}

    def empty(self: Self) -> Self:
        """Return a fresh identity with the same parameters."""
        return type(self)(**self.parameters)

    @abstractmethod
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take one batch."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Take all updates that ``other`` has taken. Changes self only and keeps no reference into ``other``."""

    @abstractmethod
    def result(self) -> Any:
        """Return the result, which depends on the value alone."""

    # What travels: to other processes, into files, and in pickles.

    def to_data(self) -> Any:
        """Return the value without the parameters, as plain data where possible; files hold the rest as a pickle.

        That is also so for attributes that an empty state does not have: a file by itself chooses no names.
        """
        content: Any = self.__getstate__()
        if type(content) is not dict:  # a way of the class's own
            return content
        own = {name: value for name, value in content.items() if name not in self.parameters}
        new = own.keys() - self.empty().__getstate__().keys()
        data = {name: value.to_data() if isinstance(value, State) else value for name, value in own.items()}
        return {**data, **{name: Opaque(own[name]) for name in new}}

    def from_data(self, data: Any) -> None:
        """Take over a value from ``to_data``; called on an empty state with the same parameters.

        Files come from anywhere: raise ``ValueError`` for what no updates could have made.
        """
        content: Any = self.__getstate__()
        if type(content) is not dict:
            self.__setstate__(data)
            return
        own = {name: value for name, value in content.items() if name not in self.parameters}
        more = {name: value for name, value in data.items() if name not in own} if type(data) is dict else {}
        if type(data) is not dict or own.keys() - data.keys() or not all(isinstance(value, Opaque) for value in more.values()):
            found = some(map(str, data)) if isinstance(data, dict) else type(data).__name__
            raise ValueError(f"found {found}, expected {some(own)}, which are the attributes that the constructor sets")
        for name, value in data.items():
            if isinstance(own.get(name), State):
                own[name].from_data(value)
            else:
                own[name] = value.value if name in more else value
        self.__setstate__(own)

    @classmethod
    def of(cls: type[Self], parameters: dict[str, Any]) -> Self:
        """Return an empty state with these parameters."""
        return cls(**parameters)

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:  # noqa: ARG003 - a default
        """Return how many numbers an empty state with these parameters allocates, beyond the parameters themselves.

        Readers check it before they build a file's state, so that a small file cannot allocate gigabytes.
        """
        return 0

    def _update_of(self) -> tuple[type, Callable[..., Any]]:
        """Return the class and the method that take an update."""
        return type(self), type(self).update

    def _place_of_weights(self) -> Place | None:
        """Return the place of the weights among the arguments of an update."""
        return weights_among(type(self).update)

    def _trial(self) -> State:
        """Return an empty state that refuses the updates that this one refuses, and may be smaller."""
        return self.empty()

    # What the metric reads and writes by the attribute's name.

    if TYPE_CHECKING:  # a metric's class has a descriptor in the place of a declared state

        def __get__(self: Self, metric: Any, cls: Any = None) -> Self: ...

        def __set__(self: Self, metric: Any, value: Self) -> None: ...

    def _view(self) -> Any:
        """Return the object that user code reads under the state's name: the state itself."""
        return self

    def _assign(self, value: Any) -> None:
        """Answer ``metric.name = value``: take over the value of a state of this class and these parameters."""
        if not isinstance(value, State):
            raise TypeError(
                f"{type(self).__name__}: got an assignment of {shown(value)} ({type(value).__name__}), expected a "
                f"{type(self).__name__}. This state is not a number; change it with update() or merge()."
            )
        self._check_mergeable(value, "assign")
        self._become(value)

    @final
    def _become(self, other: State) -> None:
        """Replace the value by a copy of the other's."""
        other.flush()
        self._before_write()
        self._restore(other._copy_value())

    # Small batches wait once, here, not state by state.

    def buffer(self, *arrays: np.ndarray) -> None:
        """Keep copies of a batch's arrays (equal leading lengths), which ``absorb`` gets later, joined to others."""
        waiting = self._waiting
        nbytes = arrays[0].nbytes if len(arrays) == 1 else sum([a.nbytes for a in arrays])
        large = nbytes >= self._limit
        if not self.commutative and (large or not waiting.joins(arrays)):
            self.flush()  # batches of different kinds would overtake one another
            waiting = self._waiting
        if large:
            self.absorb(*arrays)
            return
        waiting.add(arrays, nbytes, self._limit)
        if waiting.nbytes >= self._limit:
            self.flush()

    def _buffer_number(self, number: float) -> None:
        """Keep one number, which ``absorb`` gets later in a float64 array; of commutative states alone."""
        waiting = self._waiting
        waiting.add_number(number)
        if waiting.nbytes >= self._limit:
            self.flush()

    def _limit_buffer(self, nbytes: int) -> None:
        """Let at most so many bytes wait from now on, but at least 8 KiB: this is one of many states side by side."""
        self._limit = max(nbytes, PART_BYTES)

    def absorb(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - a hook
        """Take buffered arrays into the value, or raise and take nothing. Classes that call ``buffer`` define it."""
        raise TypeError(f"{type(self).__name__}.buffer: called on a state without an absorb() method; define it.")

    def flush(self) -> None:
        """Absorb the batches that wait in the buffer. The state means the same before and after.

        A copy takes it, and then takes this state's place in one write: wherever an interrupt falls, what waited is in the buffer
        or in the value, and never in both.
        """
        waiting: Buffer | None = self.__dict__.get("_waiting")
        if waiting is None or not waiting.groups:
            return
        twin = object.__new__(type(self))
        twin.__dict__ = {**{name: self.__dict__[name] for name in self._own & self.__dict__.keys()}, **self._copy_value()}
        twin.__dict__.pop("_saved", None)
        twin._waiting = Buffer()
        for key in list(waiting.groups):
            twin.absorb(*waiting.joined(key))
        saved: Savepoint | None = self.__dict__.get("_saved")
        if saved is not None:
            if saved.value is None:
                saved.value = self._attributes()  # which nobody changes any more
            twin._saved = saved
        self.__dict__ = twin.__dict__

    # Guards.

    @final
    def _check_mergeable(self, other: Any, verb: str = "merge") -> None:
        """Raise ``IncompatibleStates`` unless ``other`` has this state's class and parameters."""
        mine = type(self).__name__
        if type(other) is not type(self):
            raise IncompatibleStates(
                f"{mine}.{verb}: got {type(other).__name__}, expected another {mine}. Merge states of one class only."
            )
        different = differences(self.parameters, other.parameters)
        if different:
            raise IncompatibleStates(
                f"{mine}.{verb}: parameters differ: {'; '.join([*different.values()][:4])}. States merge only with equal parameters; "
                "build both sides with the same ones."
            )

    def _freeze(self) -> None:
        """Refuse changes from now on: this is a merged copy, and a change would be lost."""
        self.flush()
        self._frozen = True

    def _can_share(self) -> bool:
        """Return whether readers may have this state itself once it is frozen: it gives them no object that they could change."""
        return type(self).__module__.startswith("mergeable.")  # a class of the user's may let them set its attributes

    @final
    def _merge_unchecked(self, other: State) -> None:
        """Merge without checks: the caller has compared the parameters, and flushed both states."""
        if type(other) is not type(self):
            self._check_mergeable(other)
        self._before_write()
        merge: Any = type(self).merge
        (merge.__wrapped__ if hasattr(merge, "__guarded__") else merge)(self, other)  # a mixin's merge is not guarded

    def _check_unfrozen(self) -> None:
        if self.__dict__.get("_frozen"):
            raise ReadOnlyState(
                f"{type(self).__name__}: got a change to a merged state, which is a copy; the change would be lost. "
                "Change states in update_state, or work on copy.deepcopy(state). In merge_state, declared states are merged already."
            )

    def _before_write(self) -> None:
        self._check_unfrozen()
        saved: Savepoint | None = self.__dict__.get("_saved")
        if saved is not None and saved.value is None:
            saved.value = self._undo_value()

    def _copy_value(self) -> dict[str, Any]:
        """Return a copy of the value's attributes."""
        value = self._attributes()
        if self._mutated is None:
            return copy.deepcopy(value)
        for name in self._mutated:
            value[name] = copied(value[name])
        return value

    def _undo_value(self) -> dict[str, Any]:
        """Return the attributes that a rollback restores. Parts of a state have savepoints of their own and need no copy."""
        return self._copy_value()

    def _attributes(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in self._own}

    def _restore(self, value: dict[str, Any]) -> None:
        own = {k: v for k, v in self.__dict__.items() if k in self._own and k != "_waiting"}
        self.__dict__ = {**value, **own}  # in one write

    if not TYPE_CHECKING:  # whom it would tell that states have attributes of any name

        def __getattr__(self, name: str) -> Any:
            if name == "_waiting":  # made on first use, so that a subclass needs no super().__init__()
                self._waiting = Buffer()
                return self._waiting
            raise AttributeError(f"{type(self).__name__} has no attribute {shown(name)}")

    def __copy__(self: Self) -> Self:
        return copy.deepcopy(self)  # a shallow copy would share its value

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        if "_limit" in self.__dict__:
            twin._limit = self._limit
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        if type(self).to_data is State.to_data:
            return super().__reduce_ex__(protocol)  # the attributes, with the parameters among them
        return revived, (*self._recipe(), self.to_data())

    def _recipe(self) -> tuple[Callable[..., State], tuple[Any, ...]]:
        """Return a function and its arguments that make an empty state like this one in another process."""
        return type(self).of, (self.parameters,)

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        return self._attributes()

    def __setstate__(self, value: dict[str, Any]) -> None:
        self.__dict__.update(value)

    def __repr__(self) -> str:
        try:
            arguments = ", ".join(f"{k}={shown(v)}" for k, v in self.parameters.items())
        except Exception as error:  # a repr must not fail, and users' code may
            arguments = f"{type(error).__name__}: {brief(error)}"
        try:
            result = shown(self.result())
        except Exception as error:  # as above
            result = f"{type(error).__name__}: {brief(error)}"
        return f"<{type(self).__name__}({arguments}): {result}>"


class Opaque:
    """A value that a file holds as a pickle, and that is read only where the file is trusted."""

    def __init__(self, value: Any) -> None:
        self.value = value


def revived(make: Callable[..., S], arguments: tuple[Any, ...], data: Any) -> S:
    """Return the state that a pickle holds: ``make(*arguments)`` is empty, and takes over the data."""
    state = make(*arguments)
    state.from_data(data)
    return state


def _guard_merge(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def merge(self: State, other: State) -> None:
        self._check_mergeable(other)
        self._before_write()
        self.flush()
        other.flush()
        method(self, copy.deepcopy(other) if other is self else other)

    return _mark(merge)


def _guard_write(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def write(self: State, *args: Any, **kwargs: Any) -> None:
        self._before_write()
        method(self, *args, **kwargs)

    return _mark(write)


def _guard_update(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def update(self: State, *args: Any, **kwargs: Any) -> None:
        if not self._undoes_updates or self.__dict__.get("_frozen"):
            self._before_write()
        method(self, *args, **kwargs)

    return _mark(update)


def _guard_result(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def result(self: State) -> Any:
        self.flush()
        return method(self)

    return _mark(result)


def _mark(method: Callable[..., Any]) -> Callable[..., Any]:
    method.__guarded__ = True  # type: ignore[attr-defined]  # a mark of ours, so that no method is guarded twice
    return method


_GUARDS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "update": _guard_update,
    "absorb": _guard_write,
    "merge": _guard_merge,
    "_assign": _guard_write,
    "result": _guard_result,
}
