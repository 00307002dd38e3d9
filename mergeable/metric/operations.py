"""Operations on a metric, each atomic: update, result, reset, merge, copies, and the part that it holds.

Each function has the metric to itself while it runs, and finds it whole (``internals``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from mergeable.metric.arguments import row_count
from mergeable.metric.declaration import check_declared
from mergeable.metric.internals import ATTRIBUTE, Internals, internals, nothing
from mergeable.metric.slots import RESTORED
from mergeable.metric.user_code import Change, note, run, run_verb, undeclared_values
from mergeable.part import Part, States
from mergeable.state.access import freeze

M = TypeVar("M")


# Updates.


def take(metric: Any, /, *args: Any, **kwargs: Any) -> None:
    """Run the user's ``update_state`` on the states of the first replica."""
    update(metric, 0, args, kwargs)


def update(
    metric: Any,
    replica: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    updates: int = 1,
    *,
    then: Callable[[], None] = nothing,
) -> None:
    """Run the user's ``update_state`` on one replica's states; an update that fails is undone.

    The rows are those of one update, or of several that ``joins`` allows to be one. ``then`` is called once it is certain that
    the update counts, again where that was cut off.
    """
    inner = metric.__dict__[ATTRIBUTE]
    inner.enter(_update, metric, inner, replica, args, kwargs, updates, then)


def _update(  # noqa: PLR0917 - the same
    metric: Any,
    inner: Internals,
    replica: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    updates: int,
    then: Callable[[], None],
) -> None:
    inner.membership.updated()
    part = inner.slots.part(replica)
    with Change(metric, "update_state", part, replica) as change:
        run_verb(metric, "update_state", part.states, args, kwargs)
        part.count(replica, row_count(args, kwargs), inner.membership.rank, updates)
        change.then = then


def skip_update(metric: Any) -> None:
    """Take note of an update with an empty batch, which no user's code sees."""
    internals(metric).membership.updated()


# Results.


def result(metric: Any) -> Any:
    """Run the user's ``result`` on the merged states of all processes of the job."""
    return _result(metric, alone=False)


def result_alone(metric: Any) -> Any:
    """Run the user's ``result`` on the merged states of all processes of the job, which exchange no other metric."""
    return _result(metric, alone=True)


def _result(metric: Any, *, alone: bool) -> Any:
    inner = metric.__dict__[ATTRIBUTE]
    job = inner.membership.job
    if job is None:
        return inner.enter_settled(run_result, metric, inner)
    part = job.merged(metric, alone=alone)
    merged = twin(metric, part)
    value = result_here(merged)
    cached = internals(merged).cached
    for name in cached:
        metric._set_plain(name, merged.__dict__[name])
    inner.cached.update(cached)
    inner.membership.last_result = part.coverage, value
    return value


def result_here(metric: Any) -> Any:
    """Run the user's ``result`` on the merged states of this process."""
    inner = internals(metric)
    return inner.enter(run_result, metric, inner)


def run_result(metric: Any, inner: Internals) -> Any:
    """Run the user's ``result`` on the merged states of this process, for a caller that has the metric to itself."""
    try:
        return run_verb(metric, "result", inner.slots.fold())
    except Exception as error:
        note(error, metric, "result")
        raise


def read_on(metric: Any, states: States) -> Any:
    """Run the user's ``result`` on these states."""
    return internals(metric).enter(run_verb, metric, "result", states)


def result_when_empty(metric: Any) -> Any:
    """Run the user's ``result`` on empty states, to learn its structure."""
    inner = internals(metric)
    states = {name: state.empty() for name, state in inner.declaration.states.items()}
    return inner.enter(run, inner, "result", states, metric._result_on_nothing)


# Resets and merges.


def reset(metric: Any) -> None:
    """Empty every state, and run the user's ``reset_state``."""
    inner = internals(metric)
    inner.enter(_reset, metric, inner)
    inner.settle()


def take_over(metric: Any, part: Part) -> None:
    """Reset the metric, and let it hold a part, which nobody else has."""
    inner = internals(metric)
    inner.settle()
    undeclared, part.undeclared = part.undeclared, {}
    inner.enter(_reset, metric, inner, part, undeclared)


def _reset(
    metric: Any, inner: Internals, restored: Part | None = None, undeclared: Mapping[str, Any] = MappingProxyType({})
) -> None:
    empty = Part.empty(inner.declaration.states)

    def then() -> None:
        inner.slots.parts = {0: empty} if restored is None else {RESTORED: restored}
        if inner.queue is not None:
            inner.queue.reset()
        inner.membership.reset()
        if restored is not None:
            inner.membership.updated()

    with Change(metric, "reset_state") as change:
        run_verb(metric, "reset_state", empty.states)
        inner.undeclared.update(undeclared)
        metric.__dict__.update(undeclared)
        change.then = then


