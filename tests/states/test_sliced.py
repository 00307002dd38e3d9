"""Results by slice, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams
from tests.register import Range


def fed(sliced, *batch, **named):
    sliced.update(*batch, **named)
    return sliced


def test_overall_sees_every_update():
    """The result of all rows is that of all updates so far: before the first result, after it, and inside update_state."""

    class Loss(mg.Metric):
        loss = mg.Sliced(mg.Mean())
        scratch = ("seen",)

        def update_state(self, keys, values):
            self.loss.update(keys, values)
            self.seen = self.loss.overall()

        def result(self):
            return self.loss.overall()

    metric, state = Loss(), mg.Sliced(mg.Mean())
    for rows, expected in (((["a", "b"], [1.0, 3.0]), 2.0), ((["a"], [5.0]), 3.0)):
        metric.update_state(*rows)
        state.update(*rows)
        assert [expected] * 4 == [state.overall(), state.result().overall, metric.seen, metric.result()]


@pytest.mark.parametrize(
    ("by", "batch", "named"),
    [
        (None, (["a", "b", "a"], [1.0, 2.0, 3.0]), {}),
        (1, ([1.0, 2.0, 3.0], ["a", "b", "a"]), {}),
        ("country", ([1.0, 2.0, 3.0],), {"country": ["a", "b", "a"]}),
        (lambda x: ["a" if v != 2 else "b" for v in x], ([1.0, 2.0, 3.0],), {}),
    ],
    ids=["first", "place", "name", "function"],
)
def test_where_keys_come_from(by, batch, named):
    """Keys are the first argument, one of the batch by place or name, or a function of the batch."""

    class Total(mg.Metric):
        total = mg.Sum()

        def update_state(self, x, country=None):
            assert country is None or len(country) == len(x)
            self.total += x

        def result(self):
            return self.total.result()

    sliced = fed(mg.Sliced(Total(), by=by), *batch, **named)
    assert (6.0, {"a": 4.0, "b": 2.0}, 0.0) == tuple(sliced.result())
    assert {"a": 2, "b": 1} == sliced.sizes()
    assert 4.0 == sliced["a"].result()


@given(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=6), st.integers(1, 5), st.integers(0, 99))
def test_what_is_kept_depends_on_no_order(batches, most, seed):
    """Whole and in parts, in any tree, the same slices are kept, each with all of its rows; the rest is in the overflow."""
    items = [item for batch in batches for item in batch]
    whole = fed(mg.Sliced(mg.Counter(), max_slices=most), items, items)
    parts = [fed(mg.Sliced(mg.Counter(), max_slices=most), batch, batch) for batch in [*batches, []]]
    merged = streams.merged(parts, seed)

    assert canonical_bytes(whole) == canonical_bytes(merged)
    overall, slices, overflow = merged.result()
    assert {key: items.count(key) for key in items} == overall
    assert min(most, len(set(items))) == len(slices) == len(merged)
    assert all({key: items.count(key)} == counts for key, counts in slices.items())
    assert {key: n for key, n in overall.items() if key not in slices} == overflow
    assert len(items) - sum(merged.sizes().values()) == merged.n_overflowed


def test_a_failure_undoes_slices_that_gave_way():
    """Where the inner state refuses a batch, slices that had to go for it are back."""
    for keys in (range(20), range(20, 40)):
        sliced = fed(mg.Sliced(mg.Count(), max_slices=3), range(100, 110), np.arange(10))
        before = canonical_bytes(sliced)
        with pytest.raises(ValueError, match=r"^Count\.update: got -1"):
            sliced.update(keys, np.array([*range(19), -1]))
        assert before == canonical_bytes(sliced)


def test_of_a_metric_inside_a_metric():
    """A metric declares slices of another one, and replicas and files merge."""

    @mg.register(name="tests.BySlice")
    class BySlice(mg.Metric):
        spread = mg.Sliced(Range(2.0), max_slices=10)

        def update_state(self, keys, values):
            self.spread.update(keys, values)

        def result(self):
            return self.spread.result()

    a, b = BySlice(), BySlice()
    a.update_state(["x", "y"], np.array([1.0, 5.0]))
    b.update_state(["x"], np.array([4.0]))
    a.merge_state([b])
    assert {"x": 6.0, "y": 0.0} == a.result().slices
    saved = mg.Snapshot.from_bytes(a.snapshot().to_bytes())
    assert canonical_bytes(a.result()) == canonical_bytes(saved.result())


@pytest.mark.parametrize(
    ("act", "error", "match"),
    [
        (lambda: mg.Sliced(mg.Sum), TypeError, r"^Sliced: got .*, expected a state or a metric"),
        (lambda: mg.Sliced(mg.Sum(), by=1.5), TypeError, r"^Sliced: got by=1\.5, expected None, the place or the name"),
        (
            lambda: mg.Sliced(mg.Sum(), max_slices=0),
            ValueError,
            r"^Sliced: got max_slices=0, expected a whole number of at least 1",
        ),
        (
            lambda: fed(mg.Sliced(mg.Sum(), by="a"), [1.0]),
            TypeError,
            r"got 1 arguments in order and \[\] by name, expected one for by='a'",
        ),
        (lambda: fed(mg.Sliced(mg.Sum(), by=2), [1.0]), TypeError, r"^Sliced\.update: got 1 arguments"),
        (
            lambda: fed(mg.Sliced(mg.Sum()), ["a"], [1.0, 2.0]),
            ValueError,
            r"^Sliced\.update: got 1 keys and columns of lengths \[2\]",
        ),
        (lambda: fed(mg.Sliced(mg.Sum()), [[]], [1.0]), TypeError, r"^Sliced\.update: got the key \[\]"),
        (lambda: mg.Sliced(mg.Sum())["a"], KeyError, r"no slice has the key 'a'"),
    ],
)
def test_what_is_refused(act, error, match):
    """Bad parameters and batches are refused by name."""
    with pytest.raises(error, match=match):
        act()


def test_other_functions_do_not_merge():
    """Slices by another function are other slices; by an equal one of another program they are the same."""
    import cloudpickle

    def by(x):
        return x > 1

    one, two = mg.Sliced(mg.Sum(), by=by), mg.Sliced(mg.Sum(), by=lambda x: x > 2)
    with pytest.raises(mg.IncompatibleStates, match=r"parameters differ: by is"):
        one.merge(two)
    one.merge(cloudpickle.loads(cloudpickle.dumps(fed(one.empty(), np.array([1.0, 2.0])))))
    assert {False: 1.0, True: 2.0} == one.result().slices
