"""The laws are tested themselves: each planted defect must be caught by the right law, and clean states must pass."""

import copy
import math

import numpy as np
import pytest
from hypothesis import strategies as st

import mergeable as mg
from mergeable.laws import LAWS, LawBroken, check_metric, check_state, floats

SMALL = st.lists(st.integers(0, 9), min_size=1, max_size=4)
ALGEBRA = ["associativity", "commutativity", "identity"]
OF_ALL = [law for law in LAWS if law not in ("idempotence", "model")]  # one must be claimed, the other needs a reference


class Total(mg.State):
    """The clean state that every defect below is planted in: a list of numbers, sorted."""

    def __init__(self):
        self.items = []

    def update(self, xs):
        self.items = sorted([*self.items, *map(float, xs)])

    def merge(self, other):
        self.items = sorted(self.items + other.items)

    def result(self):
        return math.fsum(self.items)


class MeanOfMeans(Total):
    """A good monoid, and wrong: every batch weighs the same."""

    def update(self, xs):
        super().update([np.mean(xs)])

    def result(self):
        return math.fsum(self.items) / len(self.items) if self.items else math.nan


class MeanInState(mg.State):
    """Merging takes the mean of two means."""

    def __init__(self):
        self.mean = None

    def update(self, xs):
        for x in xs:
            self.mean = x if self.mean is None else (self.mean + x) / 2

    def merge(self, other):
        if other.mean is not None:
            self.mean = other.mean if self.mean is None else (self.mean + other.mean) / 2

    def result(self):
        return self.mean


class Mutating(Total):
    """A merge that empties its argument."""

    def merge(self, other):
        self.items = sorted(self.items + other.items)
        other.items = []


class Aliasing(Total):
    """A merge that keeps the other's list, which later updates write to."""

    def update(self, xs):
        self.items.extend(map(float, xs))
        self.items.sort()

    def merge(self, other):
        if self.items:
            self.items.extend(other.items)
            self.items.sort()
        else:
            self.items = other.items


class KeepsTheBatch(Total):
    """An update that keeps a reference to the batch."""

    def __init__(self):
        self.batches = []

    def update(self, xs):
        self.batches.append(xs)

    def merge(self, other):
        self.batches = self.batches + [batch.copy() for batch in other.batches]

    def result(self):
        return math.fsum(x for batch in self.batches for x in batch)


class Lossy(Total):
    """A __getstate__ that drops the NaN counter."""

    def __init__(self):
        super().__init__()
        self.n_nan = 0

    def update(self, xs):
        self.n_nan += sum(map(math.isnan, xs))
        super().update(x for x in xs if not math.isnan(x))

    def merge(self, other):
        super().merge(other)
        self.n_nan += other.n_nan

    def __getstate__(self):
        return {"items": self.items}

    def __setstate__(self, state):
        self.__dict__.update(state, n_nan=0)

    def result(self):
        return math.nan if self.n_nan else math.fsum(sorted(x for x in self.items if math.isfinite(x) and abs(x) < 1e300))


class Int32(mg.State):
    """A counter that wraps."""

    def __init__(self):
        self.n = np.int32(0)

    def update(self, n):
        with np.errstate(over="ignore"):
            self.n += np.int64(n).astype(np.int32)

    def merge(self, other):
        with np.errstate(over="ignore"):
            self.n += other.n

    def result(self):
        return int(self.n)


class PlainSum(mg.State):
    """A sum of float64 in the order of arrival."""

    def __init__(self):
        self.total = 0.0

    def update(self, xs):
        for x in xs:
            self.total += float(x)

    def merge(self, other):
        self.total += other.total

    def result(self):
        return self.total


class PythonMax(mg.State):
    """Python's max, which NaN makes depend on the order."""

    def __init__(self):
        self.best = []

    def update(self, xs):
        self.best = [max(self.best + list(map(float, xs)))] if len(xs) else self.best

    def merge(self, other):
        self.update(other.best)

    def result(self):
        return self.best


class NotEmpty(Total):
    """An empty() that keeps the value."""

    def empty(self):
        return copy.deepcopy(self)


SHARED = []


class SharedEmpty(Total):
    """An empty() whose list is that of its maker, as a mutable default argument would be."""

    def __init__(self, items=SHARED):
        self.items = items

    def update(self, xs):
        self.items.extend(map(float, xs))
        self.items.sort()


