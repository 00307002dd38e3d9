"""The laws, one by one: what must hold for a state or a metric so that every cut and every tree gives one answer.

Each law is a function of a ``Subject``, a list of batches and a source of random numbers; it raises ``LawBroken``.

Not its job: to find batches that break a law, which is ``mergeable.laws``.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cloudpickle
import numpy as np

from mergeable.canonical import canonical_bytes
from mergeable.errors import IncompatibleStates, MergeableError
from mergeable.state import State
from mergeable.wire import from_bytes, to_bytes

Batch = Any
"""What ``update`` takes: a tuple of arguments, or one argument."""


class LawBroken(MergeableError, AssertionError):
    """A law does not hold; ``law`` is its name."""

    def __init__(self, law: str, message: str) -> None:
        super().__init__(law, message)
        self.law = law

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is tested: how to make an empty one, feed it, merge it and read it. States and metrics both fit."""

    name: str
    empty: Callable[[], Any]
    update: Callable[[Any, Batch], None]
    merge: Callable[[Any, Any], None]
    result: Callable[[Any], Any]
    value: Callable[[Any], bytes]
    commutative: bool = True
    idempotent: bool = False
    reference: Callable[[list[Batch]], Any] | None = None
    within: Callable[[Any, list[Batch]], bool] | None = None
    others: Sequence[Any] = ()

    def fed(self, batches: Iterable[Batch]) -> Any:
        """Return one that took these batches."""
        state = self.empty()
        for batch in batches:
            self.update(state, copy.deepcopy(batch))
        return state

    def merged(self, left: Any, right: Any) -> Any:
        """Return left merged with right, both left as they are."""
        joint = copy.deepcopy(left)
        self.merge(joint, copy.deepcopy(right))
        return joint

    def expect(self, law: str, same: bool, left: Any, right: Any, what: str) -> None:
        """Raise ``LawBroken`` with both sides unless they are the same."""
        if not same:
            raise LawBroken(law, f"{self.name}: {what}.\n  one side:   {left!r}\n  other side: {right!r}")

    def expect_equal(self, law: str, left: Any, right: Any, what: str) -> None:
        """Raise ``LawBroken`` unless both have the same bytes."""
        self.expect(law, self.value(left) == self.value(right), left, right, what)

    def expect_alike(self, law: str, left: Any, right: Any, what: str, batches: list[Batch]) -> None:
        """Raise ``LawBroken`` unless both have the same bytes or, of an approximate state, keep the bound on these batches."""
        if self.within is None:
            self.expect_equal(law, left, right, what)
        else:
            kept = self.within(left, copy.deepcopy(batches)) and self.within(right, copy.deepcopy(batches))
            self.expect(law, kept, left, right, f"{what}, and not both are within the bound")


# The laws. Batches come in a list; what a law needs more of, it draws from ``rng``.


