"""Several metrics as one: the values of each alone, one dict, one snapshot, and states that are shared by declaration."""

import copy
import json
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import strategies as st

import mergeable as mg
from mergeable import laws
from mergeable.encoding.canonical import canonical_bytes
from mergeable.exchange import join, watch
from mergeable.metric import operations
from mergeable.metric.internals import internals
from mergeable.metrics import AUROC
from tests.effort import HANG
from tests.notes import notes
from tests.strategies.simulated import run

LABELS = st.lists(st.integers(0, 2), min_size=3, max_size=3)


class Accuracy(mg.Metric):
    matrix = mg.ConfusionMatrix(3)
    scratch = ("updates",)
    updates = 0

    def update_state(self, y_true, y_pred):
        type(self).updates += 1
        self.matrix.update(y_true, y_pred)

    def result(self):
        matrix = self.matrix.result()
        return float(matrix.trace() / matrix.sum()) if matrix.any() else float("nan")


class Kappa(Accuracy):
    """Agreement beyond chance, of the same matrix."""

    def update_state(self, y_true, y_pred):
        raise AssertionError("a reader is not updated")

    def result(self):
        matrix = self.matrix.result()
        rows = matrix.sum()
        chance = matrix.sum(0) @ matrix.sum(1) / rows**2 if rows else np.nan
        return float((matrix.trace() / rows - chance) / (1 - chance)) if chance < 1 else float("nan")


class Wide(Accuracy):
    matrix = mg.ConfusionMatrix(4)


class Other(mg.Metric):
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


class Weighted(mg.Metric):
    """What weights came, and a nested result; refuses negative predictions after it has written."""

    mean = mg.Mean()
    worst = mg.Max()

    def __init__(self, scale=1.0, name=None):
        super().__init__(name)
        self.scale = scale

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.mean.update(np.multiply(y_pred, self.scale), sample_weight)
        self.worst += y_pred
        if np.min(y_pred, initial=0) < 0:
            raise ArithmeticError("negative")

    def result(self):
        return {"mean": self.mean.result(), "of": {"worst": self.worst.result()}}


class Fragile(mg.Metric):
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.rows += len(y_true)

    def result(self):
        return 1 // self.rows.result()


def agreement(**options):
    return mg.MetricCollection([Accuracy(), Kappa(), Other()], reads={"kappa": "accuracy"}, **options)


def value(metric):
    return canonical_bytes(internals(metric).fold())


# Values.


def test_each_member_has_its_value():
    """The values are those of each metric alone, under its name, in the order of the members."""
    members = [Other(), Accuracy(), AUROC(name="ranks")]
    together = mg.MetricCollection(members[:2])
    alone = Other(), Accuracy()
    for batch in (([0, 1, 2], [0, 2, 2]), ([1], [1])):
        together.update_state(*batch)
        for metric in alone:
            metric.update_state(*batch)
    assert [("other", 4), ("accuracy", 0.75)] == list(together.result().items())
    assert [metric.result() for metric in alone] == list(together.result().values())
    assert (2, 4) == (together.coverage.updates, together.coverage.rows)
    assert "metric_collection" == together.name


def test_dicts_are_flat():
    """A dict, also nested, has a key for each value; a collection in another one keeps its keys; prefixes come first."""
    inner = mg.MetricCollection({"a": Other()}, prefix="in_")
    metric = mg.MetricCollection({"w": Weighted(2.0), "inner": inner, "b": Other()}, prefix="val_")
    metric.update_state([0], [3.0])
    assert {"val_w_mean": 6.0, "val_w_of_worst": 3.0, "val_in_a": 1, "val_b": 1} == metric.result()
    assert ["val_w_mean", "val_w_of_worst", "val_in_a", "val_b"] == list(metric.result())


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (lambda: {"w": Weighted(), "w_mean": Other()}, "'w_mean', of 'w' and of 'w_mean'"),
        (lambda: {"a": mg.MetricCollection([Other()]), "b": mg.MetricCollection([Other()])}, "'other', of 'a' and of 'b'"),
        (lambda: {"other": Other(), "b": mg.MetricCollection([Other()])}, "'other', of 'other' and of 'b'"),
    ],
)
def test_two_values_of_one_name_are_refused(metrics, names):
    """A collection whose values would share a name is refused when it is built; the error names the key and both members."""
    with pytest.raises(
        ValueError, match=rf"^MetricCollection\.result: got two values of the name {names}, expected one\. Pass"
    ):
        mg.MetricCollection(metrics())