class NoIdentity(Total):
    """An empty value that counts: a minimum that starts at 0."""

    def __init__(self):
        self.least = 0.0

    def update(self, xs):
        self.least = min([self.least, *map(float, xs)])

    def merge(self, other):
        self.least = min(self.least, other.least) - 1

    def result(self):
        return self.least


class Draining(Total):
    """A result that empties the state."""

    def result(self):
        total = math.fsum(self.items)
        self.items = []
        return total


class Remembering(Total):
    """A result that depends on more than the value: how often it was read, kept outside of the pickle."""

    reads = 0

    def __getstate__(self):
        return {"items": self.items}

    def result(self):
        self.__dict__["reads"] = self.__dict__.get("reads", 0) + 1
        return self.reads


class Concatenation(Total):
    """A list in the order of arrival, which claims to commute."""

    def update(self, xs):
        self.items = [*self.items, *map(float, xs)]

    def merge(self, other):
        self.items = self.items + other.items


class FalseIdempotence(Total):
    """A sum that claims to be idempotent."""

    idempotent = True


class Accepting(mg.State):
    """A state that leaves its parameter out of ``parameters``."""

    def __init__(self, scale=1):
        self.scale = scale
        self.total = 0

    @property
    def parameters(self):
        return {}

    def update(self, xs):
        self.total += self.scale * sum(map(int, xs))

    def merge(self, other):
        self.total += other.total

    def result(self):
        return self.total


class HalfRefusing(Total):
    """A merge that refuses after it has written."""

    def __init__(self, limit=3):
        super().__init__()
        self.limit = limit

    def merge(self, other):
        self.items = sorted(self.items + other.items)
        if other.limit != self.limit:
            self.items = [*self.items, 0.0]
            raise mg.IncompatibleStates("limits differ")


class HalfUndone(Total):
    """A state that claims to record how to undo its updates, and does not."""

    _undoes_updates = True


