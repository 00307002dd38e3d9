"""Several metrics as one in Keras: the bits of each alone, and one call of the host a step."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.keras import AUROC, MetricCollection
from tests.keras.graphs import calls
from tests.keras.zoo import BleuLike, Everything, RowCount, Total

KINDS = {
    "auroc": AUROC,
    "total": Total,
    "rows": RowCount,
    "bleu": BleuLike,
}


@pytest.fixture
def data(rng):
    scores = (rng.random((23, 1)) * 10.0 ** rng.integers(-3, 4, (23, 1))).astype("float32")
    scores[:3, 0] = [1e16, 1.0, 1e-40]
    return scores, rng.integers(0, 2, (23, 1)).astype("float32")


def members(size):
    """Return so many metrics, of all kinds in turn."""
    return [make(name=f"{kind}_{i}") for i in range(-(-size // len(KINDS))) for kind, make in KINDS.items()][:size]


@pytest.mark.parametrize("size", [1, 4])
def test_the_same_bits_as_each_alone(replicated, through, data, size):
    """``evaluate`` shows what the same metrics show one by one."""
    scores, labels = data
    shown = [
        through(replicated, metrics).evaluate(scores, labels, batch_size=8, verbose=0, return_dict=True)
        for metrics in ([MetricCollection(members(size))], members(size))
    ]
    for name in (metric.name for metric in members(size)):
        assert np.float64(shown[1][name]).tobytes() == np.float64(shown[0][name]).tobytes()


@pytest.mark.parametrize("size", [1, 4])
def test_fit_shows_the_same(trained, rng, size):
    """``fit`` and its validation show in every epoch what the same metrics show one by one."""
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.integers(0, 2, (20, 1)).astype("float32")
    histories = []
    for metrics in ([MetricCollection(members(size))], members(size)):
        tf.keras.utils.set_random_seed(3)
        model = trained(tf.distribute.get_strategy(), metrics)
        histories.append(model.fit(x, y, batch_size=8, epochs=2, validation_data=(x, y), shuffle=False, verbose=0).history)
    together, alone = histories
    names = [f"{kind}{metric.name}" for metric in members(size) for kind in ("", "val_")]
    assert [alone[name] for name in names] == [together[name] for name in names]


def test_every_state_with_replicas(replicated, through, data):
    """Every kind of state in a member ends in the bytes of one process and one pass."""
    scores, labels = data
    metric = MetricCollection([Everything(name="all"), AUROC()])
    through(replicated, [metric]).evaluate(scores, labels, batch_size=8, verbose=0)
    alone = Everything()
    alone.update_state(labels, scores)
    assert canonical_bytes(alone.contents()) == canonical_bytes(metric.metric["all"].contents())
    assert 23 == metric.coverage.rows


@pytest.mark.parametrize("size", [1, 16])
def test_one_call_of_the_host(size):
    """An update and the results of all members are one call of the host in a step's graph."""
    metric = MetricCollection(members(size))

    @tf.function
    def step(y):
        metric.update_state(y, y)
        return metric.result()

    graph = step.get_concrete_function(tf.TensorSpec([None], tf.float32)).graph
    operations = {name: count for name, count in calls(graph).items() if count}

    assert {"branch": 1} == operations


def test_one_update_a_step(through, rng):
    """In ``evaluate`` the methods of the members run once a step."""

    class Counted(RowCount):
        pass

    y = rng.normal(size=(16, 1)).astype("float32")
    model = through(tf.distribute.get_strategy(), [MetricCollection([Counted(name="rows"), Total(name="total")])])
    model.evaluate(y, y, batch_size=8, verbose=0)
    Counted.updates = Counted.results = 0
    model.evaluate(y, y, batch_size=8, verbose=0)
    assert 2 == Counted.updates
    assert Counted.results <= 3  # one a step, and the last one for the logs


class Tensors(mg.PyMetric):
    """What came, for which it must be eager tensors on the CPU."""

    total = mg.Sum()
    scratch = ("seen",)
    seen = ()

    def update_state(self, y_true, y_pred, sample_weight=None):
        type(self).seen = (y_true, y_pred, sample_weight)
        self.total += y_pred.numpy()

    def result(self):
        return self.total.result()


