"""Rows that come twice count once."""

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams
from tests.register import Range


def fed(state, *batches):
    for batch in batches:
        state.update(*batch)
    return state


def test_padded_and_retried_rows_count_once():
    """Rows that come again, in a batch, in another one or in another shard, change nothing but the count of them."""
    values = np.random.default_rng(0).random(1_000)
    once = fed(mg.Deduplicated(mg.Mean(), "x"), (np.arange(1_000), values))
    again = fed(mg.Deduplicated(mg.Mean(), "x"), (np.arange(600), values[:600]), (np.arange(400, 700), values[400:700]))
    again.merge(fed(again.empty(), (np.arange(650, 1_000), values[650:])))
    assert once.result() == again.result()
    assert (1_000, 250, 0) == (len(again), again.n_dropped, again.n_conflicts)


def test_conflicts_are_counted():
    """Of rows that have one id and differ, the first in order counts, whoever brought it."""
    for order in ([5.0, 3.0, 4.0], [3.0, 4.0, 5.0]):
        state = fed(mg.Deduplicated(mg.Sum(), "x"), *[(["a"], [x]) for x in order], (["b"], [1.0]))
        assert (4.0, 2, 2, 1) == (state.result(), len(state), state.n_dropped, state.n_conflicts)


def test_memory_does_not_grow_with_repeated_rows():
    """Repeated rows are dropped while they come."""
    state = mg.Deduplicated(mg.Sum(), "x")
    for _ in range(100):
        state.update(np.arange(1_000), np.arange(1_000.0))
    assert sum(len(chunk[0]) for chunk in state._rows._chunks) <= 3 * 4096
    assert (1_000, 99_000) == (len(state), state.n_dropped)


def test_any_tree():
    """However rows are cut, with overlaps, the bytes are the same."""
    rng = np.random.default_rng(0)
    ids, columns = rng.integers(0, 300, 2_000), rng.integers(0, 3, (2_000, 2)).astype(np.float32)
    whole = fed(mg.Deduplicated(mg.Sum(shape=(2,)), "x"), (ids, columns))
    merged = streams.sharded(whole.empty, (ids, columns), shards=50)
    assert canonical_bytes(whole) == canonical_bytes(merged)


def test_of_a_metric_with_two_columns():
    """A metric gets its columns in the order of their names."""

    class Errors(mg.Metric):
        largest = mg.Max()

        def update_state(self, y_true, y_pred):
            self.largest.update(y_true - 2 * y_pred)

        def result(self):
            return self.largest.result()

    state = mg.Deduplicated(Errors(), "y_true", "y_pred")
    state.update([1, 1, 2], y_pred=[1.0, 1.0, 0.0], y_true=[1.0, 1.0, 3.0])
    assert (3.0, 2) == (state.result(), len(state))
    assert np.isnan(mg.Deduplicated(Range(), "x").result())


@pytest.mark.parametrize(
    ("act", "error", "match"),
    [
        (lambda: mg.Deduplicated(3, "x"), TypeError, r"^Deduplicated: got 3, expected a state or a metric"),
        (lambda: mg.Deduplicated(mg.Sum(), "id"), ValueError, r"^Rows: got the columns \('id', 'id'\)"),
        (lambda: fed(mg.Deduplicated(mg.Sum(), "x"), ([1],)), ValueError, r"^Deduplicated\.update: got 0 columns in order"),
        (
            lambda: fed(mg.Deduplicated(mg.Sum(), "x"), ([1.5], [1.0])),
            ValueError,
            r"^Deduplicated\.update: got ids of dtype float64",
        ),
        (
            lambda: fed(mg.Deduplicated(mg.Sum(), "x"), ([[1]], [1.0])),
            ValueError,
            r"^Deduplicated\.update: got ids of dtype int64 and",
        ),
        (
            lambda: fed(mg.Deduplicated(mg.Sum(), "x"), ([1, "a"], [1.0, 2.0])),
            ValueError,
            r"^Rows\.update: got the column 'id'",
        ),
        (
            lambda: fed(mg.Deduplicated(mg.Sum(), "x"), ([1], [1.0, 2.0])),
            ValueError,
            r"^Rows\.update: got columns of lengths \[1, 2\]",
        ),
    ],
)
def test_what_is_refused(act, error, match):
    """Bad parameters and batches are refused by name, and nothing is counted."""
    with pytest.raises(error, match=match):
        act()


def test_what_the_inner_state_refuses_is_refused_at_once():
    """A batch that the inner state would refuse is not kept until the result is read."""
    state = fed(mg.Deduplicated(mg.Sum(), "x"), ([1], [1.0]))
    before = canonical_bytes(state)
    with pytest.raises(TypeError, match=r"^Sum\.update: got values of dtype"):
        state.empty().update([2], ["a"])
    with pytest.raises(ValueError, match=r"^Deduplicated\.update: got 1 columns in order and \['y'\] by name"):
        state.update([2], [1.0], y=[1.0])
    assert before == canonical_bytes(state)


def test_a_refused_batch_changes_nothing():
    """A batch of another dtype leaves rows and counts as they were."""
    state = fed(mg.Deduplicated(mg.Sum(), "x"), ([1], [1.0]))
    before = canonical_bytes(state)
    with pytest.raises(ValueError, match=r"^Rows\.update: got columns of str"):
        state.update(["a"], [1.0])
    assert before == canonical_bytes(state)