class BatchCounting(Total):
    """A state that counts batches."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def update(self, xs):
        super().update(xs)
        self.batches += 1

    def merge(self, other):
        super().merge(other)
        self.batches += other.batches


class Misread(Total):
    """A from_data of its own that forgets what a file says."""

    def from_data(self, data):
        self.items = data["items"][:1]


class Renaming(Total):
    """A to_data that moves the value under another name, which nothing reads."""

    def to_data(self):
        return {"values": self.items}


class LosingFirst(Total):
    """A merge that forgets an item of the other where it has more than one."""

    def merge(self, other):
        self.items = sorted(self.items + (other.items[1:] if len(other.items) > 1 else other.items))


DEFECTS = {
    "mean of means": (MeanOfMeans(), SMALL, "batch split", {}),
    "mean of two means": (MeanInState(), SMALL, "associativity", {}),
    "mean of two means by updates": (MeanInState(), SMALL, "homomorphism", {}),
    "a merge that changes its argument": (Mutating(), SMALL, "purity", {}),
    "a merge that keeps a reference": (Aliasing(), SMALL, "purity", {}),
    "an update that keeps a reference": (KeepsTheBatch(), floats(), "purity", {}),
    "a lossy __getstate__": (Lossy(), floats(), "function of state", {}),
    "a lossy from_data": (Misread(), SMALL, "snapshot", {}),
    "an int32 counter": (Int32(), st.integers(0, 2**31) | st.just(2**31 - 1), "model", {"reference": sum}),
    "a plain float sum": (PlainSum(), floats(), "associativity", {}),
    "a plain float sum in another order": (PlainSum(), floats(), "any tree", {}),
    "a plain float sum by parts": (PlainSum(), floats(), "homomorphism", {}),
    "Python's max": (PythonMax(), floats(), "commutativity", {}),
    "Python's max, in trees": (PythonMax(), floats(), "any tree", {}),
    "an empty() that is full": (NotEmpty(), SMALL, "empty", {}),
    "an empty() that shares": (SharedEmpty(), SMALL, "empty", {}),
    "an identity that is none": (NoIdentity(), SMALL, "identity", {}),
    "a result that drains": (Draining(), SMALL, "function of state", {}),
    "a result that remembers": (Remembering(), SMALL, "function of state", {}),
    "a false claim to commute": (Concatenation(), SMALL, "commutativity", {}),
    "a false claim to commute, in trees": (Concatenation(), SMALL, "any tree", {}),
    "a false claim of idempotence": (FalseIdempotence(), SMALL, "idempotence", {}),
    "a parameter left out": (Accepting(), SMALL, "refusal", {"others": [Accepting(2)]}),
    "a refusal after a write": (HalfRefusing(), SMALL, "refusal", {"others": [HalfRefusing(4)]}),
    "an update that cannot be undone": (HalfUndone(), SMALL, "undo", {}),
    "a count of batches": (BatchCounting(), SMALL, "batch split", {}),
    "a merge that loses": (LosingFirst(), SMALL, "homomorphism", {}),
    "a wrong result": (Total(), SMALL, "model", {"reference": lambda batches: float(sum(map(len, batches)))}),
    "a false claim of a held object": (mg.state(list, merge=list.extend), SMALL, "commutativity", {"update": list.extend}),
    "a held merge that loses": (
        mg.state(dict, merge=lambda a, b: a),
        st.dictionaries(st.text(max_size=1), st.integers()),
        "homomorphism",
        {},
    ),
}


def test_data_that_nothing_reads():
    """Data that from_data does not know raise, with what was found and expected."""
    with pytest.raises(ValueError, match="found values, expected items"):
        check_state(Renaming(), SMALL, laws=["snapshot"])


@pytest.mark.parametrize(("state", "batches", "law", "options"), DEFECTS.values(), ids=DEFECTS)
def test_a_planted_defect_is_caught(state, batches, law, options):
    """The law that the defect breaks raises LawBroken with its name, in the text too."""
    with pytest.raises(LawBroken, match=rf"^{law}: {type(state).__name__}: .*\n") as caught:
        check_state(state, batches, laws=[law], examples=500, **options)  # whichever hypothesis draws them
    assert law == caught.value.law


def test_the_algebra_does_not_catch_the_mean_of_means():
    """Associativity, commutativity and identity hold for the mean of means; only the batch split finds it."""
    assert tuple(ALGEBRA) == check_state(MeanOfMeans(), SMALL, laws=ALGEBRA)
    held = [law for law in OF_ALL if law != "batch split"]
    assert tuple(held) == check_state(MeanOfMeans(), SMALL, laws=held)
    with pytest.raises(LawBroken, match=r"^batch split: MeanOfMeans: the value depends on how the rows are batched"):
        check_state(MeanOfMeans(), SMALL, laws=["batch split"])


def test_the_algebra_does_not_catch_a_merge_that_loses():
    """A merge that forgets the other side's count keeps the algebra; the homomorphism finds it."""

    class First(Total):
        """A merge that takes the larger count in the place of the sum."""

        def update(self, xs):
            self.items = [float(sum(self.items) + len(xs))]

        def merge(self, other):
            self.items = [max(self.items + other.items)] if self.items + other.items else []

    assert tuple(ALGEBRA) == check_state(First(), SMALL, laws=ALGEBRA)
    with pytest.raises(LawBroken, match=r"^homomorphism: "):
        check_state(First(), SMALL, laws=["homomorphism"])


def test_only_the_model_catches_a_counter_that_wraps():
    """An int32 counter keeps every law but the one against an exact reference."""
    others = [law for law in OF_ALL if law != "batch split"]
    assert tuple(others) == check_state(Int32(), st.integers(0, 2**31), laws=others)


class Rounded(mg.State):
    """A clean approximate state: a sum in float64, whose last bits depend on the order."""

    exact = False

    def __init__(self):
        self.total = 0.0

    def update(self, xs):
        for x in xs:
            self.total += x

    def merge(self, other):
        self.total += other.total

    def result(self):
        return self.total


class Careless(Rounded):
    """An approximate state whose merges lose more than its bound allows."""

    def merge(self, other):
        if other.total:
            self.total = self.total * (1 - 1e-6) + other.total


class Forgetful(Rounded):
    """An approximate state for which empty is no identity, within the bound or not."""

    def merge(self, other):
        self.total = (self.total + other.total) * (1 + 2.0**-52)


TENTHS = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=1, max_size=4)


def near(state, batches):
    exact = math.fsum(x for batch in batches for x in batch)
    return abs(state.result() - exact) <= 1e-12 * exact


def test_an_approximate_state_is_held_to_its_bound():
    """A state that rounds breaks laws by its bytes, and keeps all of them within its bound."""
    with pytest.raises(LawBroken, match=r"^(associativity|any tree|homomorphism): Rounded"):
        check_state(Rounded(), TENTHS, laws=["associativity", "any tree", "homomorphism"])
    assert (*OF_ALL, "model") == check_state(Rounded(), TENTHS, within=near, examples=20)