def test_names_that_come_later_are_refused_then():
    """Keys that are found may meet another member's name; the result is refused then."""

    class Found(Other):
        def result(self):
            return {"mean": 1.0} if super().result() else {}

    metric = mg.MetricCollection({"w": Found(), "w_mean": Other()})
    metric.update_state([0], [3.0])
    with pytest.raises(ValueError, match=r"^MetricCollection\.result: got two values of the name 'w_mean'"):
        metric.result()


def test_weights_that_are_none_go_to_those_that_take_them():
    """Keras says sample_weight=None where there is none; real weights are refused by a metric that knows none."""
    metric = mg.MetricCollection([Other(), Weighted()])
    metric.update_state([0, 1], [1.0, 2.0], sample_weight=None)
    assert (2, 1.5) == (metric.result()["other"], metric.result()["weighted_mean"])
    with pytest.raises(TypeError, match="sample_weight"):
        metric.update_state([0, 1], [1.0, 2.0], sample_weight=[1.0, 3.0])
    assert 2 == metric.result()["other"]


@pytest.mark.parametrize("name", ["result", "name", "states", "update_state", "prefix", "reads", "keys", "metrics[a]", "é b"])
def test_names_collide_with_nothing(name):
    """A member may have any name."""
    metric = mg.MetricCollection({name: Other(), "a": Other()})
    metric.update_state([0, 1], [0, 1])
    assert {name: 2, "a": 2} == pickle.loads(pickle.dumps(metric)).result()
    assert 2 == metric[name].result()


# All or none.


def test_all_take_a_batch_or_none():
    """Where a member fails, every member is as before, and the error names both."""
    metric = mg.MetricCollection([Other(), Weighted(), Accuracy()])
    metric.update_state([0], [1])
    before = value(metric)
    with pytest.raises(ArithmeticError, match="negative") as caught:
        metric.update_state([0], [-1])
    assert before == value(metric)
    assert 1 == metric.coverage.updates
    where = [
        "in Weighted.update_state (metric 'weighted')",
        "in MetricCollection.update_state (metric 'metric_collection', replica 0)",
    ]
    assert where == [text.partition(";")[0] for text in notes(caught.value)]


def test_members_are_templates():
    """What a metric holds is not taken along, and stays as it is."""
    held = Other()
    held.update_state([0, 0], [0, 0])
    metric = mg.MetricCollection([held])
    metric.update_state([0], [0])
    assert (2, {"other": 1}) == (held.result(), metric.result())
    metric.reset_state()
    assert {"other": 0} == metric.result()


def test_laws():
    """Every law of metrics holds for a collection with shared states and a collection in it."""
    metric = mg.MetricCollection({"all": agreement(prefix="in_"), "weighted": Weighted()}, prefix="x_")
    tested = laws.check_metric(metric, st.tuples(LABELS, LABELS), examples=15)
    assert {"idempotence", "model"} == set(laws.LAWS) - set(tested)


def test_replicas_fold():
    """Each replica has states of its own, and the result is their fold."""
    one, many = agreement(), agreement()
    for i in range(6):
        batch = [i % 3, 1], [i % 2, 1]
        operations.update(one, 0, batch, {})
        operations.update(many, i % 4, batch, {})
    assert value(one) == value(many)
    assert one.result() == many.result()


# Shared states.


def test_a_reader_is_computed_from_the_states_of_another():
    """The matrix is updated once a batch, and the value is that of the metric alone."""
    metric = agreement()
    Accuracy.updates = 0
    metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
    metric.update_state([0], [1])
    assert 2 == Accuracy.updates

    class Alone(Kappa):
        update_state = Accuracy.update_state

    alone = Alone()
    alone.update_state([0, 1, 2, 2, 0], [0, 1, 2, 1, 1])
    assert alone.result() == metric.result()["kappa"] == metric["kappa"].result()
    assert ["accuracy", "kappa", "other"] == list(metric.result())


