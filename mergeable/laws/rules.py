"""The laws, one by one: properties by which every cut of the data and every tree of merges gives one answer.

Each law is a function of a ``Subject``, a list of batches and a source of random numbers; it raises ``LawBroken``. Where it has
nothing to compare, it returns why.

Not its job: to find batches that break a law, which is ``mergeable.laws``.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import cloudpickle
import numpy as np

from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.wire import from_bytes, to_bytes
from mergeable.errors import IncompatibleStates, MergeableError
from mergeable.state import State
from mergeable.state.undo import rollback, savepoint
from mergeable.wording import shown

Batch = Any
"""What ``update`` takes: a tuple of arguments, or one argument."""


class LawBroken(MergeableError, AssertionError):
    """A law does not hold; ``law`` is its name."""

    def __init__(self, law: str, message: str) -> None:
        super().__init__(law, message)
        self.law = law

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


def _written_and_read(state: State) -> State:
    fresh = state.empty()
    fresh.from_data(from_bytes(to_bytes(state.to_data())))
    return fresh


def _rolled_back(subject: Subject, state: State, batches: list[Batch], merges: bool) -> None:
    savepoint(state)
    for batch in batches:
        subject.update(state, copy.deepcopy(batch))
    if merges:
        subject.merge(state, subject.fed(batches))
    rollback(state)


@dataclasses.dataclass(frozen=True)
class Subject:
    """The functions by which a law makes, updates, merges and reads the states or the metrics that it tests."""

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
    reread: Callable[[Any], Any] = _written_and_read
    """Return what a file holds of it, read back."""
    emptied: Callable[[Any], Any] = lambda state: state.empty()
    """Return an empty one that a full one makes."""
    undo: Callable[[Subject, Any, list[Batch], bool], None] = _rolled_back
    """Let one take batches, and merge with another that took them where this is True; then undo it."""

    def fed(self, batches: Iterable[Batch]) -> Any:
        """Return a state, or a metric, that took these batches."""
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
            raise LawBroken(law, f"{self.name}: {what}.\n  one side:   {shown(left, 600)}\n  other side: {shown(right, 600)}")

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


def commutativity(subject: Subject, batches: list[Batch], rng: random.Random) -> str | None:
    """``a + b`` has the bytes of b + a, where the state says that it commutes."""
    if not subject.commutative:
        return NOT_CLAIMED
    a, b = (subject.fed(part) for part in _cut(batches, 2, rng))
    what = "a + b differs from b + a; set commutative = False"
    subject.expect_alike("commutativity", subject.merged(a, b), subject.merged(b, a), what, batches)
    return None


def identity(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """``empty + a`` and ``a + empty`` have the bytes of a."""
    a = subject.fed(batches)
    subject.expect_equal("identity", subject.merged(subject.empty(), a), a, "empty + a differs from a")
    subject.expect_equal("identity", subject.merged(a, subject.empty()), a, "a + empty differs from a")


def homomorphism(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """A state of all batches has the bytes of the merge of two states of the parts."""
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


def batch_split(subject: Subject, batches: list[Batch], rng: random.Random) -> str | None:
    """Batches cut into single rows end in the bytes of the batches."""
    cut = [_rows_of(batch) for batch in batches]
    if all(len(rows) < 2 for rows in cut):
        return NO_ROWS
    whole, single = subject.fed(batches), subject.fed(itertools.chain(*cut))
    subject.expect_alike("batch split", single, whole, "the value depends on how the rows are batched", batches)
    return None


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
    before = subject.value(a)
    subject.expect_equal("snapshot", subject.reread(a), a, "what a file holds does not come back as it was")
    subject.expect("snapshot", subject.value(a) == before, a, "as before", "writing it changed it")
    merged = subject.merged(subject.reread(a), subject.reread(b))
    direct = subject.merged(a, b)
    subject.expect_alike("snapshot", merged, direct, "written, read and merged differs from merged", batches)


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
    """``empty()``, or a reset, gives the identity, whatever its maker holds, and shares nothing with it."""
    state = subject.fed(batches)
    before, fresh = subject.value(state), subject.emptied(state)
    subject.expect_equal("empty", fresh, subject.empty(), "what a full one empties is not empty")
    for batch in batches:
        subject.update(fresh, copy.deepcopy(batch))
    subject.expect("empty", subject.value(state) == before, state, "as before", "the empty one shares its value with its maker")
    what = "an emptied one takes the batches in another way than a fresh one"
    subject.expect_alike("empty", fresh, subject.fed(batches), what, batches)


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
            raise LawBroken("refusal", f"{subject.name}: merging {shown(other)} was not refused")
        after = subject.value(state), canonical_bytes(other)
        subject.expect("refusal", after == before, state, other, "a refused merge changed something")


def undo(subject: Subject, batches: list[Batch], rng: random.Random) -> None:
    """A savepoint, or an update that fails, brings back every byte."""
    first, second = _cut(batches, 2, rng)
    state = subject.fed(first)
    before = subject.value(copy.deepcopy(state))
    subject.undo(subject, state, second, rng.random() < 0.5)
    subject.expect("undo", subject.value(state) == before, state, "as before", "what was undone does not bring back the value")


def idempotence(subject: Subject, batches: list[Batch], rng: random.Random) -> str | None:
    """``a + a`` has the bytes of a, where the state says so."""
    if not subject.idempotent:
        return NOT_CLAIMED
    a = subject.fed(batches)
    subject.expect_equal("idempotence", subject.merged(a, a), a, "a + a differs from a; set idempotent = False")
    return None


def model(subject: Subject, batches: list[Batch], rng: random.Random) -> str | None:
    """The result is that of an exact reference on all batches: the one law that finds an integer that wraps."""
    if subject.reference is None and subject.within is None:
        return NO_REFERENCE
    merged = subject.empty()
    for batch in batches:
        subject.merge(merged, subject.fed([batch]))
    if subject.within is not None:
        kept = subject.within(merged, copy.deepcopy(batches))
        subject.expect("model", kept, merged, batches, "is not within the bound of the batches")
    elif subject.reference is not None:
        got, expected = subject.result(merged), subject.reference(copy.deepcopy(batches))
        subject.expect("model", canonical_bytes(got) == canonical_bytes(expected), got, expected, "differs from the reference")
    return None


NO_CHANGE = "no batch changed it"
NOT_CLAIMED = "not claimed"
NO_REFERENCE = "no reference"
NO_ROWS = "no rows to cut"

Law = Callable[[Subject, list[Batch], random.Random], "str | None"]

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
    """Return a batch cut into batches of one row; a batch without rows stays whole."""
    if not isinstance(batch, tuple):
        return [batch] if isinstance(batch, Mapping) else [row for (row,) in _rows_of((batch,))]
    lengths = {len(column) if isinstance(column, list) else int(column.shape[0]) for column in _columns(batch)}
    return [_row(batch, i) for i in range(lengths.pop())] if len(lengths) == 1 else [batch]


def _columns(part: Any) -> Iterator[Any]:
    """Yield the columns of a batch: lists, and arrays and tensors of any library, also inside of tuples and dicts."""
    if isinstance(part, tuple | Mapping):
        for inner in part.values() if isinstance(part, Mapping) else part:
            yield from _columns(inner)
    elif isinstance(part, list) or (len(getattr(part, "shape", ())) > 0 and hasattr(part, "__getitem__")):
        yield part


def _row(part: Any, i: int) -> Any:
    if isinstance(part, Mapping):
        return {name: _row(inner, i) for name, inner in part.items()}
    if isinstance(part, tuple):
        return tuple(_row(inner, i) for inner in part)
    return part[i : i + 1] if any(True for _ in _columns(part)) else part


def _overwrite(batch: Batch) -> None:
    for column in _columns((batch,)):
        if isinstance(column, list):
            column.clear()
        elif isinstance(column, np.ndarray) and column.size and column.flags.writeable:
            column[...] = column.flat[-1] if column.dtype == object else np.zeros((), column.dtype)


def _round_trip(thing: Any) -> Any:
    return pickle.loads(cloudpickle.dumps(thing))


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