@pytest.mark.parametrize(
    "law", ["associativity", "commutativity", "homomorphism", "any tree", "serialisation", "snapshot", "model"]
)
def test_an_approximate_state_beyond_its_bound_is_caught(law):
    """A merge that loses more than the bound breaks every law that merges."""
    with pytest.raises(LawBroken, match=rf"^{law}: Careless: .*within the bound"):
        check_state(Careless(), TENTHS, within=near, laws=[law])


def test_what_is_no_merge_of_two_values_is_compared_by_bytes():
    """The identity of an approximate state is one to the byte."""
    with pytest.raises(LawBroken, match=r"^identity: Forgetful: empty \+ a differs from a"):
        check_state(Forgetful(), TENTHS, within=near, laws=["identity"])


def test_a_bound_of_an_exact_state_is_refused():
    """An exact state gets no bound to stay within."""
    with pytest.raises(ValueError, match=r"^check_state: got within for Sum, which declares exact = True; expected None\."):
        check_state(mg.Sum(), within=near)


@pytest.mark.parametrize(
    "state",
    [Total(), mg.Sum(), mg.Max(), mg.Count(shape=2), mg.state(set, merge=set.update, idempotent=True)],
    ids=lambda s: type(s).__name__,
)
def test_clean_states_pass(state):
    """A clean state passes every law, and the names of all that say something of it come back."""
    batches = {
        "Count": st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2)).map(lambda b: np.array(b, int).reshape(-1, 2))
    }
    default = st.lists(st.sampled_from([0.0, 1.0, 0.5, -3.0, 1e16]), max_size=4)
    claimed = ("idempotence",) if state.idempotent else ()
    assert (*OF_ALL, *claimed) == check_state(state, batches.get(type(state).__name__, default), examples=20)


def test_the_default_batches():
    """Without batches, adversarial floats are used, and find that a plain sum is none."""
    assert ("purity",) == check_state(mg.Sum(), laws=["purity"], examples=10)
    with pytest.raises(LawBroken, match=r"^associativity: PlainSum"):
        check_state(PlainSum(), laws=["associativity"])


def test_the_message_shows_both_sides():
    """The text names the state, what differs, and both sides."""
    with pytest.raises(
        LawBroken,
        match=r"^commutativity: Concatenation: a \+ b differs from b \+ a; set commutative = False\.\n  one side:   <.*>\n  other side: <",
    ):
        check_state(Concatenation(), SMALL, laws=["commutativity"])


def test_a_state_that_breaks_in_two_ways_raises_one_error():
    """A law that finds two failures raises the law's error, and no group of exceptions."""

    class Twofold(Total):
        def merge(self, other):
            if len(self.items) > 2:
                raise ArithmeticError("too long")
            self.items = self.items + other.items

    with pytest.raises((LawBroken, ArithmeticError)):
        check_state(Twofold(), SMALL, laws=["commutativity"])


@pytest.mark.parametrize(
    "check",
    [lambda laws: check_state(mg.Sum(), laws=laws), lambda laws: check_metric(Mean(), st.tuples(SMALL), laws=laws)],
    ids=["state", "metric"],
)
def test_an_unknown_law(check):
    """A law that does not exist raises ValueError that lists those that do."""
    with pytest.raises(
        ValueError, match=r"^mergeable\.laws: got the laws \['assoc'\], expected some of \['associativity', 'commutativity'"
    ):
        check(["purity", "assoc"])


@pytest.mark.parametrize("laws", [["refusal", "model"], ["model", "refusal"]])
def test_of_several_broken_laws_the_first_is_raised(laws):
    """Of the laws that an input breaks, the first in the order that was asked for is raised, each time with the same text."""
    texts = set()
    for _ in range(2):
        with pytest.raises(LawBroken, match=rf"^{laws[0]}: Accepting: ") as caught:
            check_state(Accepting(), SMALL, laws=laws, others=[Accepting(2)], reference=lambda batches: "no number")
        texts.add(("\n".join(caught.value.__notes__), laws[0] == caught.value.law))
    ((notes, named),) = texts
    assert (True, True) == ("batches=[]" in notes, named)


