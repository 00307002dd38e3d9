"""Replicas of one process meet once, in order."""

from typing import NamedTuple

import pytest
import tensorflow as tf

from mergeable.strategies import current
from mergeable.strategies.local import Local
from tests.keras.conftest import mirrored
from tests.strategies import conformance
from tests.strategies.programs import KerasJob


class ReplicaBatch(NamedTuple):
    first: object
    tensors: list


def test_alone():
    """Without a strategy, one item meets nobody."""
    met = []
    Local().meet("mine", met.append)

    assert [["mine"]] == met


@pytest.mark.parametrize("replicas", [1, 2, 4])
@pytest.mark.parametrize("in_graph", [True, False], ids=["graph", "eager"])
def test_replicas_meet_once_in_order(replicas, in_graph):
    """Each replica brings an item of its own; all come in one call, in replica order."""
    strategy, met = mirrored(replicas), []

    def replica_step(x):
        current().meet(x, lambda items: met.append([getattr(item, "shape", None) for item in items]))

    def step(x):
        strategy.run(replica_step, args=(x,))

    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.ones([context.replica_id_in_sync_group + 1])
    )
    (tf.function(step) if in_graph else step)(values)

    assert [[(i + 1,) for i in range(replicas)]] == [[tuple(shape) for shape in shapes] for shapes in met]


def test_what_follows_a_meeting_comes_after_it():
    """A replica goes on only when all have met."""
    order = []

    def replica_step():
        rank = tf.distribute.get_replica_context().replica_id_in_sync_group
        order.append(("before", int(rank)))
        current().meet(rank, lambda items: order.append(("met", len(items))))
        order.append(("after", int(rank)))

    mirrored(2).run(replica_step)

    assert ("met", 2) == order[2]
    assert {("before", 0), ("before", 1)} == set(order[:2])


def test_this_process_is_the_job():
    """The replicas of one process have no others to meet."""
    assert Local().processes is None


def test_current_serves_what_runs_in_one_process():
    """No strategy, OneDevice and Mirrored are served; the scope decides."""
    assert isinstance(current(), Local)
    with mirrored(2).scope():
        assert isinstance(current(), Local)
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert isinstance(current(), Local)


def test_conformance_of_replicas():
    """Every scenario shows under replicas of one process what it shows alone."""
    for replicas in (1, 2, 4):
        conformance.check([conformance.shown(KerasJob(mirrored(replicas)))])


def test_distinct_by_content_in_eager_code():
    """In eager code one object and equal bytes are one batch; equal bytes of two objects are two."""
    y, p, q = tf.ones([2]), tf.zeros([2]), tf.zeros([2])

    def distinct(*batches):
        return len(Local().distinct([ReplicaBatch(first, tensors) for first, tensors in batches]))

    assert 1 == distinct((y, [y, p]), (y, [y, q]))
    assert 2 == distinct((y, [y, p]), (y, [y, tf.ones([2])]))
    assert 2 == distinct((y, [y, p]), (tf.ones([2]), [y, q]))
    assert 1 == distinct((y, [y, p]))