def test_nothing_is_kept_twice():
    """Snapshots and pickles of two metrics that share a table have the size of one."""

    class Rows(mg.Metric):
        table = mg.Rows("x")

        def update_state(self, x):
            self.table.update(x)

        def result(self):
            return len(self.table)

    def size(names, reads):
        metric = mg.MetricCollection({name: Rows() for name in names}, reads=reads)
        metric.update_state(np.random.default_rng(0).random(20_000))
        return len(metric.snapshot().to_bytes())

    alone = size("a", {})
    assert size("ab", {"b": "a"}) < 1.1 * alone < 1.9 * alone < size("ab", {})


def test_a_pickle_holds_shared_states_once():
    """What a reader would need of its own, it finds in the other one's."""
    size = len(pickle.dumps(mg.MetricCollection({"a": Big()})))
    shared = len(pickle.dumps(mg.MetricCollection({"a": Big(), "b": Big()}, reads={"b": "a"})))
    assert shared < 1.1 * size


class Big(Accuracy):
    matrix = mg.ConfusionMatrix(300)


@pytest.mark.parametrize(
    ("metrics", "reads", "error", "match"),
    [
        (
            [Accuracy(), Kappa()],
            {"kappa": "acuracy"},
            ValueError,
            r"'kappa' reads 'acuracy': got no metric of the name 'acuracy'",
        ),
        (
            [Accuracy(), Kappa()],
            {"kapa": "accuracy"},
            ValueError,
            r"got no metric of the name 'kapa', expected one of accuracy, kappa",
        ),
        (
            [Accuracy()],
            {"accuracy": "accuracy"},
            ValueError,
            r"which reads 'accuracy': expected a metric that keeps states of its own",
        ),
        (
            [Accuracy(), Kappa(), Kappa(name="third")],
            {"kappa": "accuracy", "third": "kappa"},
            ValueError,
            r"'third' reads 'kappa', which reads 'accuracy'.*Let 'third' read that one",
        ),
        (
            [Wide(), Kappa()],
            {"kappa": "wide"},
            mg.IncompatibleStates,
            r"'kappa' reads 'wide': state 'matrix': ConfusionMatrix\.reads: parameters differ: classes is \(0, 1, 2, 3\) here and \(0, 1, 2\) there",
        ),
        (
            [Other(), Kappa()],
            {"kappa": "other"},
            mg.IncompatibleStates,
            r"'kappa' reads 'other': got the states rows, expected matrix among them",
        ),
        ([Accuracy()], ["accuracy"], TypeError, r"got reads=\['accuracy'\], expected a mapping of names to names"),
    ],
    ids=["owner", "reader", "itself", "chain", "parameters", "states", "type"],
)
def test_reads_that_do_not_fit_are_refused(metrics, reads, error, match):
    """A reader needs an owner that has its states, by name, class and parameters."""
    with pytest.raises(error, match=match):
        mg.MetricCollection(metrics, reads=reads)


# What is refused.


@pytest.mark.parametrize(
    ("metrics", "error", "match"),
    [
        ([], ValueError, r"^MetricCollection: got no metrics, expected at least one"),
        ({}, ValueError, r"got no metrics"),
        (Other(), TypeError, r"got <Other other = .*>, expected a list of metrics, .*Write \[metric\]"),
        (agreement(), TypeError, r"expected a list of metrics"),
        ("accuracy", TypeError, r"got 'accuracy', expected a list of metrics"),
        (3, TypeError, r"got 3, expected a list of metrics"),
        ([Other(), mg.Sum()], TypeError, r"got <Sum.*> among the metrics, expected metrics of mergeable"),
        ([Other], TypeError, r"among the metrics, expected metrics of mergeable"),
        ({"a": "Other"}, TypeError, r"got 'Other' among the metrics"),
        ({1: Other()}, TypeError, r"got the name 1, expected a text"),
        ({"": Other()}, TypeError, r"got the name '', expected a text"),
        ([Other(), Other()], ValueError, r"got two metrics of the name 'other', expected distinct names.*pass a mapping"),
        ({"a": {"metric": "Other"}}, TypeError, r"expected a metric, or a description with its class as 'metric'"),
        (
            {"a": {"metric": "os:system", "arguments": {}}},
            ValueError,
            r"got the description of a 'os:system' as 'a', expected .*registered",
        ),
        ({"a": {"metric": "Sum", "arguments": {}}}, ValueError, r"got the description of a 'Sum' as 'a'"),
    ],
    ids=str,
)
def test_other_things_are_refused(metrics, error, match):
    """What is no metric, no names and two of one name are refused, and the text says what to do."""
    with pytest.raises(error, match=match):
        mg.MetricCollection(metrics)


