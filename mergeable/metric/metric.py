"""Idea 2: a metric is a set of declared states; everything else is derived.

Each replica has states of its own (a slot). ``update_state`` sees the slot of the replica whose batch this is; ``result``
sees the fold, the slots merged in replica order into fresh states.

Not its job: to know Keras, or how replicas and processes meet.
"""

from __future__ import annotations

import copy
from abc import ABCMeta
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, UndeclaredState
from mergeable.holder import host_of
from mergeable.metric import operations
from mergeable.metric.arguments import constructor_arguments
from mergeable.metric.as_state import Nested, check_nothing_undeclared
from mergeable.metric.declaration import Declaration
from mergeable.metric.descriptor import declare, declared_states, found, read
from mergeable.metric.internals import ATTRIBUTE, Internals, internals
from mergeable.metric.saving import Saveable, is_saved
from mergeable.metric.user_code import undeclared_values
from mergeable.metric.verbs import are_hosted, check_not_recorded, check_outside, host_verbs, hosted, tracers
from mergeable.part import States
from mergeable.registry import LABELS, default_name
from mergeable.state import State, access, names
from mergeable.state.hints import NoFunction
from mergeable.wording import shown

M = TypeVar("M", bound="Metric")

if TYPE_CHECKING:  # pyright finds fewer misspelt attributes of abstract classes
    _Kind = type
else:
    _Kind = ABCMeta  # with which other classes register that have all that a metric has


