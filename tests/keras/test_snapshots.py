"""Keras metrics give and take snapshots as all metrics do, and a callback writes those of every epoch."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.holder import host_of
from mergeable.keras import SaveSnapshots
from mergeable.metric.internals import internals
from tests.effort import some
from tests.keras.conftest import mirrored
from tests.keras.zoo import Everything


class Rows(mg.PyMetric):
    """Which labels came, and how many."""

    rows = mg.Count()
    labels = mg.Counter()

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = np.asarray(y_true).reshape(-1)
        self.rows += len(labels)
        self.labels.update(labels)

    def result(self):
        return self.rows.result()


class Hosted(mg.Metric):
    """The same without a framework."""

    rows = mg.Count()

    def __init__(self, step=1, name=None):
        super().__init__(name)
        self.step = step

    def update_state(self, y_true, y_pred):
        self.rows += self.step * len(y_true)

    def result(self):
        return self.rows.result()


def column(n, start=0):
    return np.arange(start, start + n, dtype="float32").reshape(-1, 1)


def value(metric):
    return canonical_bytes((internals(host_of(metric)).fold(), dict(metric.coverage)))


def test_every_state_of_a_keras_metric(tmp_path, rng):
    """A Keras metric with one state of each kind is saved and restored; merged halves are the whole."""
    y, p = (rng.random(40) > 0.5).astype("int64"), rng.normal(size=40)
    whole, first, second = Everything(), Everything(), Everything()
    whole.update_state(y[:30], p[:30])
    whole.update_state(y[30:], p[30:])
    first.update_state(y[:30], p[:30])
    second.update_state(y[30:], p[30:])
    first.snapshot().save(tmp_path / "first.mg")
    back = mg.load(tmp_path / "first.mg")
    restored, merged = Everything(), Everything()
    restored.restore(back)
    merged.merge_state([tmp_path / "first.mg", second.snapshot()])

    assert value(first) == value(restored)
    assert canonical_bytes(first.result()) == canonical_bytes(tf.nest.map_structure(tf.constant, back.result(Everything)))
    assert canonical_bytes(internals(whole).fold()) == canonical_bytes(internals(merged).fold())


@pytest.mark.parametrize(("before", "after"), some(itertools.permutations([1, 2, 4], 2), 3))
def test_any_number_of_replicas(tmp_path, through, before, after):
    """A snapshot of some replicas restores into others, and an evaluation goes on from it."""
    x = column(11)
    metric = Rows(name="rows")
    through(mirrored(before), [metric]).evaluate(x, x, batch_size=4, verbose=0)
    metric.snapshot().save(tmp_path / "rows.mg")

    again, alone = Rows(name="rows"), Rows(name="rows")
    again.restore(tmp_path / "rows.mg")
    with mirrored(after).scope():
        step = tf.function(lambda batch: mirrored(after).run(again.update_state, (batch, batch)))
        for batch in mirrored(after).experimental_distribute_dataset(
            tf.data.Dataset.from_tensor_slices(column(7, 11)).batch(4)
        ):
            step(batch)
    alone.update_state(column(18), column(18))

    assert canonical_bytes(internals(alone).fold()) == canonical_bytes(internals(again).fold())
    assert 18 == again.coverage.rows


def test_a_hosted_metric(tmp_path):
    """PyMetric.of saves, restores, merges and shows the metric that it hosts."""
    metric, other = mg.PyMetric.of(Hosted(2)), mg.PyMetric.of(Hosted(2))
    metric.update_state(column(3), column(3))
    metric.snapshot().save(tmp_path / "hosted.mg")
    other.restore(tmp_path / "hosted.mg")
    third = mg.PyMetric.of(Hosted(2))
    third.update_state(column(1), column(1))
    third.merge_state([tmp_path / "hosted.mg"])

    assert {"step": 2} == mg.load(tmp_path / "hosted.mg").arguments
    assert (6, 8) == (int(other.result()), int(third.result()))
    assert 6 == mg.load(tmp_path / "hosted.mg").result(metric) == mg.load(tmp_path / "hosted.mg").result(Hosted)
    with pytest.raises(mg.IncompatibleStates, match="step is 1 here and 2 there"):
        mg.PyMetric.of(Hosted()).restore(tmp_path / "hosted.mg")
    with pytest.raises(TypeError, match="got one metric, expected a list"):
        third.merge_state(tmp_path / "hosted.mg")


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("validated", [False, True])
def test_the_callback_writes_every_epoch(tmp_path, trained, replicas, validated):
    """Each epoch leaves what it trained on, and what it validated on, with the values that Keras showed."""
    metrics = [Rows(name="rows"), mg.PyMetric.of(Hosted(3), name="hosted")]
    model = trained(mirrored(replicas), metrics)
    x, more = np.zeros((12, 3), "float32"), np.zeros((8, 3), "float32")
    history = model.fit(
        x,
        column(12),
        epochs=2,
        batch_size=4,
        verbose=0,
        validation_data=(more, column(8, 100)) if validated else None,
        callbacks=[SaveSnapshots(tmp_path / "new" / "folder", metadata={"run": "a"})],
    ).history
    phases = ("train", "val") if validated else ("train",)
    files = {path.name: mg.load(path) for path in (tmp_path / "new" / "folder").iterdir()}

    assert {f"{m}-{p}-000{e}-000.mg" for m in ("rows", "hosted") for p in phases for e in (0, 1)} == files.keys()
    for metric, cls in (("rows", Rows), ("hosted", Hosted)):
        for phase in phases:
            shown = history[metric if phase == "train" else f"val_{metric}"]
            saved = [files[f"{metric}-{phase}-000{epoch}-000.mg"] for epoch in (0, 1)]
            assert shown == [snapshot.result(cls) for snapshot in saved]
            facts = {"run": "a", "phase": phase, "worker": 0}
            assert [{**facts, "epoch": e, "origins": list(s.origins)} for e, s in enumerate(saved)] == [
                s.metadata[0] for s in saved
            ]
    labels = files["rows-train-0001-000.mg"].states["labels"].result()
    assert [float(i) for i in range(12)] == list(labels)


def test_the_callback_in_an_evaluation(tmp_path, through):
    """An evaluation alone is a test."""
    model = through(tf.distribute.get_strategy(), [Rows(name="rows")])
    model.evaluate(column(5), column(5), verbose=0, callbacks=[SaveSnapshots(tmp_path)])

    assert 5 == mg.load(tmp_path / "rows-test-0000-000.mg").result(Rows)


def test_a_run_that_is_tried_again_gives_the_same_pieces(tmp_path, through):
    """With names for what it saves, a second try is refused beside the first, and gives way or wins when asked."""
    for attempt in ("first", "second"):
        model = through(tf.distribute.get_strategy(), [Rows(name="rows")])
        callback = SaveSnapshots(tmp_path / attempt, origin="night 7/{metric}-{phase}-{epoch}-{worker}")
        model.evaluate(column(5), column(5), verbose=0, callbacks=[callback])
    files = sorted(tmp_path.glob("*/*.mg"))

    with pytest.raises(mg.DuplicateOrigin, match="the origin night 7/rows-test-0-0 "):
        mg.merge(files, metric=Rows)
    assert 5 == mg.merge(files, metric=Rows, on_duplicate="newer").result(Rows)


@pytest.mark.parametrize("name", ["val/auroc", "..", "a b\0\n", "x" * 250])
def test_names_that_no_file_can_have(tmp_path, through, name):
    """A metric of any name has a file of its own in the folder, and its snapshot has its name."""
    model = through(tf.distribute.get_strategy(), None)
    model.extra = [Rows(name=name), Rows(name=f"{name}%")]
    callback = SaveSnapshots(tmp_path / "saved", origin="{metric}/{phase}/{epoch}/{worker}")
    callback.set_model(model)
    callback.on_test_end()
    files = [mg.load(path) for path in (tmp_path / "saved").iterdir()]

    assert {name, f"{name}%"} == {snapshot.name for snapshot in files}
    assert 2 == len({snapshot.origins for snapshot in files})


def test_an_address_is_no_folder(tmp_path, monkeypatch):
    """A callback for a bucket is refused when it is made, and makes no folder of that name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mg.SnapshotError, match=r"^gs://bucket/run: this is an address, expected the path of a file"):
        SaveSnapshots("gs://bucket/run")
    assert [] == [*tmp_path.iterdir()]