def test_a_prefix_is_a_text():
    """A prefix of another type is refused."""
    with pytest.raises(TypeError, match=r"^MetricCollection: got prefix=3, expected a text"):
        mg.MetricCollection([Other()], prefix=3)


def test_what_is_not_declared_is_refused():
    """A member that holds attributes that nothing merges, or merges by itself, is no part of a collection."""

    class Legacy(mg.Metric):
        def reset_state(self):
            self.total = 0.0

    with pytest.raises(
        mg.UndeclaredState, match=r"^Legacy\.as_state: got values in attributes that are not declared as states: total"
    ):
        mg.MetricCollection([Legacy()])


# Members.


def test_a_member_as_a_metric_of_its_own():
    """It holds a copy of what the collection holds of it, goes on by itself, and knows what it covers."""
    metric = mg.MetricCollection([AUROC(), AUROC(9, name="fine")])
    metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])
    before = value(metric)
    fine = metric["fine"]
    assert (0.75, 9, 4) == (fine.estimate().low, fine.scores.precision, fine.coverage.rows)
    fine.update_state([0], [0.9])
    assert (0.5, 0.75) == (fine.result(), metric["fine"].result())
    assert before == value(metric)
    assert {"auroc", "fine"} == dict(metric).keys() == set(metric.keys()) == set(metric)
    assert 2 == len(metric)
    assert "fine" in metric


def test_a_reader_as_a_metric_of_its_own():
    """It has a copy of the states that it reads."""
    metric = agreement()
    metric.update_state([0, 1, 2], [0, 1, 1])
    assert 3 == metric["kappa"].matrix.result().sum()


def test_an_unknown_member():
    """The error names those that there are."""
    with pytest.raises(
        KeyError, match=r"MetricCollection\['auroc'\]: got a name of no metric, expected one of accuracy, kappa, other"
    ):
        agreement()["auroc"]


def test_a_member_is_drawn():
    """A member draws itself, and the collection the states of all."""
    pytest.importorskip("matplotlib", reason="the run on the lowest versions has none; the full run draws")
    metric = agreement()
    metric.update_state([0, 1, 2], [0, 1, 1])
    assert "accuracy" == metric["accuracy"].plot().get_title()
    assert "metric_collection" == metric.plot(state="metrics[accuracy][matrix]").get_title()


# Merge, copies, files.


def test_merge_needs_equal_members():
    """Members of other names, classes or arguments are refused, and so are other readers."""
    for other in (
        mg.MetricCollection([Accuracy(), Other()]),
        mg.MetricCollection([Accuracy(), Kappa(), Other()]),
        agreement(prefix="x_"),
        mg.MetricCollection({"accuracy": Accuracy(), "kappa": Accuracy(), "other": Other()}, reads={"kappa": "accuracy"}),
    ):
        with pytest.raises(mg.IncompatibleStates, match=r"^MetricCollection\.merge_state: "):
            agreement().merge_state([other])
    with pytest.raises(mg.IncompatibleStates, match=r"'scale': 1.0.* here and .*'scale': 2.0.* there"):
        mg.MetricCollection([Weighted()]).merge_state([mg.MetricCollection([Weighted(2.0)])])


def test_copies_and_pickles_go_on():
    """Copies, pickles and merges end in the bytes of one that took everything."""
    whole, part, rest = agreement(), agreement(), agreement()
    part.update_state([0, 1], [1, 1])
    rest.update_state([2, 1], [2, 0])
    for batch in (([0, 1], [1, 1]), ([2, 1], [2, 0])):
        whole.update_state(*batch)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(part)))
    twin.merge_state([rest])
    assert value(whole) == value(twin)
    assert whole.result() == twin.result()


