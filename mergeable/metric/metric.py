"""Idea 2: a metric is a set of declared states; everything else is derived.

Each replica has states of its own (a slot). ``update_state`` sees the slot of the replica whose batch this is; ``result``
sees the fold, the slots merged in replica order into fresh states.

Not its job: to know Keras, or how replicas and processes meet.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, UndeclaredState
from mergeable.metric.agreement import check_declared, check_mergeable
from mergeable.metric.arguments import constructor_arguments, row_count, shallow
from mergeable.metric.attempt import Attempt, Named
from mergeable.metric.inside import are_hosted, check_not_recorded, check_outside, host_verbs, hosted, tracers
from mergeable.metric.intake import RESTORED, nothing, process
from mergeable.metric.membership import Membership
from mergeable.metric.running import Running, frozen
from mergeable.metric.saving import Saveable, is_saved
from mergeable.part import Part, States
from mergeable.registry import LABELS, default_name
from mergeable.state import State, access, names
from mergeable.state.hints import NoFunction
from mergeable.states.metric_state import Nested, check_nothing_undeclared
from mergeable.wording import shown

M = TypeVar("M", bound="Metric")


class Metric(Running, Saveable, NoFunction):
    """A metric with declared states and no framework.

    A subclass names its states on the class, or calls ``add_state`` in ``__init__``, and writes ``update_state`` and
    ``result`` as for one process and one pass. ``reset_state``, ``merge_state``, pickling, copies and the fold over replicas
    are derived. A ``reset_state`` or ``merge_state`` of your own is for attributes that are not declared: it runs after the
    derived one, which has reset or merged the declared states already. A verb calls no other verb of its metric, which would find
    half of an update: what two of them need goes into a method of its own.

    Verbs may be called from any thread, one runs at a time, and each is done as a whole or not at all, wherever an exception, an
    interrupt (Ctrl-C) or a fork cuts it off. While the code of a verb runs, other threads wait: a thread that it starts and waits for
    must not read the metric.

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

    _users: ClassVar[tuple[type, ...]] = ()
    """The bases that are the user's."""

    _membership: Membership

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names.claim(cls, _INTERNAL)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, State)}
        for name in own:
            vars(cls).get("__annotations__", {}).pop(name, None)  # a dataclass would take it for a field
            delattr(cls, name)  # so that __getattr__ finds the state of the replica, or the merged one
            if names.has(cls, name) or name in LABELS:
                raise TypeError(f"{cls.__name__}.{name}: a base class has an attribute of that name; choose another.")
        cls._own_states = own
        bases = [vars(base).get("_own_states", {}) for base in reversed(cls.__mro__)]  # all of several base classes
        cls._class_states = {name: state for states in bases for name, state in states.items()}
        host_verbs(cls, Metric)

    def __new__(cls: type[M], /, *args: Any, **kwargs: Any) -> M:
        """Set up what needs no ``__init__``."""
        if not all(cls._private_names.isdisjoint(vars(base)) for base in cls._users):  # what it was given after it was made
            names.check_class(cls, cls._private_names)
        if not are_hosted(cls):
            host_verbs(cls, Metric)
        self = object.__new__(cls)  # a framework's own __new__ would wrap the verbs
        self.__dict__.update(
            _states=dict(cls._class_states),
            _slots={},
            _inlet=None,
            _view=None,
            _verb=None,
            _attempt=None,
            _lock=threading.RLock(),
            _process=process(),
            _undeclared=set(),  # set by updates and resets
            _cached=set(),  # set by result alone
            _arguments=constructor_arguments(cls, args, kwargs),
            _membership=Membership(),
        )
        return self

    def __init__(self, name: str | None = None) -> None:
        names.check_text(type(self), name)
        self.name = name or default_name(type(self))
        self.reset_state()

    def add_state(self, name: str, state: Any) -> None:
        """Declare a state in ``__init__``, where its parameters come from the constructor.

        Raises:
            TypeError: ``state`` is not a state. ValueError: the name is taken.
        """
        if not isinstance(state, State):
            raise TypeError(
                f"{type(self).__name__}.add_state({shown(name)}): got {shown(state)}, expected a state, such as mergeable.Sum() or "
                "mergeable.state(factory, merge)."
            )
        if name in self._states or names.has(type(self), name) or name in self._names or name in LABELS:
            raise ValueError(f"{type(self).__name__}.add_state({shown(name)}): the name is taken; choose another.")
        self._enter(self._declare, name, state)

    def _declare(self, name: str, state: State) -> None:
        for slot in self._slots.values():
            slot.states[name] = state.empty()
        if self._view is not None and name not in self._view:
            self._view[name] = state.empty()
        self.__dict__.pop(name, None)
        self._undeclared.discard(name)
        self._states[name] = state.empty()
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
        self._enter(self._reset)
        self._settle()

    def _reset(self, restored: Part | None = None, undeclared: Mapping[str, Any] | None = None) -> None:
        """Run the user's ``reset_state`` on empty states, and begin with these, or with what is restored."""
        empty = Part.empty(self._states)

        def act() -> None:
            with Named(self, "reset_state"):
                self._run("reset_state", self.reset_state, empty.states)
            self._undeclared.update(undeclared or ())
            self.__dict__.update(undeclared or {})

        def then() -> None:
            self.__dict__["_slots"] = {0: empty} if restored is None else {RESTORED: restored}
            if self._inlet is not None:
                self._inlet.reset()
            self._membership.reset()
            if restored is not None:
                self._membership.updated()

        Attempt(self).make(act, then=then)

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
        for other in metrics:
            check_mergeable(self, other)
            if not self._merges_by_itself:
                check_declared(self, other)
        brought: Part | None = None
        if self._merges_by_itself:  # whose code reads them while this one is held
            metrics = [other._enter(other._still) for other in metrics]
        with Named(self, "merge_state"):
            for other in metrics:  # one after the other: threads that had two metrics to themselves could wait for one another
                brought = other._enter(other._joined_to, brought)
        self._enter(self._merge, brought, metrics)

    def _merge(self, brought: Part | None, metrics: list[Metric]) -> None:
        """Merge with the slots what other metrics have brought, and run the user's ``merge_state``."""
        made: list[Part] = []

        def act() -> None:
            with Named(self, "merge_state"):
                merged = self._folded_slot()
                if brought is not None:
                    merged.merge(brought)
                if self._merges_by_itself:
                    self._run("merge_state", self.merge_state, frozen(copy.deepcopy(merged.states)), (metrics,))
                made.append(merged)

        def then() -> None:
            self.__dict__["_slots"] = {0: made[0]}
            self._membership.updated()

        Attempt(self).make(act, then=then)

    @final
    def _update_slot(
        self,
        replica: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        updates: int = 1,
        rows: int | None = None,
        *,
        then: Callable[[], None] = nothing,
    ) -> None:
        """Run the user's ``update_state`` on one replica's states; what a failure has written is undone.

        The rows are those of one update, or of several that ``joins`` allows to be one. ``then`` is called once it is certain that
        the update counts, again where that was cut off.
        """

        def act(slot: Part) -> None:
            self._run("update_state", self.update_state, slot.states, args, kwargs)
            slot.count(replica, row_count(args, kwargs) if rows is None else rows, self._membership.worker, updates)

        def update() -> None:
            self._membership.updated()
            slot = self._slot(replica)
            with Named(self, "update_state", replica):
                Attempt(self, slot).make(act, slot, then=then)

        self._enter(update)

    @final
    def _skip_slot(self) -> None:
        """Take note of an update with an empty batch, which no user's code sees."""
        self._membership.updated()

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
        return self._enter(self._detached_here)

    def _detached_here(self) -> Metric:
        brings = {replica: slot for replica, slot in self._slots.items() if replica != RESTORED or not self._membership.worker}
        twin: Metric = self._twin(brings, copy.deepcopy(self._undeclared_values()))
        twin.__dict__["_slots"] = {0: twin._folded_slot()}
        return twin

    @final
    def _twin(self, slots: dict[int, Part], undeclared: Mapping[str, Any]) -> Metric:
        """Return a metric like this one that has other slots, and other values of undeclared attributes."""
        twin = object.__new__(type(self))
        kept = {name: value for name, value in self.__dict__.items() if name not in self._undeclared}
        twin.__dict__.update(
            {
                **kept,
                **blank(type(self)).__dict__,
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

    # Attributes: a declared name is the state of this replica inside update_state, the merged one elsewhere.

    def __getattr__(self, name: str) -> Any:
        states = self.__dict__.get("_states", {})
        if name not in states:
            if name == "name":  # a constructor of the user's has not called ours
                return names.own_name(self)
            raise AttributeError(f"{shown(type(self).__name__)} object has no attribute {shown(name)}")
        if self._is_inside:
            if tracers:
                check_not_recorded(self, name)
            return access.view(self._view[name])
        return access.view(frozen(self._fold(name))[name])

    def __setattr__(self, name: str, value: Any) -> None:
        inside = self._is_inside
        if name in self._states:
            if inside:
                self._assign(self._view[name], value)
            else:
                self._enter(self._replace, name, value)
        elif isinstance(value, State):
            self.add_state(name, value)
            if inside:
                access.assign(self._view[name], value)
            else:
                self._enter(self._replace, name, value)
        else:
            names.check_attribute(type(self), name, value)
            if inside and name not in self.scratch:
                if tracers:
                    check_not_recorded(self, name)
                (self._cached if self.__dict__["_verb"] == "result" else self._undeclared).add(name)
            self._set_plain(name, value)

    def _replace(self, name: str, value: Any) -> None:
        """Answer ``metric.name = value`` from outside: the first replica holds the value, and the others nothing."""
        fresh = self._states[name].empty()
        self._assign(fresh, value)
        first = self._slot(0)
        slots = {
            replica: slot.replaced(name, fresh if slot is first else fresh.empty()) for replica, slot in self._slots.items()
        }
        self.__dict__["_slots"] = slots
        self._membership.updated()

    def _set_plain(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)

    @staticmethod
    def _assign(state: State, value: Any) -> None:
        if value is not state and value is not access.view(state):  # ``self.count += 1`` ends in self.count = self.count
            access.assign(state, value)

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
        return blank, (type(self),), self.__getstate__()

    def __copy__(self) -> Metric:
        return copy.deepcopy(self)  # a shallow copy would share its states

    def __getstate__(self) -> dict[str, Any]:
        return self._enter(self._content)

    def _content(self) -> dict[str, Any]:
        """Return all that this metric holds, which no later update reaches."""
        return {
            "plain": {**self._plain_attributes(), **self._undeclared_values()},
            "_states": dict(self._states),
            "_slots": {replica: slot.copied() for replica, slot in self._slots.items()},
            "_undeclared": set(self._undeclared),
            "_cached": set(self._cached),
            "_arguments": self._arguments,
        }

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self.__dict__.update(saved["plain"], **{name: value for name, value in saved.items() if name != "plain"})

    def __repr__(self) -> str:
        who, value, coverage = type(self).__name__, "", ""
        try:
            who = f"{who} {self.name}"
            coverage = f" ({self.coverage})"
            told = self._membership.told  # a repr asks no other process
            value = self._folded_result() if told is None else told[1]
            value = repr(value.item() if isinstance(value, np.generic) else value)
        except Exception as error:  # a repr must not fail, and a result on empty states may
            value = f"{type(error).__name__}: {error}"
        return f"<{who} = {value}{coverage}>"

    def __str__(self) -> str:
        return repr(self)


def blank(cls: type[M]) -> M:
    """Return a metric whose constructor has not run, which a pickle or a copy fills."""
    return cls.__new__(cls)


_INTERNAL = frozenset(vars(blank(Metric)))
"""Attributes that every metric has."""
