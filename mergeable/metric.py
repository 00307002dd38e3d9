"""Idea 2: a metric is a set of declared states; everything else is derived.

Each replica has states of its own (a slot). ``update_state`` sees the slot of the replica whose batch this is; ``result``
sees the fold, the slots merged in replica order into fresh states.

Not its job: to know Keras, or how replicas and processes meet.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from threading import get_ident
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from mergeable import names
from mergeable.agreement import check_declared, check_mergeable
from mergeable.arguments import constructor_arguments, row_count, shallow
from mergeable.attempt import Kept, Named, Undone
from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, UndeclaredState
from mergeable.inside import check_outside, host_verbs, hosted
from mergeable.intake import Intake
from mergeable.membership import Membership
from mergeable.registry import LABELS, default_name
from mergeable.saveable import Saveable, is_saved
from mergeable.slot import RESTORED, Shown, Slot, States, merge_alike
from mergeable.state import State
from mergeable.states.nested import Nested, check_nothing_undeclared

M = TypeVar("M", bound="Metric")


class Metric(Intake, Saveable):
    """A metric with declared states and no framework.

    A subclass names its states on the class, or calls ``add_state`` in ``__init__``, and writes ``update_state`` and
    ``result`` as for one process and one pass. ``reset_state``, ``merge_state``, pickling, copies and the fold over replicas
    are derived. A ``reset_state`` or ``merge_state`` of your own is for attributes that are not declared: it runs after the
    derived one, which has reset or merged the declared states already.

    An attribute that ``update_state`` or ``reset_state`` sets and that is not declared makes a derived merge impossible:
    it raises ``UndeclaredState`` and names it. List names that no result depends on in ``scratch``.

    Example:
        >>> import mergeable as mg
        >>> class Accuracy(mg.Metric):
        ...     right = mg.Count()
        ...     rows = mg.Count()
        ...     def update_state(self, y_true, y_pred):
        ...         self.right += sum(t == p for t, p in zip(y_true, y_pred))
        ...         self.rows += len(y_true)
        ...     def result(self):
        ...         return self.right / self.rows
        >>> monday, tuesday = Accuracy(), Accuracy()
        >>> monday.update_state([1, 0, 1], [1, 1, 1])
        >>> tuesday.update_state([0], [0])
        >>> monday.merge_state([tuesday])
        >>> monday
        <Accuracy accuracy = 0.75 (2 updates, 4 rows, 2 origins, replica 0)>
    """

    scratch: ClassVar[Collection[str]] = ()
    """Attributes that ``update_state`` sets and that no result depends on: they are not state."""

    joins: ClassVar[bool] = False
    """Whether an update with the rows of several batches does what their updates one after another do, to the bit,
    which the law "batch split" of ``check_metric`` tests. Arrays of equal shapes that wait in a queue are given to it at once."""

    _labels: ClassVar[frozenset[str]] = LABELS
    """Arguments and attributes that no result depends on, so that metrics merge whatever theirs are."""

    _own_states: ClassVar[States] = {}
    _class_states: ClassVar[States] = {}
    _private_names: ClassVar[frozenset[str]] = frozenset()
    _names: ClassVar[frozenset[str]] = frozenset()
    """Names of the library that no attribute of the user's may have: the private ones, and those of methods too."""

    _membership: Membership

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        private = names.reserved(cls) | _INTERNAL
        names.check_methods(cls)
        names.check_class(cls, private)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, State)}
        for name in own:
            vars(cls).get("__annotations__", {}).pop(name, None)  # a dataclass would take it for a field
            delattr(cls, name)  # so that __getattr__ finds the state of the replica, or the merged one
            if hasattr(cls, name) or name in LABELS:
                raise TypeError(f"{cls.__name__}.{name}: a base class has an attribute of that name; choose another.")
        cls._own_states = own
        bases = [vars(base).get("_own_states", {}) for base in reversed(cls.__mro__)]  # all of several base classes
        cls._class_states = {name: state for states in bases for name, state in states.items()}
        cls._private_names = private - names.OF_EVERY_CLASS
        cls._names = private | names.methods(cls)
        host_verbs(cls, Metric)

    def __new__(cls: type[M], /, *args: Any, **kwargs: Any) -> M:
        """Set up what needs no ``__init__``."""
        names.check_class(cls, cls._private_names)  # what the class was given after it was made is looked at too
        host_verbs(cls, Metric)
        self = object.__new__(cls)  # a framework's own __new__ would wrap the verbs
        self.__dict__.update(
            _states=dict(cls._class_states),
            _slots={},
            _inlet=None,
            _view=None,
            _thread=None,
            _verb=None,
            _lock=threading.RLock(),
            _undeclared=set(),  # set by updates and resets
            _cached=set(),  # set by result alone
            _arguments=constructor_arguments(cls, args, kwargs),
            _membership=Membership(),
        )
        return self

    def __init__(self, name: str | None = None) -> None:
        self.name = name or default_name(type(self))
        self.reset_state()

    def add_state(self, name: str, state: State) -> None:
        """Declare a state in ``__init__``, where its parameters come from the constructor.

        Raises:
            TypeError: ``state`` is not a state. ValueError: the name is taken.
        """
        if not isinstance(state, State):
            raise TypeError(
                f"{type(self).__name__}.add_state({name!r}): got {state!r}, expected a state, such as mergeable.Sum() or "
                "mergeable.state(factory, merge)."
            )
        if name in self._states or hasattr(type(self), name) or name in self._names or name in LABELS:
            raise ValueError(f"{type(self).__name__}.add_state({name!r}): the name is taken; choose another.")
        self.__dict__.pop(name, None)
        self._undeclared.discard(name)
        self._states[name] = state.empty()
        for slot in self._slots.values():
            slot.states[name] = state.empty()
        if self._view is not None and name not in self._view:
            self._view[name] = state.empty()
        self._membership.updated()

    # The verbs. A subclass writes the first two.

    @hosted
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take one batch."""
        raise NotImplementedError(f"{type(self).__name__}.update_state is not defined; write it.")

    @hosted
    def result(self) -> Any:
        """Read the answer from the merged states.

        Where several processes work, those of all of them, so outside of a step every process must call this, in the same
        order; ``snapshot(local=True)`` is what one process alone holds.
        """
        raise NotImplementedError(f"{type(self).__name__}.result is not defined; write it.")

    @hosted
    def reset_state(self) -> None:
        """Empty every state. Also called at construction."""

    @hosted
    def merge_state(self, metrics: Iterable[Metric]) -> None:
        """Take all that other metrics of this class and these parameters have taken; they stay as they are.

        A snapshot, or the path of its file, stands for the metric that it was taken of.

        Raises:
            IncompatibleStates: a metric has another class or other parameters, or is this one.
            DuplicateOrigin: the same updates would count twice.
            UndeclaredState: a metric holds values in attributes that are not declared.
        """

    # What the verbs do when called from outside.

    def _dispatch_update_state(self, *args: Any, **kwargs: Any) -> None:
        self._update_slot(0, args, kwargs)

    def _dispatch_result(self) -> Any:
        return self._job_result()

    def _dispatch_reset_state(self) -> None:
        check_outside(self, "reset_state")
        with self._lock, Named(self, "reset_state"):
            before, self.__dict__["_slots"] = self._slots, {}
            try:
                with self._inside(self._slot(0).states, "reset_state"), Kept(self):
                    self.reset_state()
            except BaseException:
                self.__dict__["_slots"] = before
                raise
            self._membership.reset()
            if self._inlet is not None:
                self._inlet.reset()
        self._settle()

    def _dispatch_merge_state(self, metrics: Iterable[Metric]) -> None:
        check_outside(self, "merge_state")
        who = f"{type(self).__name__}.merge_state"
        if isinstance(metrics, Metric) or is_saved(metrics):
            raise TypeError(f"{who}: got one metric, expected a list of metrics. Write merge_state([metric]).")
        metrics = self._pieces(metrics, who)
        for other in metrics:
            if not isinstance(other, Metric):
                raise IncompatibleStates(
                    f"{who}: got {type(other).__name__}, expected metrics of class {type(self).__name__}, snapshots of them, or paths."
                )
            if other is self:
                raise IncompatibleStates(f"{who}: got the metric itself, which would count its updates twice. Leave it out.")
        for metric in (self, *metrics):
            metric._settle()
        with ExitStack() as locks:
            for metric in sorted([self, *metrics], key=id):  # one order for all threads
                locks.enter_context(metric._lock)
            overridden = self._merges_by_itself
            for other in metrics:
                check_mergeable(self, other)
                if not overridden:
                    check_declared(self, other)
            with Named(self, "merge_state"):
                merged = self._folded_slot()
                for other in metrics:
                    for _, slot in sorted(other._slots.items()):
                        merged.merge(slot)
                if overridden:
                    with self._inside(_frozen(copy.deepcopy(merged.states)), "merge_state"), Kept(self):
                        self.merge_state(metrics)
            self.__dict__["_slots"] = {0: merged}
            self._membership.updated()

    @final
    def _update_slot(
        self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], updates: int = 1, rows: int | None = None
    ) -> None:
        """Run the user's ``update_state`` on one replica's states; what a failure has written is undone.

        The rows are those of one update, or of several that ``joins`` allows to be one.
        """
        with self._lock:
            self._membership.updated()
            slot = self._slot(replica)
            states = slot.states
            with Named(self, "update_state", replica), self._inside(states, "update_state"), Kept(self), Undone(states):
                self.update_state(*args, **kwargs)
            slot.count(replica, row_count(args, kwargs) if rows is None else rows, self._membership.worker, updates)

    @final
    def _skip_slot(self) -> None:
        """Take note of an update with an empty batch, which no user's code sees."""
        self._membership.updated()

    @final
    def _folded_result(self) -> Any:
        """Run the user's ``result`` on the merged states."""
        with self._lock, self._inside(_frozen(self._fold()), "result"), Named(self, "result"):
            return self.result()

    @final
    def _job_result(self, *, alone: bool = False) -> Any:
        """Run the user's ``result`` on the merged states of all processes of the job; ``alone`` exchanges no other metric."""
        membership = self._membership
        if membership.job is None:
            self._settle()
            return self._folded_result()
        merged = membership.job.merged(self, alone=alone)
        value = merged._folded_result()
        for name in merged._cached:
            self._set_plain(name, merged.__dict__[name])
        self._cached.update(merged._cached)
        membership.told = merged.coverage, value
        return value

    def _result_when_empty(self) -> Any:
        """Run the user's ``result`` on empty states, to learn its structure."""
        with self._inside({name: state.empty() for name, state in self._states.items()}, "result"):
            return self.result()

    @final
    def _fold(self, *names: str) -> States:
        """Merge the slots, in replica order, into fresh states: all of them, or those named."""
        with self._lock:
            merged = {name: self._states[name].empty() for name in names or self._states}
            for _, slot in sorted(self._slots.items()):
                merge_alike(merged, slot.states)  # all slots have states with the parameters of these
            return merged

    @final
    def _folded_slot(self) -> Slot:
        """Merge the slots into a fresh one, with what they cover."""
        with self._lock:
            return Slot(self._fold(), self._own_coverage(), self._slot(0).origin)

    def _on_host(self) -> Metric:
        """Return the metric whose states these are. Not a property: Keras walks along those, and this leads to itself."""
        return self

    @final
    def _whole(self) -> Metric:
        """Return a metric that holds what this one holds in all processes of its job.

        Raises:
            UndeclaredState: there are several, and no declaration says how attributes merge.
        """
        if self._membership.job is None:
            return self._detached()
        check_declared(self)
        return self._membership.job.merged(self, alone=False, verb="snapshot")

    @final
    def _detached(self) -> Metric:
        """Return a metric that holds, in one slot, what this process brings to its job."""
        self._settle()
        with self._lock:
            brings = {
                replica: slot for replica, slot in self._slots.items() if replica != RESTORED or not self._membership.worker
            }
            twin: Metric = self._twin(brings, copy.deepcopy(self._undeclared_values()))
            twin.__dict__["_slots"] = {0: twin._folded_slot()}
            return twin

    @final
    def _twin(self, slots: dict[int, Slot], undeclared: Mapping[str, Any]) -> Metric:
        """Return a metric like this one that has other slots, and other values of undeclared attributes."""
        twin = object.__new__(type(self))
        kept = {name: value for name, value in self.__dict__.items() if name not in self._undeclared}
        twin.__dict__.update(
            {
                **kept,
                **_blank(type(self)).__dict__,
                "_states": self._states,
                "_slots": slots,
                "_undeclared": set(undeclared),
                "_arguments": self._arguments,
                **undeclared,
            }
        )
        return twin

    def as_state(self) -> State:
        """Return the empty state of such a metric, as ``Keyed``, ``Sliced`` and ``Bootstrap`` hold it; this one stays as it is.

        They give it the rows of each key as NumPy arrays, also where it is a Keras metric.

        Raises:
            UndeclaredState: the metric holds values in attributes that are not declared, or has a merge of its own.
        """
        check_nothing_undeclared(self)
        if self._merges_by_itself:
            raise UndeclaredState(
                f"{type(self).__name__}.as_state: got a metric with a merge_state of its own, expected declared states that merge by "
                "themselves. Declare what it merges."
            )
        return Nested(self._twin({}, {}))

    @staticmethod
    def _received(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return a batch as ``update_state`` of this kind of metric gets it; None where such metrics do not see it."""
        return args, kwargs

    @classmethod
    def _configured(cls: type[M], arguments: Mapping[str, Any]) -> M:
        """Return a new metric with the constructor arguments that a configuration of the program's own holds."""
        return cls(**arguments)

    @property
    def _merges_by_itself(self) -> bool:
        """Whether the class has a ``merge_state`` of its own."""
        return type(self).merge_state is not Metric.merge_state

    @property
    def coverage(self) -> Coverage:
        """Which updates the last result over all processes holds; after a change, and in one process, what this one holds."""
        self._take_in()
        told = self._membership.told
        return self._own_coverage() if told is None else told[0]

    def _own_coverage(self) -> Coverage:
        with self._lock:
            coverage = Coverage()
            for _, slot in sorted(self._slots.items()):
                coverage = coverage.joined(slot.coverage)
            return coverage

    # Attributes: a declared name is the state of this replica inside update_state, the merged one elsewhere.

    def __getattr__(self, name: str) -> Any:
        states = self.__dict__.get("_states", {})
        if name not in states:
            if name == "name":  # a constructor of the user's has not called ours
                return self._own_name()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if self._is_inside:
            return self._view[name].view()
        return _frozen(self._fold(name))[name].view()

    def _own_name(self) -> str:
        """Return the name that the constructor was given, or that of the class."""
        name = self._arguments.get("name")
        return name if isinstance(name, str) and name else default_name(type(self))

    def __setattr__(self, name: str, value: Any) -> None:
        inside = self._is_inside
        if name in self._states:
            if inside:
                self._assign(self._view[name], value)
            else:
                with self._lock:
                    fresh = self._states[name].empty()
                    self._assign(fresh, value)
                    for slot in self._slots.values():
                        slot.states[name] = fresh.empty()
                    self._slot(0).states[name] = fresh
                    self._membership.updated()
        elif isinstance(value, State):
            self.add_state(name, value)
            (self._view if inside else self._slot(0).states)[name].assign(value)
        else:
            if name in self._names and not names.is_set_by_library(type(self)):
                names.refuse(type(self), name)
            if name in names.FACTS:
                names.check_fact(type(self), name, value)
            if inside and name not in self.scratch:
                (self._cached if self.__dict__["_verb"] == "result" else self._undeclared).add(name)
            self._set_plain(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)

    @staticmethod
    def _assign(state: State, value: Any) -> None:
        if value is not state and value is not state.view():  # ``self.count += 1`` ends in self.count = self.count
            state.assign(value)

    # Inside: this thread runs the user's code, on these states.

    @property
    def _is_inside(self) -> bool:
        thread: int | None = self.__dict__["_thread"]
        return thread == get_ident()

    def _inside(self, view: States, verb: str) -> Shown:
        return Shown(self._lock, self.__dict__, {"_view": view, "_thread": get_ident(), "_verb": verb})

    # What must agree to merge (agreement.py), and what is kept.

    def _parameters(self) -> dict[str, Any]:
        """Constructor arguments and plain attributes, but for labels."""
        varying = {*self._undeclared, *self._cached, *self.scratch}
        plain = {k: v for k, v in self._plain_attributes().items() if k not in varying}
        return {k: v for k, v in {**self._arguments, **plain}.items() if k not in self._labels}

    def _plain_attributes(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _INTERNAL}

    def _undeclared_values(self) -> dict[str, Any]:
        """Return the attributes that are no states, but hold what updates have set; copied one level deep."""
        return {name: shallow(self.__dict__[name]) for name in self._undeclared if name in self.__dict__}

    # Copies and pickles: the states, the plain attributes, and no lock.

    def __reduce__(self) -> Any:
        return _blank, (type(self),), self.__getstate__()

    def __copy__(self) -> Metric:
        return copy.deepcopy(self)  # a shallow copy would share its states

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            self._take_in()
            kept = ("_states", "_slots", "_undeclared", "_cached", "_arguments")
            return {"plain": self._plain_attributes(), **{name: self.__dict__[name] for name in kept}}

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self.__dict__.update(saved["plain"], **{name: value for name, value in saved.items() if name != "plain"})

    def __repr__(self) -> str:
        try:
            self._take_in()
            told = self._membership.told  # a repr asks no other process
            value = self._folded_result() if told is None else told[1]
            value = repr(value.item() if isinstance(value, np.generic) else value)
        except Exception as error:  # a repr must not fail, and a result on empty states may
            value = f"{type(error).__name__}: {error}"
        return f"<{type(self).__name__} {self.name} = {value} ({self.coverage})>"

    def __str__(self) -> str:
        return repr(self)


def _frozen(states: States) -> States:
    for state in states.values():
        state.freeze()
    return states


def _blank(cls: type[M]) -> M:
    return cls.__new__(cls)


_INTERNAL = frozenset(vars(_blank(Metric)))
"""Attributes that every metric has."""