def test_registered_members_need_no_metric_in_hand(tmp_path):
    """A file of registered metrics gives its result."""
    metric = mg.MetricCollection({"auroc": AUROC(9), "more": mg.MetricCollection([AUROC(name="deep")])}, prefix="p_")
    metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])
    path = tmp_path / "a.mg"
    metric.snapshot().save(path)
    saved = mg.load(path)
    assert metric.result() == saved.result() == mg.merge([path]).result()
    assert "MetricCollection" == saved.metric


def test_a_file_is_shown(tmp_path):
    """The command shows what is in a file of registered metrics, which it knows by itself."""
    pytest.importorskip("click", reason="the run on the lowest versions has no command; the full run has")
    metric = mg.MetricCollection({"auroc": AUROC(9), "deep": AUROC()}, prefix="p_")
    metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8])
    path = tmp_path / "a.mg"
    metric.snapshot().save(path)
    code = [sys.executable, "-m", "mergeable", "show", "--json", str(path)]
    run = subprocess.run(code, capture_output=True, text=True, check=True, timeout=HANG)
    assert {"p_auroc": 0.75, "p_deep": 0.75} == json.loads(run.stdout)["result"]


def test_other_members_need_a_metric_in_hand(tmp_path):
    """A file of metrics that are not registered is read by a collection of them, and by nothing else."""
    metric, twin = agreement(), agreement()
    metric.update_state([0, 1, 2], [0, 1, 1])
    path = tmp_path / "a.mg"
    metric.snapshot().save(path)
    with pytest.raises(
        mg.SnapshotError, match=re.escape("Accuracy' as 'accuracy', expected the name of a metric class that is registered")
    ):
        mg.load(path).result()
    assert metric.result() == mg.load(path).result(agreement())
    twin.merge_state([path])
    assert value(metric) == value(twin)
    twin.restore(path)
    assert metric.result() == twin.result()
    with pytest.raises(mg.IncompatibleStates, match="reads is"):
        mg.MetricCollection([Accuracy(), Kappa(), Other()]).restore(path)


def test_a_collection_in_other_states():
    """Slices hold collections as they hold metrics."""
    keyed = mg.Keyed(agreement())
    keyed.update(["de", "fr", "de"], [0, 1, 1], [0, 1, 0])
    assert (0.5, 1, 1.0) == (keyed.result()["de"]["accuracy"], keyed.result()["fr"]["other"], keyed.result()["fr"]["accuracy"])


def test_arguments_that_no_file_holds(tmp_path):
    """A member with an argument that is not plain is read by a collection in hand."""

    class Scaled(Weighted):
        def __init__(self, by, name=None):
            super().__init__(by(1.0), name)

    metric = mg.MetricCollection([Scaled(float)])
    metric.update_state([0], [3.0])
    metric.snapshot().save(tmp_path / "a.mg")
    with pytest.raises(mg.SnapshotError, match="constructor took metrics, which a file cannot hold"):
        mg.load(tmp_path / "a.mg").result()
    assert metric.result() == mg.load(tmp_path / "a.mg").result(mg.MetricCollection([Scaled(float)]))


def test_the_structure_of_an_empty_result():
    """A member whose result fails on empty states gives a number, where a step must know the structure."""
    metric = mg.MetricCollection([Fragile(), Other()])
    with pytest.raises(ZeroDivisionError):
        metric.result()
    assert {"fragile": 0.0, "other": 0} == operations.result_when_empty(metric)


def test_workers_exchange_it_once():
    """A collection is one metric of a job, whose workers show the values of one process."""
    batches = [([0, 1, 2], [0, 2, 2]), ([1], [1]), ([2, 2], [0, 2])]
    reports = []

    def program(processes):
        metric = agreement()
        join(metric, processes)
        metric.update_state(*batches[processes.rank])
        return metric.result(), metric.coverage.rows

    alone = agreement()
    for batch in batches:
        alone.update_state(*batch)
    with watch(reports.append):
        shown = run(3, program)
    assert [(alone.result(), 6)] * 3 == shown
    assert {("metric_collection",)} == {report.metrics for report in reports}