def test_a_run_with_fewer_workers_replaces_the_files_of_more(tmp_path, through):
    """What further workers of an earlier try have saved of the same epoch goes, so that no row counts twice."""
    for name in ("rows-test-0000-001.mg", "rows-test-0000-002.mg", "rows-train-0000-001.mg", "rows-test-0001-001.mg"):
        mg.PyMetric.of(Hosted()).snapshot().save(tmp_path / name)
    model = through(tf.distribute.get_strategy(), [Rows(name="rows")])
    model.evaluate(column(5), column(5), verbose=0, callbacks=[SaveSnapshots(tmp_path)])

    kept = {"rows-test-0000-000.mg", "rows-train-0000-001.mg", "rows-test-0001-001.mg"}
    assert kept == {path.name for path in tmp_path.iterdir()}


def test_patterns_and_names_that_clash(tmp_path, through):
    """A pattern that gives several files one name, and metrics of one name, are refused."""
    with pytest.raises(
        ValueError, match=r"got the pattern '\{metric\}.mg', which gives several snapshots one name, expected one"
    ):
        SaveSnapshots(tmp_path, pattern="{metric}.mg")
    with pytest.raises(
        ValueError, match=r"got the origin 'night 7', which gives several snapshots one name, expected one with"
    ):
        SaveSnapshots(tmp_path, origin="night 7")
    with pytest.raises(ValueError, match=r"^SaveSnapshots: got the origin 'a\\n.*, expected 1 to 200 printable ones"):
        SaveSnapshots(tmp_path, origin="a\n{metric}-{phase}-{epoch}-{worker}")
    model = through(tf.distribute.get_strategy(), None)
    model.extra = [Rows(name="rows"), Rows(name="rows")]
    callback = SaveSnapshots(tmp_path)
    callback.set_model(model)
    with pytest.raises(ValueError, match=r"got metrics with the names \['rows', 'rows'\], expected names that differ"):
        callback.on_test_end()


def test_a_loaded_model_takes_the_state(tmp_path, through):
    """A saved model brings the metric back with its configuration, and its snapshot brings its state."""
    model = through(tf.distribute.get_strategy(), [mg.PyMetric.of(Hosted(2), name="rows")])
    model.evaluate(column(5), column(5), verbose=0)
    (metric,) = [m for m in _flat(model.metrics) if isinstance(m, mg.PyMetric)]
    metric.snapshot().save(tmp_path / "rows.mg")
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras", custom_objects={type(metric).__name__: type(metric)})
    loaded.evaluate(column(1), column(1), verbose=0)
    (again,) = [m for m in _flat(loaded.metrics) if isinstance(m, mg.PyMetric)]
    again.restore(tmp_path / "rows.mg")

    assert value(metric) == value(again)
    assert 2 == again.metric.step


def _flat(metrics):
    for metric in metrics:
        yield metric
        yield from _flat(getattr(metric, "metrics", ()))
