"""The laws of states and metrics, for your own types: one line of pytest.

    def test_longest():
        mergeable.laws.check_state(Longest(), batches=st.lists(st.text(min_size=1), min_size=1))

Hypothesis (the extra ``mergeable[laws]``) searches for batches that break a law and shrinks them.

Not its job: to know any particular state.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mergeable.canonical import canonical_bytes
from mergeable.law import LAWS, Batch, Law, LawBroken, Subject
from mergeable.metric import Metric
from mergeable.state import State
from mergeable.states.held import state as declare

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
    odd = st.lists(st.sampled_from([math.nan, math.inf, -math.inf]) | items, max_size=6)
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
        examples: how many inputs to try for each law.

    Raises:
        LawBroken: with the law's name, the smallest input found that breaks it, and both sides.
        ValueError: ``within`` came with a state that declares itself exact.

    Example:
        >>> import mergeable as mg
        >>> len(check_state(mg.Sum(), examples=5)) == len(LAWS)
        True
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
            update(target.view(), batch)
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
    return _check(subject, floats() if batches is None else batches, laws, examples)


def check_metric(
    metric: Metric,
    batches: st.SearchStrategy[Batch],
    *,
    reference: Callable[[list[Batch]], Any] | None = None,
    laws: Iterable[str] | None = None,
    examples: int = 50,
) -> tuple[str, ...]:
    """Test a metric of yours against the laws; return the names of those that were tested.

    A metric whose states merge exactly may still depend on how its data is batched, as a mean over batches does; the law
    "batch split" finds that.

    Args:
        metric: an instance; copies of it are reset, updated and merged.
        batches: a Hypothesis strategy for one batch: a tuple of arguments for ``update_state``.
        reference: as in ``check_state``.
        laws: as in ``check_state``.
        examples: as in ``check_state``.

    Raises:
        LawBroken: with the law's name, the smallest input found that breaks it, and both sides.

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

    subject = Subject(
        name=type(metric).__name__,
        empty=empty,
        update=lambda a, batch: a.update_state(*(batch if isinstance(batch, tuple) else (batch,))),
        merge=merge,
        result=lambda a: a.result(),
        value=lambda a: canonical_bytes((a._fold(), a._undeclared_values())),
        commutative=all(state.commutative for state in metric._states.values()),
        reference=reference,
    )
    return _check(subject, batches, laws, examples)


def _check(subject: Subject, batches: st.SearchStrategy[Batch], laws: Iterable[str] | None, examples: int) -> tuple[str, ...]:
    names = tuple(LAWS if laws is None else laws)
    unknown = [name for name in names if name not in LAWS]
    if unknown:
        raise ValueError(f"mergeable.laws: got the laws {unknown}, expected some of {list(LAWS)}.")
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
    inputs = hypothesis.given(several, st.integers(0, 2**16))
    for name in names:
        settings(inputs(_test(subject, LAWS[name])))()
    return names


def _test(subject: Subject, law: Law) -> Callable[[list[Batch], int], None]:
    def holds(batches: list[Batch], seed: int) -> None:
        law(subject, batches, random.Random(seed))

    return holds