class Metric(Saveable, NoFunction, metaclass=_Kind):
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

    _class_states: ClassVar[States] = {}
    _private_names: ClassVar[frozenset[str]] = frozenset()
    _names: ClassVar[frozenset[str]] = frozenset()
    """Names of the library that no attribute of the user's may have: the private ones, and those of methods too."""

    _users: ClassVar[tuple[type, ...]] = ()
    """The bases that are the user's."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names.claim(cls, frozenset({ATTRIBUTE}))
        declare(cls, Metric)
        cls._class_states = declared_states(cls)
        host_verbs(cls, Metric)

    def __new__(cls: type[M], /, *args: Any, **kwargs: Any) -> M:
        """Set up the internals, which need no ``__init__``."""
        if not all(cls._private_names.isdisjoint(vars(base)) for base in cls._users):  # what it was given after it was made
            names.check_class(cls, cls._private_names)
        if not are_hosted(cls):
            host_verbs(cls, Metric)
        self = object.__new__(cls)  # a framework's own __new__ would wrap the verbs
        arguments = constructor_arguments(cls, args, kwargs)
        self.__dict__[ATTRIBUTE] = Internals(Declaration(cls, dict(cls._class_states), arguments))
        return self

    def __init__(self, name: str | None = None) -> None:
        names.check_text(type(self), name)
        self.name = name or default_name(type(self))
        inner = internals(self)
        is_new = not inner.slots.parts and inner.queue is None  # and empty, but for what a reset of its own sets
        if not is_new or type(self).reset_state is not Metric.reset_state:
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
        inner = internals(self)
        inner.enter(self._declare, inner, name, state)

    def _declare(self, inner: Internals, name: str, state: State, initial: State | None = None) -> None:
        """Add a state; this replica, or outside of a verb the first one, begins with ``initial``."""
        if name in inner.declaration.states or found(type(self), name) is not None or name in self._names or name in LABELS:
            raise ValueError(f"{type(self).__name__}.add_state({shown(name)}): the name is taken; choose another.")
        inner.slots.declare(name, state)
        if inner.view is not None:
            inner.view[name] = state.empty() if initial is None else initial
        elif initial is not None:
            inner.slots.replace(name, initial)
        self.__dict__.pop(name, None)
        inner.undeclared.discard(name)
        inner.membership.updated()

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
    def merge_state(self, metrics: Iterable[Any]) -> None:
        """Take all updates that other metrics of this class and these parameters have taken; the others stay as they are.

        A snapshot, or the path of its file, stands for the metric that it was taken of.

        Raises:
            IncompatibleStates: a metric has another class or other parameters, or is this one.
            DuplicateOrigin: the same updates would count twice.
            UndeclaredState: a metric holds values in attributes that are not declared.
        """

    # What the verbs do when called from outside.

    _dispatch_update_state = operations.take
    _dispatch_result = operations.result

    def _dispatch_reset_state(self) -> None:
        check_outside(self, "reset_state")
        operations.reset(self)

    def _dispatch_merge_state(self, metrics: Iterable[Metric]) -> None:
        check_outside(self, "merge_state")
        who = f"{type(self).__name__}.merge_state"
        if isinstance(metrics, Metric) or is_saved(metrics):
            raise TypeError(f"{who}: got one metric, expected a list of metrics. Write merge_state([metric]).")
        metrics = self._pieces(map(host_of, metrics), who)
        for other in metrics:
            if not isinstance(other, Metric):
                raise IncompatibleStates(
                    f"{who}: got {type(other).__name__}, expected metrics of class {type(self).__name__}, snapshots of them, or paths."
                )
            if other is self:
                raise IncompatibleStates(f"{who}: got the metric itself, which would count its updates twice. Leave it out.")
        operations.merge(self, metrics)

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
        return Nested(operations.twin(self))

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
        """The updates that the last result over all processes covers; after a change, and in one process, those of this process."""
        inner = internals(self)
        inner.take_in()
        last = inner.membership.last_result
        return inner.coverage() if last is None else last[0]

    # Attributes: a declared name is the state of this replica inside update_state, the merged one elsewhere.

    if not TYPE_CHECKING:  # for a checker of types, any name would be an attribute

        def __getattr__(self, name: str) -> Any:
            inner = self.__dict__.get(ATTRIBUTE)
            if inner is None:
                raise AttributeError(f"{shown(type(self).__name__)} object has no attribute {shown(name)}")
            if name == "name":  # which is no state's; a constructor of the user's has not called ours
                return names.own_name(type(self), inner.declaration.arguments)
            return read(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            inner = self.__dict__[ATTRIBUTE]
            in_user_code = inner.runs_user_code
            if name in inner.declaration.states:
                self._write_declared(name, value)
            elif isinstance(value, State):
                inner.enter(self._declare, inner, name, value, access.twin_of(value))
            else:
                names.check_attribute(type(self), name, value)
                if in_user_code and name not in self.scratch:
                    if tracers:
                        check_not_recorded(self, name)
                    (inner.cached if inner.verb == "result" else inner.undeclared).add(name)
                self._set_plain(name, value)

    def _write_declared(self, name: str, value: Any) -> None:
        inner = self.__dict__[ATTRIBUTE]
        if inner.runs_user_code:
            self._assign(inner.view[name], value)
        else:
            inner.enter(self._replace, inner, name, value)

    def _replace(self, inner: Internals, name: str, value: Any) -> None:
        """Answer ``metric.name = value`` from outside: the first replica holds the value, and the others nothing."""
        state = inner.declaration.states[name].empty()
        self._assign(state, value)
        inner.slots.replace(name, state)
        inner.membership.updated()

    def _set_plain(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)

    @staticmethod
    def _assign(state: State, value: Any) -> None:
        if value is not state and value is not access.view(state):  # ``self.count += 1`` ends in self.count = self.count
            access.assign(state, value)

    # What must agree to merge, and what is kept.

    def _parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments and plain attributes, but for labels."""
        inner = internals(self)
        varying = {*inner.undeclared, *inner.cached, *self.scratch}
        plain = {name: value for name, value in self._plain_attributes().items() if name not in varying}
        return inner.declaration.parameters(plain, self._labels)

    def _plain_attributes(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != ATTRIBUTE}

    def _result_on_nothing(self) -> Any:
        """Return the result of empty states, which shows its structure."""
        return self.result()

    # Copies and pickles: the states, the plain attributes, and no lock.

    def __reduce__(self) -> Any:
        return blank, (type(self),), self.__getstate__()

    def __copy__(self) -> Metric:
        return copy.deepcopy(self)  # a shallow copy would share its states

    def __getstate__(self) -> dict[str, Any]:
        inner = internals(self)
        return inner.enter(self._content, inner)

    def _content(self, inner: Internals) -> dict[str, Any]:
        """Return copies of the states, the attributes and the coverage."""
        return {
            "plain": {**self._plain_attributes(), **undeclared_values(self)},
            "_states": dict(inner.declaration.states),
            "_slots": inner.slots.copied(),
            "_undeclared": set(inner.undeclared),
            "_cached": set(inner.cached),
            "_arguments": inner.declaration.arguments,
        }

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        inner = Internals(Declaration(type(self), saved["_states"], saved["_arguments"]), saved["_slots"])
        inner.undeclared, inner.cached = saved["_undeclared"], saved["_cached"]
        self.__dict__.update(saved["plain"])
        self.__dict__[ATTRIBUTE] = inner

    def __repr__(self) -> str:
        who, value, coverage = type(self).__name__, "", ""
        try:
            who = f"{who} {self.name}"
            coverage = f" ({self.coverage})"
            last = internals(self).membership.last_result  # a repr asks no other process
            value = operations.result_here(self) if last is None else last[1]
            value = repr(value.item() if isinstance(value, np.generic) else value)
        except Exception as error:  # a repr must not fail, and a result on empty states may
            value = f"{type(error).__name__}: {error}"
        return f"<{who} = {value}{coverage}>"

    def __str__(self) -> str:
        return repr(self)


def blank(cls: type[M]) -> M:
    """Return a metric whose constructor has not run, which a pickle or a copy fills."""
    return cls.__new__(cls)