def test_each_input_is_tested_against_all_laws():
    """Inputs are drawn once, however many laws there are."""

    def drawn(laws):
        batches = []
        check_state(Total(), SMALL.map(lambda batch: batches.append(batch) or batch), laws=laws, examples=10)
        return batches

    assert drawn(["purity"]) == drawn(None)


def test_laws_are_chosen_in_order():
    """The names that come back are those that were asked for."""
    assert ("undo", "purity") == check_state(mg.Sum(), laws=["undo", "purity"], examples=5)


# Metrics.


class Mean(mg.Metric):
    total = mg.Sum()
    rows = mg.Count()

    def update_state(self, xs):
        self.total += xs
        self.rows += len(xs)

    def result(self):
        return float(self.total / self.rows)


class MeanOverBatches(mg.Metric):
    total = mg.Sum()
    batches = mg.Count()

    def update_state(self, xs):
        self.total += np.mean(xs)
        self.batches += 1

    def result(self):
        return float(self.total / self.batches)


class OwnMerge(mg.Metric):
    """A metric of plain attributes with a merge of its own."""

    def reset_state(self):
        self.items = []

    def update_state(self, xs):
        self.items = sorted([*self.items, *xs])

    def merge_state(self, metrics):
        for metric in metrics:
            self.items = sorted(self.items + self.taken(metric.items))

    def taken(self, items):
        return items

    def result(self):
        return sum(self.items)


class LosingMerge(OwnMerge):
    def taken(self, items):
        return items[1:]


class KeepingBatches(OwnMerge):
    """An update that keeps the list of the batch, which its owner may write to later."""

    def update_state(self, xs):
        self.items = [*self.items, *xs] if self.items else xs


class MutatingMetric(mg.Metric):
    """A merge of its own that resets the metrics that it takes."""

    total = mg.Sum()

    def update_state(self, xs):
        self.total += xs

    def merge_state(self, metrics):
        super().merge_state(metrics)
        for metric in metrics:
            metric.reset_state()

    def result(self):
        return float(self.total)


class ForgettingReset(OwnMerge):
    """An attribute that a reset leaves as it is."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def update_state(self, xs):
        super().update_state(xs)
        self.seen = [*self.seen, len(xs)]


class SharingReset(OwnMerge):
    """A list that a reset takes from the class, so that all of them share one."""

    shared = []

    def reset_state(self):
        self.items = self.shared

    def update_state(self, xs):
        self.items.extend(xs)


class InPlace(OwnMerge):
    """An update that writes into a part of an attribute, which no undo reaches."""

    def reset_state(self):
        self.items = [[]]

    def update_state(self, xs):
        self.items[0].extend(xs)

    def merge_state(self, metrics):
        self.items = [sorted([*self.items[0], *(x for metric in metrics for x in metric.items[0])])]


class Ordered(mg.Metric):
    """Words in the order of arrival, which says that it has one."""

    words = mg.state(list, merge=list.extend, commutative=False)

    def update_state(self, xs):
        self.words.extend(xs)

    def result(self):
        return list(self.words)


class MisreadMetric(mg.Metric):
    """A state whose file does not hold all of it."""

    items = Misread()

    def update_state(self, xs):
        self.items.update(xs)

    def result(self):
        return self.items.result()


def exact_mean(batches):
    rows = [x for (xs,) in batches for x in xs]
    return sum(rows) / len(rows) if rows else math.nan


def test_a_good_metric_passes():
    """A metric of exact sums passes every law, with an exact reference."""
    assert (*OF_ALL, "model") == check_metric(Mean(), st.tuples(SMALL), reference=exact_mean, examples=20)


def test_a_good_metric_of_plain_attributes_passes():
    """A metric with its own merge passes every law."""
    assert tuple(OF_ALL) == check_metric(OwnMerge(), st.tuples(SMALL), examples=20)


def test_a_mean_over_batches_breaks_the_batch_split_alone():
    """A mean over batches keeps every other law."""
    others = [law for law in OF_ALL if law != "batch split"]
    assert tuple(others) == check_metric(MeanOverBatches(), st.tuples(SMALL), laws=others, examples=30)
    with pytest.raises(LawBroken, match=r"^batch split: MeanOverBatches: the value depends on how the rows are batched"):
        check_metric(MeanOverBatches(), st.tuples(SMALL), laws=["batch split"])


@pytest.mark.parametrize(
    ("metric", "law", "reference"),
    [
        (LosingMerge(), "homomorphism", None),
        (LosingMerge(), "any tree", None),
        (LosingMerge(), "model", lambda batches: sum(x for (xs,) in batches for x in xs)),
        (KeepingBatches(), "purity", None),
        (MeanOverBatches(), "model", exact_mean),
        (ForgettingReset(), "empty", None),
        (SharingReset(), "empty", None),
        (InPlace(), "undo", None),
        (MisreadMetric(), "snapshot", None),
        (mg.MetricCollection([MeanOverBatches()]), "batch split", None),
    ],
    ids=[
        "losing merge",
        "losing merge, in trees",
        "losing merge, against a model",
        "keeping its argument",
        "mean over batches",
        "a reset that forgets an attribute",
        "a reset that shares a list",
        "an update that no undo reaches",
        "a file that holds a part",
        "a member of a collection",
    ],
)
def test_a_planted_defect_of_a_metric_is_caught(metric, law, reference):
    """The law that the metric's defect breaks raises LawBroken with its name."""
    with pytest.raises(LawBroken, match=rf"^{law}: {type(metric).__name__}: ") as caught:
        check_metric(metric, st.tuples(SMALL), laws=[law], reference=reference)
    assert law == caught.value.law