def test_keras_metrics_get_tensors():
    """Outside of Keras, too, a Keras metric gets eager tensors, the same ones as all of its kind, and no empty batch."""

    class Arrays(mg.Metric):
        scratch = ("seen",)
        seen = ()

        def update_state(self, y_true, y_pred, sample_weight=None):
            type(self).seen = (y_true, y_pred, sample_weight)

        def result(self):
            return 0

    class Second(Tensors):
        pass

    metric = mg.MetricCollection([Tensors(), Second(), Arrays()])
    batch = ([1.0, 2.0], np.array([3, 4], np.int16))
    metric.update_state(*batch, sample_weight=None)
    assert all(tf.is_tensor(t) and "CPU" in t.device for t in Tensors.seen[:2])
    assert ([tf.float64, tf.int16], None) == ([t.dtype for t in Tensors.seen[:2]], Tensors.seen[2])
    assert all(a is b for a, b in zip(Tensors.seen, Second.seen, strict=True))
    assert Arrays.seen[0] is batch[0]
    metric.update_state([], [])
    assert (2, 0) == (len(Tensors.seen[0]), len(Arrays.seen[0]))
    assert {"tensors": 7.0, "second": 7.0, "arrays": 0} == metric.result()
    assert 7.0 == float(metric["tensors"].result())


def test_weights_reach_every_member(replicated, through, data, rng):
    """In ``weighted_metrics`` each member that takes weights gets them."""
    scores, labels = data
    weights = rng.integers(0, 3, 23).astype("float32")
    metric = MetricCollection([AUROC(weighted=True), Total(name="total")])
    model = through(replicated, None, weighted_metrics=[metric])
    model.evaluate(scores, labels, sample_weight=weights, batch_size=8, verbose=0)
    auroc, total = AUROC(weighted=True), Total()
    auroc.update_state(labels, scores, weights)
    total.update_state(labels, scores, weights.reshape(-1, 1))
    assert (float(auroc.result()), float(total.result())) == tuple(map(float, metric.result().values()))


class Seen(mg.Metric):
    rows = mg.Count()

    def __init__(self, times=1, name=None):
        super().__init__(name)
        self.times = times

    def update_state(self, y_true, y_pred):
        self.rows += len(y_true) * self.times

    def result(self):
        return {"rows": self.rows.result(), "share": 1 // self.rows.result()}


class SeenTwice(Seen):
    def result(self):
        return 2 * self.rows.result()


def test_names_are_those_of_any_process():
    """Keras numbers metrics that were given no name; a collection, whose files and workers meet others, does not."""
    for _ in range(2):
        assert ["total", "total_9"] == list(mg.MetricCollection([Total(), Total(name="total_9")]))


def test_any_collection_is_a_keras_metric(through, data):
    """``PyMetric.of`` takes one; members need not know weights, nor have a result on empty states."""
    scores, labels = data
    collection = mg.MetricCollection([SeenTwice(), Total()], reads={})
    logs = through(tf.distribute.get_strategy(), [mg.PyMetric.of(collection)]).evaluate(
        scores, labels, verbose=0, return_dict=True
    )
    assert (46, float(collection["total"].result())) == (logs["seen_twice"], logs["total"])

    class Inverse(SeenTwice):
        def result(self):
            return 1 / int(self.rows)

    logs = through(tf.distribute.get_strategy(), [MetricCollection([Inverse(), SeenTwice()])]).evaluate(
        scores, labels, verbose=0, return_dict=True
    )
    assert (1 / 23, 46) == (logs["inverse"], logs["seen_twice"])


def test_configuration():
    """A collection comes back from its configuration, with classes that are defined here and no others."""
    inner = mg.MetricCollection([Seen(3)], prefix="in_")
    metric = MetricCollection(
        {"a": Seen(2), "b": SeenTwice(2), "c": AUROC(9), "d": Total(), "e": inner}, reads={"b": "a"}, prefix="p_", name="many"
    )
    config = metric.get_config()
    twin = type(metric).from_config(config)
    assert config == twin.get_config() == metric.get_config()
    assert ("many", ["a", "b", "c", "d", "e"], "p_", {"b": "a"}) == (
        twin.name,
        list(twin.metric),
        twin.metric.prefix,
        twin.metric.reads,
    )
    for one in (metric, twin):
        one.update_state([0.0, 1.0], [0.25, 0.5])
    assert {"p_a_rows": 4, "p_b": 8, "p_c": 1.0, "p_d": 0.75, "p_in_seen_rows": 6}.items() <= twin.metric.result().items()
    assert metric.metric.result() == twin.metric.result()
    metric.merge_state([twin])
    assert 8 == metric.metric["a"].result()["rows"]

    config["metrics"] = {"a": {"metric": "os:system", "arguments": {}}}
    with pytest.raises(
        ValueError, match=r"got the description of a 'os:system' as 'a', expected .* registered here or defined"
    ):
        type(metric).from_config(config)


def test_a_checkpoint_goes_on(data, tmp_path):
    """States of all members come back from a checkpoint."""
    scores, labels = data
    metric, again = MetricCollection([Total(), AUROC()]), MetricCollection([Total(), AUROC()])
    metric.update_state(labels, scores)
    path = tf.train.Checkpoint(metric=metric).write(str(tmp_path / "epoch"))
    tf.train.Checkpoint(metric=again).read(path)
    assert metric.metric.result() == again.metric.result()