def merge(metric: Any, others: list[Any]) -> None:
    """Merge other metrics into a metric; the others stay as they are. A merge of the class's own runs on copies of them.

    Raises:
        IncompatibleStates, DuplicateOrigin, UndeclaredState: as ``Metric.merge_state`` says.
    """
    inner, by_itself = internals(metric), metric._merges_by_itself
    for one in (metric, *others):
        internals(one).settle()
    parameters = metric._parameters()
    for other in others:
        theirs = internals(other)
        is_alike = theirs.declaration.kind is inner.declaration.kind
        inner.declaration.check_mergeable(theirs.declaration, parameters, other._parameters() if is_alike else {})
        if not by_itself:
            check_declared(type(metric), [*inner.undeclared, *theirs.undeclared])
    pieces: Part | None = None
    if by_itself:  # the user's code reads them while this one is locked
        others = [internals(other).enter(_still, other) for other in others]
    try:
        for other in others:  # one after the other: threads that had two metrics to themselves could wait for one another
            there = internals(other)
            pieces = there.enter(there.slots.joined_to, pieces)
    except Exception as error:
        note(error, metric, "merge_state")
        raise
    inner.enter(_merge, metric, inner, pieces, others)


def _merge(metric: Any, inner: Internals, pieces: Part | None, others: list[Any]) -> None:
    with Change(metric, "merge_state") as change:
        merged = inner.slots.folded()
        if pieces is not None:
            merged.merge(pieces)
        if metric._merges_by_itself:
            to_read = copy.deepcopy(merged.states)
            freeze(*to_read.values())
            run_verb(metric, "merge_state", to_read, (others,))

        def then() -> None:
            inner.slots.parts = {0: merged}
            inner.membership.updated()

        change.then = then


def _still(metric: Any) -> Any:
    """Return a private copy of a metric."""
    return _twin(metric, internals(metric).slots.copied(), undeclared_values(metric))


# The contents of a metric as one part: for an exchange, a snapshot, a copy.


def own_part(metric: Any) -> Part:
    """Return this process's contribution to its job as a fresh part; the first process alone adds the restored part."""
    inner = internals(metric)
    return inner.enter_settled(_own_part, metric, inner)


def _own_part(metric: Any, inner: Internals) -> Part:
    part = inner.slots.folded(without_restored=inner.membership.rank > 0)
    part.undeclared = copy.deepcopy(undeclared_values(metric))
    return part


def whole_part(metric: Any) -> Part:
    """Return the merged part of the metric in all processes of its job.

    Raises:
        UndeclaredState: there are several, and no declaration says how attributes merge.
    """
    inner = internals(metric)
    if inner.membership.job is None:
        return own_part(metric)
    check_declared(type(metric), inner.undeclared)
    return inner.membership.job.merged(metric, alone=False, verb="snapshot")


def merged_parts(metric: Any, mine: Part, theirs: Part) -> Part:
    """Return the merged part of two processes' parts; ``mine`` is changed."""
    if metric._merges_by_itself:
        whole = twin(metric, mine)
        merge(whole, [twin(metric, theirs)])
        return own_part(whole)
    check_declared(type(metric), [*mine.undeclared, *theirs.undeclared])
    mine.merge(theirs)
    return mine


# Metrics like a metric.


def twin(metric: M, part: Part | None = None) -> M:
    """Return a metric like this one that holds a part, or nothing."""
    return _twin(metric, {} if part is None else {0: part}, {} if part is None else part.undeclared)


def _twin(metric: M, parts: dict[int, Part], undeclared: Mapping[str, Any]) -> M:
    inner = internals(metric)
    made = object.__new__(type(metric))
    kept = {name: value for name, value in metric.__dict__.items() if name not in inner.undeclared}
    own = Internals(inner.declaration, parts)
    own.undeclared = set(undeclared)
    made.__dict__.update({**kept, ATTRIBUTE: own, **undeclared})
    return made


def fill(metric: Any, part: Part) -> None:
    """Let a new metric, which nobody else has, hold a part."""
    inner = internals(metric)
    inner.slots.parts = {0: part}
    inner.undeclared.update(part.undeclared)
    metric.__dict__.update(part.undeclared)


def stand_in(metric: M, states: States) -> M:
    """Return a metric for one call of the user's code on other states; the attributes that the call sets are gone with it."""
    made = object.__new__(type(metric))
    made.__dict__.update(metric.__dict__)
    made.__dict__[ATTRIBUTE] = Internals(internals(metric).declaration, {0: Part(states)})
    return made


def configured(kind: type[M], arguments: Mapping[str, Any]) -> M:
    """Return a new metric of a class with the constructor arguments of a configuration, which is the program's own."""
    made: M = kind._configured(arguments)  # type: ignore[attr-defined]  # of a class of metrics
    return made


def parameters(metric: Any) -> dict[str, Any]:
    """Return the arguments and plain attributes that must be equal for two metrics to merge."""
    found: dict[str, Any] = metric._parameters()
    return found