def associativity(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """(a + b) + c has the bytes of a + (b + c)."""
    a, b, c = (subject.fed(part) for part in _cut(batches, 3, rng))
    left = subject.merged(subject.merged(a, b), c)
    right = subject.merged(a, subject.merged(b, c))
    subject.expect_alike("associativity", left, right, "(a + b) + c differs from a + (b + c)", batches)


def commutativity(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """``a + b`` has the bytes of b + a, where the state says that it commutes."""
    if subject.commutative:
        a, b = (subject.fed(part) for part in _cut(batches, 2, rng))
        what = "a + b differs from b + a; set commutative = False"
        subject.expect_alike("commutativity", subject.merged(a, b), subject.merged(b, a), what, batches)


def identity(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """``empty + a`` and ``a + empty`` have the bytes of a."""
    a = subject.fed(batches)
    subject.expect_equal("identity", subject.merged(subject.empty(), a), a, "empty + a differs from a")
    subject.expect_equal("identity", subject.merged(a, subject.empty()), a, "a + empty differs from a")


def homomorphism(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """One that took everything has the bytes of the merge of two that took the parts."""
    parts = _cut(batches, 2, rng)
    whole = subject.fed(parts[0] + parts[1])
    merged = subject.merged(subject.fed(parts[0]), subject.fed(parts[1]))
    subject.expect_alike("homomorphism", merged, whole, "merging the parts differs from updating with the whole", batches)


def any_tree(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """Any tree of merges, and any order where the state commutes, ends in the bytes of the stream."""
    pieces = [subject.fed([batch]) for batch in batches] + [subject.empty()]
    if subject.commutative:
        rng.shuffle(pieces)
    while len(pieces) > 1:
        i = rng.randrange(len(pieces) - 1)
        pieces[i : i + 2] = [subject.merged(pieces[i], pieces[i + 1])]
    whole = subject.fed(batches)
    subject.expect_alike("any tree", pieces[0], whole, "a random tree of merges differs from the stream", batches)


def batch_split(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """Batches cut into single rows end in the bytes of the batches."""
    rows = [row for batch in batches for row in _rows_of(batch)]
    whole, single = subject.fed(batches), subject.fed(rows)
    subject.expect_alike("batch split", single, whole, "the value depends on how the rows are batched", batches)


def purity(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """A merge leaves its argument as it was, and neither sees what the other takes later; nor does a batch's later change."""
    first, second = _cut(batches, 2, rng)
    for left in (first, []):  # sharing hides best where the left side was empty
        a, b = subject.fed(left), subject.fed(second)
        with _unchanged(subject, b, "merge changed its argument"):
            subject.merge(a, b)
        with _unchanged(subject, a, "an update of the argument shows in the merged one"):
            for batch in batches:
                subject.update(b, copy.deepcopy(batch))
        with _unchanged(subject, b, "an update of the merged one shows in the argument"):
            for batch in batches:
                subject.update(a, copy.deepcopy(batch))
    for batch in copy.deepcopy(batches[:1]):
        taken = subject.empty()
        subject.update(taken, batch)
        with _unchanged(subject, taken, "a later write to the batch shows"):
            _overwrite(batch)


def serialisation(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """Pickled and merged is merged: a round trip keeps every byte of the value and every merge."""
    a, b = (subject.fed(part) for part in _cut(batches, 2, rng))
    direct = subject.merged(a, b)
    subject.expect_equal("serialisation", _round_trip(a), a, "a pickle does not come back as it was")
    pickled = subject.merged(_round_trip(a), _round_trip(b))
    subject.expect_alike("serialisation", pickled, direct, "pickled then merged differs from merged", batches)
    subject.expect_equal("serialisation", _round_trip(direct), direct, "merged then pickled differs from merged")


def snapshot(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """Written into a file and read back is the same: data keep every byte of the value and every merge."""
    a, b = (subject.fed(part) for part in _cut(batches, 2, rng))
    if isinstance(a, State):
        law = "snapshot"
        before = subject.value(a)
        subject.expect_equal(law, _written_and_read(a), a, "what a file holds does not come back as it was")
        subject.expect(law, subject.value(a) == before, a, "as before", "to_data changed the state")
        merged = subject.merged(_written_and_read(a), _written_and_read(b))
        direct = subject.merged(a, b)
        subject.expect_alike(law, merged, direct, "written, read and merged differs from merged", batches)


def function_of_state(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """The result depends on the value alone, and reading it changes nothing."""
    state = subject.fed(batches)
    before = subject.value(state)
    first = canonical_bytes(_result(subject, state))
    law = "function of state"
    subject.expect(law, subject.value(state) == before, state, "as before", "reading the result changed the state")
    subject.expect(law, canonical_bytes(_result(subject, state)) == first, state, state, "the result differs when read twice")
    again = canonical_bytes(_result(subject, _round_trip(state)))
    subject.expect(law, again == first, state, _round_trip(state), "the result differs after a pickle round trip")


def empty_is_fresh(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """``empty()`` gives the identity, whatever its maker holds, and shares nothing with it."""
    state = subject.fed(batches)
    if isinstance(state, State):
        before, fresh = subject.value(state), state.empty()
        subject.expect_equal("empty", fresh, subject.empty(), "empty() of a full state is not empty")
        for batch in batches:
            subject.update(fresh, copy.deepcopy(batch))
        subject.expect("empty", subject.value(state) == before, state, "as before", "empty() shares its value with its maker")


def refusal(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """Another class, or other parameters, raise ``IncompatibleStates`` and leave both as they were."""
    for stranger in (_Stranger(), *subject.others):
        state, other = subject.fed(batches), copy.deepcopy(stranger)
        before = subject.value(state), canonical_bytes(other)
        try:
            subject.merge(state, other)
        except IncompatibleStates:
            pass
        else:
            raise LawBroken("refusal", f"{subject.name}: merging {other!r} was not refused")
        after = subject.value(state), canonical_bytes(other)
        subject.expect("refusal", after == before, state, other, "a refused merge changed something")


def undo(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """A savepoint brings back every byte."""
    first, second = _cut(batches, 2, rng)
    state = subject.fed(first)
    if isinstance(state, State):
        before = subject.value(copy.deepcopy(state))
        state.savepoint()
        for batch in second:
            subject.update(state, copy.deepcopy(batch))
        if rng.random() < 0.5:
            subject.merge(state, subject.fed(second))
        state.rollback()
        subject.expect("undo", subject.value(state) == before, state, "as before", "a rollback does not bring back the value")


def idempotence(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """``a + a`` has the bytes of a, where the state says so."""
    if subject.idempotent:
        a = subject.fed(batches)
        subject.expect_equal("idempotence", subject.merged(a, a), a, "a + a differs from a; set idempotent = False")


def model(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """The result is that of an exact reference on all batches: the one law that finds an integer that wraps."""
    if subject.reference is None and subject.within is None:
        return
    merged = subject.empty()
    for batch in batches:
        subject.merge(merged, subject.fed([batch]))
    if subject.within is not None:
        kept = subject.within(merged, copy.deepcopy(batches))
        subject.expect("model", kept, merged, batches, "is not within the bound of the batches")
    elif subject.reference is not None:
        got, expected = subject.result(merged), subject.reference(copy.deepcopy(batches))
        subject.expect("model", canonical_bytes(got) == canonical_bytes(expected), got, expected, "differs from the reference")


Law = Callable[[Subject, list[Batch], random.Random], None]

LAWS: dict[str, Law] = {
    "associativity": associativity,
    "commutativity": commutativity,
    "identity": identity,
    "homomorphism": homomorphism,
    "any tree": any_tree,
    "batch split": batch_split,
    "purity": purity,
    "serialisation": serialisation,
    "snapshot": snapshot,
    "function of state": function_of_state,
    "empty": empty_is_fresh,
    "refusal": refusal,
    "undo": undo,
    "idempotence": idempotence,
    "model": model,
}
"""Every law by its name."""


def _cut(batches: list[Batch], parts: int, rng: random.Random) -> list[list[Batch]]:
    n = len(batches)
    if n < parts or rng.random() < 0.25:  # empty parts too
        inner = sorted(rng.randint(0, n) for _ in range(parts - 1))
    else:
        inner = sorted(rng.sample(range(1, n), parts - 1))
    cuts = [0, *inner, n]
    return [batches[a:b] for a, b in itertools.pairwise(cuts)]


@contextlib.contextmanager
def _unchanged(subject: Subject, thing: Any, what: str) -> Iterator[None]:
    before = subject.value(thing)
    yield
    subject.expect("purity", subject.value(thing) == before, thing, "as before", what)


def _rows_of(batch: Batch) -> list[Batch]:
    """Cut a batch into batches of one row; what has no rows stays whole."""
    if not isinstance(batch, tuple):
        return [row for (row,) in _rows_of((batch,))]
    columns = [isinstance(part, list) or (isinstance(part, np.ndarray) and part.ndim > 0) for part in batch]
    lengths = {len(part) for part, column in zip(batch, columns, strict=True) if column}
    if len(lengths) != 1:
        return [batch]
    rows = range(lengths.pop())
    return [tuple(p[i : i + 1] if column else p for p, column in zip(batch, columns, strict=True)) for i in rows]


def _overwrite(batch: Batch) -> None:
    for part in batch if isinstance(batch, tuple) else (batch,):
        if isinstance(part, np.ndarray) and part.size and part.flags.writeable:
            part[...] = part.flat[-1] if part.dtype == object else np.zeros((), part.dtype)
        elif isinstance(part, list):
            part.clear()


def _round_trip(thing: Any) -> Any:
    return pickle.loads(cloudpickle.dumps(thing))


def _written_and_read(state: State) -> State:
    fresh = state.empty()
    fresh.from_data(from_bytes(to_bytes(state.to_data())))
    return fresh


def _result(subject: Subject, thing: Any) -> Any:
    """Return the result, or the exception's text where the result of this value is an error."""
    try:
        return subject.result(thing)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class _Stranger(State):
    """A state that nothing may merge with."""

    def update(self) -> None:
        """Take nothing."""

    def merge(self, other: _Stranger) -> None:
        """Take nothing."""

    def result(self) -> None:
        """Return nothing."""
