"""Custom loops: strategy.run, metrics built anywhere, and batches that are not what they seem."""

import numpy as np
import pytest
import tensorflow as tf

from tests.keras.conftest import mirrored
from tests.keras.zoo import RowCount, Total


@pytest.fixture(params=[2, 4])
def strategy(request):
    return mirrored(request.param)


@pytest.mark.parametrize("built", ["inside", "outside"])
@pytest.mark.parametrize("in_graph", [True, False], ids=["graph", "eager"])
def test_strategy_run(strategy, built, in_graph):
    """A distributed data set in a custom loop counts every row, wherever the metric was built."""
    if built == "inside":
        with strategy.scope():
            metric = RowCount()
    else:
        metric = RowCount()
    metric.step_result = "always"

    def replica_step(batch):
        metric.update_state(batch, batch)
        return metric.result()

    def step(batch):
        return strategy.run(replica_step, args=(batch,))

    if in_graph:
        step = tf.function(step)
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.range(14).map(float).batch(8))
    shown = [step(batch) for batch in data]

    assert 14 == int(metric.result())
    assert [8, 14] == [int(strategy.experimental_local_results(value)[0]) for value in shown]


def test_in_step_result_is_that_of_all_replicas(strategy):
    """Every replica of a step sees one value: the fold after all have updated."""
    metric = Total()

    @tf.function
    def step(batch):
        def replica_step(batch):
            metric.update_state(batch, batch)
            return tf.identity(metric.result())

        return strategy.run(replica_step, args=(batch,))

    batch = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([10.0**context.replica_id_in_sync_group])
    )
    values = strategy.experimental_local_results(step(batch))

    assert {sum(10.0**i for i in range(strategy.num_replicas_in_sync))} == {float(v) for v in values}


def test_constant_labels_with_data_of_each_replica(strategy):
    """Labels that all replicas share do not make their batches one: a discriminator's rows all count."""
    metric = Total()
    ones = tf.ones([2])

    @tf.function
    def step(batch):
        return strategy.run(lambda x: metric.update_state(ones, x), args=(batch,))

    batch = strategy.experimental_distribute_values_from_function(lambda _: tf.constant([1.0, 2.0]))
    step(batch)

    assert 3.0 * strategy.num_replicas_in_sync == float(metric.result())


def test_constant_labels_with_noise(strategy):
    """Random numbers that each replica draws are data of its own."""
    metric = RowCount()
    ones = tf.ones([2])

    @tf.function
    def step():
        return strategy.run(lambda: metric.update_state(ones, tf.random.normal([2])))

    step()

    assert 2 * strategy.num_replicas_in_sync == int(metric.result())


def test_the_whole_batch_in_every_replica(strategy):
    """Where every replica gets the very same batch, its rows count once."""
    metric = RowCount()

    @tf.function
    def step(batch):
        return strategy.run(lambda x: metric.update_state(x, x * 2), args=(batch,))

    step(tf.ones([5]))

    assert 5 == int(metric.result())


def test_update_outside_of_a_replica(strategy):
    """In the scope, but not in a replica, an update counts once."""
    metric = RowCount()
    with strategy.scope():
        metric.update_state([1.0, 2.0], [1.0, 2.0])
        tf.function(lambda p: metric.update_state(p, p))(tf.ones([3]))

        assert 5 == int(metric.result())


def test_several_metrics_in_one_step(strategy):
    """Metrics of one step do not disturb one another."""
    rows, total = RowCount(), Total()

    @tf.function
    def step(batch):
        def replica_step(x):
            rows.update_state(x, x)
            total.update_state(x, x)
            return rows.result(), total.result()

        return strategy.run(replica_step, args=(batch,))

    data = strategy.experimental_distribute_dataset(tf.data.Dataset.range(8).map(float).batch(8))
    for batch in data:
        n, t = (strategy.experimental_local_results(value)[0] for value in step(batch))

    assert (8, 28.0) == (int(n), float(t))


def test_a_metric_that_one_replica_skips_is_an_error_of_tensorflow(strategy):
    """Replicas meet at every update; a replica that does not come is reported, not waited for."""
    metric = RowCount()

    def replica_step():
        if tf.distribute.get_replica_context().replica_id_in_sync_group == 0:
            metric.update_state(np.ones(2), np.ones(2))

    with pytest.raises((RuntimeError, ValueError, TypeError)):
        strategy.run(replica_step)