def test_a_merge_of_a_metrics_own_cannot_change_what_it_takes():
    """A metric's own merge gets copies, so that one which resets them keeps every law."""
    assert tuple(OF_ALL) == check_metric(MutatingMetric(), st.tuples(SMALL), examples=20)


def test_laws_that_compare_nothing_are_not_among_the_tested():
    """A law that the subject does not claim, or that needs a reference, is not reported, and nothing tested is an error."""
    words = st.tuples(SMALL)
    assert ("purity",) == check_metric(Ordered(), words, laws=["commutativity", "idempotence", "purity", "model"], examples=5)

    with pytest.raises(
        ValueError,
        match=r"^check_metric: got Mean and 5 examples, of which no law tested anything, expected some that do\. model: no reference, "
        r"so pass reference\.$",
    ):
        check_metric(Mean(), words, laws=["model"], examples=5)


@pytest.mark.parametrize(
    "batches",
    [
        SMALL.map(lambda xs: (np.array(xs),)),
        SMALL.map(lambda xs: ({"x": np.array(xs)},)),
        SMALL.map(lambda xs: ((np.array(xs), np.array(xs)),)),
    ],
    ids=["array", "dict", "tuple"],
)
def test_rows_are_found_wherever_they_stand(batches):
    """Arrays in dicts and tuples are cut into rows too."""

    class Leaves(MeanOverBatches):
        def update_state(self, xs):
            while not isinstance(xs, np.ndarray):
                xs = next(iter(xs.values())) if isinstance(xs, dict) else xs[0]
            super().update_state(xs)

    with pytest.raises(LawBroken, match=r"^batch split: Leaves: "):
        check_metric(Leaves(), batches, laws=["batch split"])


def test_batches_without_rows_test_no_split():
    """Batches that cannot be cut are told: by a warning beside other laws, by an error alone."""

    class Words(mg.Metric):
        words = mg.Set()

        def update_state(self, text):
            self.words.update(text.split())

        def result(self):
            return len(self.words)

    texts = st.text("ab ", max_size=9)
    with pytest.warns(
        UserWarning, match="^check_metric: the law 'batch split' tested nothing of Words: no rows to cut; draw tuples of"
    ):
        assert ("purity",) == check_metric(Words(), texts, laws=["batch split", "purity"], examples=10)
    with pytest.raises(
        ValueError, match=r"no law tested anything.*batch split: no rows to cut, so draw tuples of lists or arrays"
    ):
        check_metric(Words(), texts, laws=["batch split"], examples=10)


@pytest.mark.parametrize(
    "check", [lambda b: check_metric(Mean(), b, examples=5), lambda b: check_state(mg.Sum(), b, examples=5)]
)
def test_batches_that_change_nothing_test_nothing(check):
    """Where no batch changes what takes it, every law would hold for nothing."""
    with pytest.raises(ValueError, match=r"no law tested anything.*no batch changed it, so draw batches with rows"):
        check(st.tuples(st.just([])))


def test_checking_leaves_the_metric():
    """The metric that is checked keeps its value."""
    metric = Mean()
    metric.update_state([1, 2])
    check_metric(metric, st.tuples(SMALL), laws=["purity", "undo"], examples=5)
    assert (1.5, 1) == (metric.result(), metric.coverage.updates)
