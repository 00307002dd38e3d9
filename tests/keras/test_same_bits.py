"""One pass, one process and many replicas end in the same bytes."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests.effort import LONG
from tests.keras.zoo import BleuLike, Everything, RowCount, Total


def data(rng, rows=23):
    """Labels and predictions, with values that break sums in float64."""
    y = rng.integers(0, 2, (rows, 1)).astype("float32")
    p = (rng.normal(size=(rows, 1)) * 10.0 ** rng.integers(-6, 7, (rows, 1))).astype("float32")
    p[:4, 0] = [1e16, 1.0, -1e16, 1e-40]
    return y, p


def one_pass(y, p):
    metric = Everything()
    metric.update_state(y, p)
    return metric


# The first batch divides evenly here: where it does not, Keras 3 fails under MirroredStrategy, with no metric at all.
@pytest.mark.parametrize("batch_size", [4, 8, 12] if LONG else [4, 8])
def test_evaluate_equals_one_pass(strategy, through, rng, batch_size):
    """Every state ends in the bytes of one pass, also with short and empty last batches."""
    y, p = data(rng)
    metric = Everything(name="all")
    through(strategy, [metric]).evaluate(p, y, batch_size=batch_size, verbose=0)

    assert canonical_bytes(one_pass(y, p).contents()) == canonical_bytes(metric.contents())
    assert metric.coverage.rows == 23


def test_evaluate_reports_the_result(replicated, through, rng):
    """What ``evaluate`` returns is the metric's result, to the bit."""
    y, p = data(rng)
    model = through(replicated, [Total(name="total"), BleuLike(name="bleu")])
    logs = model.evaluate(p, y, batch_size=8, verbose=0, return_dict=True)
    total, bleu = Total(), BleuLike()
    total.update_state(y, p)
    bleu.update_state(y, p)

    assert np.float64(total.result()).tobytes() == np.float64(logs["total"]).tobytes()
    assert np.float64(bleu.result()).tobytes() == np.float64(logs["bleu"]).tobytes()


def test_test_on_batch_is_what_one_process_returns(replicated, through, rng):
    """``test_on_batch`` counts each row once, where Keras gives every replica the whole batch."""
    y, p = data(rng)
    logs = through(replicated, [RowCount(name="rows"), Total(name="total")]).test_on_batch(p, y, return_dict=True)
    total = Total()
    total.update_state(y, p)

    assert logs["rows"] == 23
    assert np.float64(total.result()).tobytes() == np.float64(logs["total"]).tobytes()


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_train_on_batch_is_what_one_process_returns(replicated, trained, rng, run_eagerly):
    """``train_on_batch`` shows the fold of all replicas after all have updated, each row once."""
    metric = RowCount(name="rows")
    model = trained(replicated, [metric], run_eagerly=run_eagerly)
    x, y = rng.normal(size=(10, 3)).astype("float32"), np.ones((10, 1), "float32")
    first = model.train_on_batch(x, y, return_dict=True)

    assert first["rows"] == 10
    assert metric.coverage.rows == 10


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_in_step_value_covers_all_replicas(replicated, through, rng, run_eagerly):
    """The value after each step is that of all rows so far, not the mean of the replicas' values."""
    shown = []

    class Spy(tf.keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            shown.append(float(logs["total"]))

    y, p = data(rng)
    metric = Total(name="total")
    metric.step_result = "always"
    model = through(replicated, [metric], run_eagerly=run_eagerly)
    model.evaluate(p, y, batch_size=8, verbose=0, callbacks=[Spy()])
    expected = []
    for end in (8, 16, 23):
        total = Total()
        total.update_state(y[:end], p[:end])
        expected.append(float(total.result()))
    narrowed = [float(np.float32(value)) for value in expected]  # by Keras before 3.14, in eager steps only

    assert shown in ([expected, narrowed] if run_eagerly else [expected])


def test_fit_epochs_start_empty(replicated, trained, rng):
    """Each epoch, and each validation, counts its own rows only."""
    model = trained(replicated, [RowCount(name="rows")])
    x, y = rng.normal(size=(11, 3)).astype("float32"), np.ones((11, 1), "float32")
    history = model.fit(x, y, batch_size=4, epochs=3, validation_data=(x[:5], y[:5]), verbose=0).history

    assert [11, 11, 11] == [int(v) for v in history["rows"]]
    assert [5, 5, 5] == [int(v) for v in history["val_rows"]]


def test_replicas_have_slots_of_their_own(through, rng):
    """Under four replicas the coverage names four, and an empty batch is nobody's update."""
    from tests.keras.conftest import mirrored

    y, p = data(rng, rows=9)
    metric = RowCount(name="rows")
    through(mirrored(4), [metric]).evaluate(p, y, batch_size=8, verbose=0)

    assert (0, 1, 2, 3) == metric.coverage.replicas
    assert 5 == metric.coverage.updates  # four, and one row for the first replica; three replicas get nothing
    assert 9 == metric.coverage.rows


def test_order_of_slots_is_the_order_of_replicas(through):
    """A state that does not commute is folded in replica order."""

    class Joined(mg.PyMetric):
        text = mg.state(list, merge=list.extend, commutative=False)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.text.extend(int(v) for v in np.asarray(y_pred).ravel())

        def result(self):
            return len(self.text)

    from tests.keras.conftest import mirrored

    metric = Joined(name="joined")
    p = np.arange(8, dtype="float32").reshape(8, 1)
    through(mirrored(4), [metric]).evaluate(p, p, batch_size=8, verbose=0)

    assert list(range(8)) == metric.text
