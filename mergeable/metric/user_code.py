"""Running user code: the states that a verb sees, and the rollback of a change that fails or is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, final

from mergeable.errors import add_note
from mergeable.metric.arguments import shallow
from mergeable.metric.internals import ATTRIBUTE, Internals, nothing
from mergeable.part import Part, States
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.wording import shown

T = TypeVar("T")

_NO_NAMES: Mapping[str, Any] = {}


def run_verb(metric: Any, verb: str, view: States, args: Iterable[Any] = (), kwargs: Mapping[str, Any] = _NO_NAMES) -> Any:
    """Run the user's method of a verb, which sees these states under their names, and return what it returns."""
    method = getattr(type(metric), verb)
    written = method.__wrapped__ if hasattr(method, "__hosted__") else method  # the method without what finds out who calls it
    return run(metric.__dict__[ATTRIBUTE], verb, view, written, metric, *args, **kwargs)


def run(inner: Internals, verb: str, view: States, code: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Return ``code(*args, **kwargs)``, the user's code of a verb, which sees these states under their names."""
    outer = inner.view, inner.verb
    inner.verb = verb
    inner.view = view
    try:
        return code(*args, **kwargs)
    finally:
        inner.view, inner.verb = outer


def note(error: Exception, metric: Any, verb: str, replica: int | None = None) -> None:
    """Add to an exception of the user's code in which metric, verb and replica it came."""
    where = f"in {type(metric).__name__}.{verb} (metric {shown(metric.name)}"
    undone = f", replica {replica}); the state is as before this update"
    add_note(error, where + (")" if replica is None else undone))


@final
class Change:
    """One change of a metric, from before its first write to after its last: the block decides it, or all of it is undone.

    The metric knows it for so long. The block runs the user's code, on states of a part that remember their values, or beside the
    metric; then it sets ``then``, which is one write, and decides; then ``then`` does the rest. Whoever finds a change in a metric that nobody is in ends it:
    one that was not decided is undone, and of one that was, ``then`` is done again. Both may be cut off in turn, and begin anew.
    """

    __slots__ = (
        "_attributes",
        "_contribution",
        "_inner",
        "_metric",
        "_part",
        "_replica",
        "_states",
        "_values",
        "_verb",
        "then",
    )

    def __init__(self, metric: Any, verb: str, part: Part | None = None, replica: int | None = None) -> None:
        inner: Internals = metric.__dict__[ATTRIBUTE]
        self._metric, self._inner, self._verb, self._part, self._replica = metric, inner, verb, part, replica
        self._attributes, self._values = dict(metric.__dict__), undeclared_values(metric)
        self._states: States = {} if part is None else dict(part.states)
        self._contribution = None if part is None else part.contributions.get(part.origin or "")
        self.then: Callable[[], None] | None = None  # set by the block: from there on nothing is undone

    def __enter__(self) -> Change:
        self._inner.change = self
        try:
            savepoint(*self._states.values())
        except BaseException as error:
            self.__exit__(type(error), error)
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self.end()
        if isinstance(error, Exception):
            note(error, self._metric, self._verb, self._replica)

    def end(self) -> None:
        """Complete the change where it was decided, or undo it."""
        if self.then is None:
            self._undo_states()
            self._undo_attributes()
        else:
            commit(*self._states.values())
            if self.then is not nothing:
                self.then()
        self._inner.change = None

    def _undo_states(self) -> None:
        rollback(*self._states.values())
        part = self._part
        if part is None:
            return
        for name in part.states.keys() - self._states.keys():  # declared by the user's code
            part.states[name] = part.states[name].empty()
        origin = part.origin or ""  # the one under which updates count; it may be new
        if self._contribution is None:
            part.contributions.pop(origin, None)
        else:
            part.contributions[origin] = self._contribution

    def _undo_attributes(self) -> None:
        """Bring back the attributes that are no states."""
        attributes, undeclared = self._metric.__dict__, self._inner.undeclared
        for name in undeclared - self._values.keys():  # set for the first time
            if name in self._attributes:
                attributes[name] = self._attributes[name]
            else:
                attributes.pop(name, None)
        undeclared.intersection_update(self._values)
        attributes.update(self._values)


def undeclared_values(metric: Any) -> dict[str, Any]:
    """Return copies, one level deep, of the attributes that updates have set and that are no states."""
    names = metric.__dict__[ATTRIBUTE].undeclared
    return {name: shallow(metric.__dict__[name]) for name in names if name in metric.__dict__} if names else {}
