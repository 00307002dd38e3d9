"""The laws of states and metrics, for your own types: one line of pytest.

    def test_longest():
        mergeable.laws.check_state(Longest(), batches=st.lists(st.text(min_size=1), min_size=1))

Hypothesis (the extra ``mergeable[laws]``) searches for batches that break a law and shrinks them.

Not its job: to know any particular state.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.wire import local_classes
from mergeable.holder import host_of
from mergeable.laws.rules import LAWS, NO_CHANGE, NO_REFERENCE, NO_ROWS, NOT_CLAIMED, Batch, LawBroken, Subject
from mergeable.metric import Metric
from mergeable.snapshot import Snapshot, read_snapshot
from mergeable.snapshot.contents import contents
from mergeable.state import State
from mergeable.state.access import view
from mergeable.states.object_state import state as declare
from mergeable.wording import shown

try:
    import hypothesis
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("mergeable.laws needs hypothesis: pip install 'mergeable[laws]'") from error

__all__ = ["ADVERSARIAL", "LAWS", "LawBroken", "check_metric", "check_state", "floats"]

ADVERSARIAL: tuple[float, ...] = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 3.0, 1e16, -1e16, 2.0**53, 2.0**53 - 1, -(2.0**53)),
    *(float("nan"), float("inf"), float("-inf"), 5e-324, -5e-324, 2.2250738585072014e-308, 1.7e308, -1.7e308, 1e-170),
)
"""Floats that break sums, orders and counts that plain random floats leave standing."""


def floats() -> st.SearchStrategy[Any]:
    """Return batches of adversarial floats, also empty ones: the default input of ``check_state``.

    All batches of one input are of one kind: numbers that round when they meet, any finite ones, or NaN and infinities among
    them, because one NaN hides what happens to every other number.
    """
    items = st.sampled_from(ADVERSARIAL) | st.floats()
    rounding = st.sampled_from([2.0**53, 1.0, -(2.0**53), 0.1, 0.2, 0.3]).map(lambda x: [x])
    finite = st.lists(items.filter(math.isfinite), max_size=6) | rounding
    unordered = st.sampled_from([math.nan, math.inf, -math.inf, 1.0])
    odd = st.lists(unordered | items, max_size=6) | unordered.map(lambda x: [x])
    kind = st.shared(st.sampled_from([rounding, rounding, finite, odd]), key="mergeable.laws.floats")
    return kind.flatmap(lambda items: items).map(lambda xs: np.array(xs, np.float64))


def check_state(
    state: Any,
    batches: st.SearchStrategy[Batch] | None = None,
    *,
    update: Callable[[Any, Any], None] | None = None,
    reference: Callable[[list[Batch]], Any] | None = None,
    within: Callable[[Any, list[Batch]], bool] | None = None,
    others: Sequence[Any] = (),
    laws: Iterable[str] | None = None,
    examples: int = 100,
) -> tuple[str, ...]:
    """Test a state of yours against the laws; return the names of those that were tested.

    A law that has nothing to compare is not among them: "commutativity" and "idempotence" where the state does not claim them,
    "model" without ``reference`` or ``within``, "batch split" where no batch can be cut into rows, of which a warning tells.

    Args:
        state: an instance, or a declaration by ``mergeable.state``. It is only asked for ``empty()``.
        batches: a Hypothesis strategy for one batch: a tuple of arguments for ``update``, or one argument. By default arrays
            of adversarial floats (NaN, infinities, -0.0, 5e-324, 1.7e308, 1e16, ...), also empty ones.
        update: how the object takes a batch, where it has no ``update(*batch)``.
        reference: the exact result for a list of batches; compared byte by byte.
        within: of an approximate state (``exact = False``) only: whether a state that took a list of batches is within its
            bound of the exact answer. Then the laws that compare two ways to one value ask that both are, and "model" uses it
            in place of ``reference``; all that is no merge (identity, copies, pickles, files, undoing) is still compared by bytes.
        others: states of this class with other parameters, which must be refused.
        laws: names from ``LAWS``; all by default.
        examples: how many inputs to try; each is tested against every law.

    Raises:
        LawBroken: with the law's name, the smallest input found that breaks one, and both sides. Where an input breaks several
            laws, the first of them in the order of ``laws`` is raised.
        ValueError: ``within`` came with a state that declares itself exact; or no law tested anything, for one of the reasons
            above, or because no batch that was drawn changed the state.

    Example:
        >>> import mergeable as mg
        >>> sorted(set(LAWS) - set(check_state(mg.Sum(), examples=5)))
        ['idempotence', 'model']
        >>> class MeanOfMeans(mg.State):  # a perfectly good monoid, and wrong
        ...     def __init__(self):
        ...         self.means = []
        ...     def update(self, x):
        ...         self.means.append(float(np.mean(x)))
        ...     def merge(self, other):
        ...         self.means = sorted(self.means + other.means)
        ...     def result(self):
        ...         return float(np.mean(self.means)) if self.means else float("nan")
        >>> check_state(MeanOfMeans(), st.lists(st.integers(0, 9), min_size=1), laws=["batch split"])
        Traceback (most recent call last):
        mergeable.laws.LawBroken: batch split: MeanOfMeans: the value depends on how the rows are batched.
        ...
    """
    prototype = declare(state)
    if within is not None and prototype.exact:
        raise ValueError(
            f"check_state: got within for {type(prototype).__name__}, which declares exact = True; expected None. An exact state "
            "has the same bytes however it was merged; set exact = False where it has not."
        )

    def take(target: State, batch: Batch) -> None:
        if update is not None:
            update(view(target), batch)
        else:
            target.update(*(batch if isinstance(batch, tuple) else (batch,)))

    subject = Subject(
        name=type(prototype).__name__,
        empty=prototype.empty,
        update=take,
        merge=lambda a, b: a.merge(b),
        result=lambda a: a.result(),
        value=canonical_bytes,
        commutative=prototype.commutative,
        idempotent=prototype.idempotent,
        reference=reference,
        within=within,
        others=[declare(other) for other in others],
    )
    return _check("check_state", subject, floats() if batches is None else batches, laws, examples)


def check_metric(
    metric: Metric,
    batches: st.SearchStrategy[Batch],
    *,
    reference: Callable[[list[Batch]], Any] | None = None,
    laws: Iterable[str] | None = None,
    examples: int = 50,
) -> tuple[str, ...]:
    """Test a metric of yours against the laws; return the names of those that were tested, as ``check_state`` does.

    What is compared is what the metric's snapshot holds, also where a Keras metric shows another one. A metric whose states merge exactly may still depend on how its data is batched, as a mean over batches does; the law
    "batch split" finds that.

    Args:
        metric: an instance; copies of it are reset, updated and merged.
        batches: a Hypothesis strategy for one batch: a tuple of arguments for ``update_state``.
        reference: as in ``check_state``.
        laws: as in ``check_state``.
        examples: as in ``check_state``.

    Raises:
        LawBroken: with the law's name, the smallest input found that breaks it, and both sides.
        ValueError: no law tested anything, as in ``check_state``.

    Example:
        >>> import mergeable as mg
        >>> class MeanOverBatches(mg.Metric):
        ...     total = mg.Sum()
        ...     batches = mg.Count()
        ...     def update_state(self, x):
        ...         self.total += np.mean(x)
        ...         self.batches += 1
        ...     def result(self):
        ...         return self.total / self.batches
        >>> pairs = st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=4))
        >>> check_metric(MeanOverBatches(), pairs, laws=["homomorphism", "any tree"])
        ('homomorphism', 'any tree')
        >>> check_metric(MeanOverBatches(), pairs, laws=["batch split"])
        Traceback (most recent call last):
        mergeable.laws.LawBroken: batch split: MeanOverBatches: the value depends on how the rows are batched.
        ...
    """

    def empty() -> Metric:
        fresh = copy.deepcopy(metric)
        fresh.reset_state()
        return fresh

    def merge(a: Metric, b: Any) -> None:
        a.merge_state([b])

    def value(a: Metric) -> bytes:
        part = contents(_own_snapshot(a)).part
        return canonical_bytes((part.states, part.undeclared))

    def update(a: Metric, batch: Batch) -> None:
        a.update_state(*(batch if isinstance(batch, tuple) else (batch,)))

    def reread(a: Metric) -> Metric:
        fresh, saved = empty(), _own_snapshot(a)
        fresh.restore(
            read_snapshot(saved.to_bytes(), "the metric's snapshot", trusted=True, classes=local_classes(saved.states))
        )
        return fresh

    def emptied(a: Metric) -> Metric:
        fresh = copy.deepcopy(a)
        fresh.reset_state()
        return fresh

    def undo(_: Subject, a: Metric, batches: list[Batch], __: bool) -> None:
        for batch in batches:
            with _failing(a):
                update(a, copy.deepcopy(batch))

    subject = Subject(
        name=type(host_of(metric)).__name__,
        empty=empty,
        update=update,
        merge=merge,
        result=lambda a: a.result(),
        value=value,
        commutative=all(state.commutative for state in _own_snapshot(metric).states.values()),
        reference=reference,
        reread=reread,
        emptied=emptied,
        undo=undo,
    )
    return _check("check_metric", subject, batches, laws, examples)


def _own_snapshot(metric: Metric) -> Snapshot:
    return metric.snapshot(local=True)


class _Failure(Exception):
    """What an update raises that is to fail."""


@contextlib.contextmanager
def _failing(metric: Metric) -> Iterator[None]:
    """While the block runs, let the update of a metric fail once it has done its work."""
    host = host_of(metric)
    cls: Any = type(host)

    def update_state(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.update_state(self, *args, **kwargs)
        raise _Failure

    host.__class__ = type(cls.__name__, (cls,), {"update_state": update_state})
    try:
        yield
    except _Failure:
        pass
    finally:
        host.__class__ = cls


class NothingTested(ValueError):
    """No law had anything to compare; ``reasons`` says by law why."""

    def __init__(self, message: str, reasons: dict[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


_REMEDIES = {
    NOT_CLAIMED: "set commutative or idempotent = True if that is so",
    NO_REFERENCE: "pass reference",
    NO_ROWS: "draw tuples of lists or arrays of one length, some of them longer than 1",
    NO_CHANGE: "draw batches with rows, or more examples",
}


def _check(
    who: str, subject: Subject, batches: st.SearchStrategy[Batch], laws: Iterable[str] | None, examples: int
) -> tuple[str, ...]:
    names = tuple(LAWS if laws is None else laws)
    unknown = [name for name in names if name not in LAWS]
    if unknown:
        raise ValueError(f"mergeable.laws: got the laws {shown(unknown)}, expected some of {list(LAWS)}.")
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        report_multiple_bugs=False,  # the law that broke, and not a group of exceptions
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    several = st.lists(batches, max_size=6) | st.lists(batches, min_size=3, max_size=6)
    untested = dict.fromkeys(names, NO_CHANGE)  # by law, why it has compared nothing until now
    changed = False

    def holds(batches: list[Batch], seed: int) -> None:
        """Test one input against every law; of several that it breaks, the first in their order is raised."""
        nonlocal changed
        reasons = {name: LAWS[name](subject, batches, random.Random(seed)) for name in names}
        changed = changed or subject.value(subject.fed(batches)) != subject.value(subject.empty())
        for name in tuple(untested) if changed else ():
            if reason := reasons[name]:
                untested[name] = reason
            else:
                del untested[name]

    if names:
        settings(hypothesis.given(several, st.integers(0, 2**16))(holds))()
    if names and len(untested) == len(names):
        why = "; ".join(f"{name}: {reason}, so {_REMEDIES[reason]}" for name, reason in untested.items())
        raise NothingTested(
            f"{who}: got {subject.name} and {examples} examples, of which no law tested anything, expected some that do. {why}.",
            untested,
        )
    for name, reason in untested.items():
        if reason in (NO_ROWS, NO_CHANGE):
            message = f"{who}: the law {shown(name)} tested nothing of {subject.name}: {reason}; {_REMEDIES[reason]}."
            warnings.warn(message, stacklevel=3)
    return tuple(name for name in names if name not in untested)
