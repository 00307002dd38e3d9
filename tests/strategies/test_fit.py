"""``fit`` and its kin in workers that are real processes: with Keras 3 and ``enable_fit``, and with tf_keras as it is."""

import copy
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.strategies.multi_worker import keras_fit
from mergeable.strategies.multi_worker.workers import INLINE_BYTES, disable_fit, enable_fit
from tests.effort import LONG
from tests.keras.conftest import mirrored
from tests.strategies import fit_programs
from tests.strategies.processes import values

# Keras or tf_keras, workers, replicas of each, and what is observed in the one job that all tests of it share.
JOBS = {
    "keras-2x1": ("0", 2, 1, ["exchanges", "faults"]),
    "keras-2x2": ("0", 2, 2, ["steps", "loop"]),
    "keras-3x1": ("0", 3, 1, ["bits"]),
    "tf_keras-2x1": ("1", 2, 1, ["steps", "exchanges", "untouched"]),
    "tf_keras-2x2": ("1", 2, 2, ["bits", "loop"]),
}
EVERYWHERE = ["bits", "steps", "loop"] if LONG else []
ROWS_SO_FAR = [12.0, 24.0, 36.0, 48.0, 60.0, 61.0]  # after each step of all workers


class Seen(SimpleNamespace):
    """What the workers of a job have seen."""

    def of(self, what):
        """Return what each worker shows of that."""
        return [worker[what] for worker in self.workers]


@pytest.fixture(scope="module")
def seen(request):
    legacy, size, replicas, names = JOBS[request.param]
    names = [*dict.fromkeys([*EVERYWHERE, *names])]
    environment = {"TF_USE_LEGACY_KERAS": legacy}
    workers = values("tests.strategies.fit_programs:observe", size, replicas, names, environment=environment)
    return Seen(workers=workers, size=size, replicas=replicas, legacy=legacy == "1")


@pytest.fixture(scope="module")
def alone():
    """What one process without a strategy shows."""
    return fit_programs.bits(tf.distribute.get_strategy())


def where(what):
    """Run a test on every job in which that is observed."""
    jobs = [name for name, (*_, observed) in JOBS.items() if what in [*EVERYWHERE, *observed]]
    return pytest.mark.parametrize("seen", jobs, indirect=True)


@where("bits")
@pytest.mark.parametrize(
    "what",
    ["fit", "evaluate", "read after evaluate", "read after train_on_batch", "read after test_on_batch", "custom loop"],
)
def test_same_bits(seen, alone, what):
    """Every worker shows the bits that one process shows, however rows and their weights were cut."""
    assert [alone[what]] * seen.size == [shown[what] for shown in seen.of("bits")]


def test_what_one_process_shows(alone):
    """What all workers are compared with has both epochs, both metrics, their validation, and other bits for other rows."""
    keys = {f"{of}{name}_{key}" for of in ("", "val_") for name in ("plain", "weighted") for key in ("rows", "total", "digest")}

    assert keys == set(alone["fit"])
    assert {16} == {len(epochs) for epochs in alone["fit"].values()}
    assert [61, 43] == [rows for _, (rows, _) in alone["custom loop"]]
    assert 3 == len(
        {
            alone["read after evaluate"]["plain_digest"],
            alone["custom loop"][0][0]["plain_digest"],
            alone["read after train_on_batch"]["plain_digest"],
        }
    )
    assert alone["evaluate"]["plain_total"] != alone["evaluate"]["weighted_total"]


def reduced(seen, total, *, by_worker):
    """Return what Keras makes of a number of rows that its workers give: Keras 3 averages over workers, tf_keras adds up."""
    summed = total if by_worker else total * seen.size
    return summed if seen.legacy else summed / seen.size


@where("steps")
def test_logs_of_a_step(seen):
    """By default a step's value is of this worker's rows, with ``sync`` of all; Keras reduces either over the workers."""
    expected = [(reduced(seen, n, by_worker=True), reduced(seen, n, by_worker=False)) for n in ROWS_SO_FAR]

    assert [expected] * seen.size == [shown["fit"]["steps"] for shown in seen.of("steps")]


@where("steps")
def test_logs_of_an_epoch(seen):
    """At the end of an epoch both are of all rows."""
    assert [([61.0], [61.0])] * seen.size == [shown["fit"]["history"] for shown in seen.of("steps")]


@where("steps")
def test_exchanges_of_steps_in_fit(seen):
    """The metric with ``sync`` is exchanged in each step, and both are at the end."""
    assert [len(ROWS_SO_FAR) + 2] * seen.size == [shown["fit"]["exchanges"] for shown in seen.of("steps")]


@where("steps")
@pytest.mark.parametrize("name", ["train_on_batch", "test_on_batch"])
def test_logs_of_one_batch(seen, name):
    """What ``train_on_batch`` returns is a step's value; reading the metrics after it gives that of all rows."""
    expected = reduced(seen, 20.0, by_worker=True), reduced(seen, 20.0, by_worker=False), 20.0, 20.0

    assert [expected] * seen.size == [shown[name] for shown in seen.of("steps")]


def check_loop(shown_by_worker):
    rows_so_far = [[], []]
    for steps in zip(*(shown["steps"] for shown in shown_by_worker), strict=True):
        mine, everyones = zip(*steps, strict=True)
        assert all(len(set(of_replicas)) == 1 for of_replicas in (*mine, *everyones))
        rows_so_far[0].append(sum(of_replicas[0] for of_replicas in mine))
        assert len({of_replicas[0] for of_replicas in everyones}) == 1
        rows_so_far[1].append(everyones[0][0])

    assert [ROWS_SO_FAR, ROWS_SO_FAR] == rows_so_far
    assert [[61.0, 61.0]] * len(shown_by_worker) == [shown["last"] for shown in shown_by_worker]
    assert [(len(ROWS_SO_FAR), 2)] * len(shown_by_worker) == [shown["exchanges"] for shown in shown_by_worker]


@where("loop")
def test_steps_of_a_custom_loop(seen):
    """In a step a metric shows this worker's rows, or with ``sync`` those of all, which takes one exchange."""
    check_loop(seen.of("loop"))


def test_steps_of_a_custom_loop_without_a_graph():
    """The same holds where no step is traced, also in a step that has rows for one worker only."""
    workers = values("tests.strategies.fit_programs:observe", 2, 2, ["eager_loop"], environment={"TF_USE_LEGACY_KERAS": "0"})
    check_loop([worker["eager_loop"] for worker in workers])


@where("exchanges")
@pytest.mark.parametrize("metrics", fit_programs.EXCHANGED)
@pytest.mark.parametrize(("what", "exchanges"), [("an epoch", 1), ("an evaluation", 1), ("two epochs with validation", 4)])
def test_one_exchange_an_epoch(seen, metrics, what, exchanges):
    """An epoch, an evaluation and a validation take one exchange each, which carries all metrics."""
    carried = [[metrics for metrics, _, _ in shown[metrics][what]] for shown in seen.of("exchanges")]

    assert [[metrics] * exchanges] * seen.size == carried


@where("exchanges")
def test_bytes_of_an_exchange(seen):
    """Few small metrics fit in the first collective of a swap, both ways; many take less than four of its size."""
    *few, many = fit_programs.EXCHANGED
    for shown in seen.of("exchanges"):
        for n in few:
            assert {(n, INLINE_BYTES, INLINE_BYTES)} == {report for reports in shown[n].values() for report in reports}
        assert all(
            INLINE_BYTES < max(sent, received) < 4 * INLINE_BYTES
            for reports in shown[many].values()
            for _, sent, received in reports
        )


FIRST, SECOND = "ValueError: Attempt to convert a value (PerReplica", "ValueError: Invalid reduction dimension 0"


@where("faults")
@pytest.mark.parametrize(
    ("state", "expected"),
    [("as it is", FIRST), ("without _maybe_symbolic_build", FIRST), ("without _make_function", SECOND), ("disabled", FIRST)],
)
def test_faults_of_keras(seen, state, expected):
    """Keras 3 has two faults, each of which ends ``fit``; ``disable_fit`` brings them back."""
    assert [expected] * seen.size == [shown[state][: len(expected)] for shown in seen.of("faults")]


@where("faults")
@pytest.mark.parametrize("state", ["as it is", "without _maybe_symbolic_build", "without _make_function", "disabled"])
def test_faults_of_keras_name_their_cure(seen, state):
    """The error by which ``fit`` ends says that ``enable_fit`` helps."""
    cure = "call mergeable.strategies.multi_worker.enable_fit(model) on every worker before them."
    assert [True] * seen.size == [cure in shown[state] for shown in seen.of("faults")]


@where("faults")
def test_cure_of_faults(seen):
    """After ``fit`` has failed, ``enable_fit`` lets it work; two calls do what one does."""
    assert [[61.0]] * seen.size == [shown["enabled"] for shown in seen.of("faults")]


@where("faults")
def test_disable_fit_leaves_nothing(seen):
    """After ``disable_fit`` a model has only what ``fit`` itself has added."""
    assert [set()] * seen.size == [shown["attributes"] & set(keras_fit._ARGUMENTS) for shown in seen.of("faults")]


@where("untouched")
def test_tf_keras_is_left_alone(seen):
    """A model of tf_keras needs nothing and gets nothing."""
    assert [set()] * seen.size == seen.of("untouched")


# In this process: which models and which Keras get which replacements.


class TwoWorkers(tf.distribute.MultiWorkerMirroredStrategy):
    """A strategy that says it has two workers, and has none."""

    extended = SimpleNamespace(_in_multi_worker_mode=lambda: True)

    def __init__(self):
        pass


def model_under(strategy):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model._distribute_strategy = strategy
    return model


def replaced(model):
    return {name for name in keras_fit._ARGUMENTS if name in vars(model)}


BOTH = {"_make_function", "_maybe_symbolic_build"}


@pytest.fixture
def trainer():
    from keras.src.backend.tensorflow import trainer

    return trainer


def test_both_are_replaced():
    """A model with several workers gets both replacements, before or after ``compile``, and a copy of it none."""
    model = model_under(TwoWorkers())
    enable_fit(model)

    assert BOTH == replaced(model)
    model.compile("sgd", "mse")
    assert BOTH == replaced(model)
    assert set() == replaced(copy.deepcopy(model))
    disable_fit(model)
    assert set() == replaced(model)
    enable_fit(model)
    assert BOTH == replaced(model)


def test_replacements_by_others_stay():
    """What somebody else has put on the model is called by the replacement, and is there again after ``disable_fit``."""
    model = model_under(TwoWorkers())

    def _make_function(step_function):
        return ("mine", step_function(1.0))

    model._make_function = _make_function
    enable_fit(model)

    assert ("mine", [2.0]) == model._make_function(lambda x: 2 * x)
    disable_fit(model)
    assert {"_make_function": _make_function} == {name: vars(model)[name] for name in replaced(model)}


@pytest.mark.parametrize(
    "strategy",
    [lambda: None, lambda: mirrored(2), tf.distribute.MultiWorkerMirroredStrategy],
    ids=["none", "mirrored", "one worker"],
)
def test_other_strategies_are_left_alone(strategy):
    """A model without a strategy, with MirroredStrategy, or with one worker gets nothing."""
    model = model_under(strategy())
    before = set(vars(model))
    enable_fit(model)

    assert before == set(vars(model))


def test_one_worker_needs_nothing():
    """In a job of one worker ``fit`` works as it is."""
    model, _ = fit_programs.compiled(tf.distribute.MultiWorkerMirroredStrategy(), fit_programs.mine, enable="not")

    assert [61.0] == model.fit(fit_programs.dataset(61, 2), verbose=0).history["mine"]


def mend_logs(trainer, monkeypatch):
    def reduce_per_replica(values, strategy, reduction):
        return keras.tree.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), values)

    monkeypatch.setattr(trainer, "reduce_per_replica", reduce_per_replica)


def mend_build(trainer, monkeypatch):
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        for *_, batches in iterator:
            data_batch = [self.distribute_strategy.experimental_local_results(part)[0] for part in next(batches)]
            break
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    monkeypatch.setattr(trainer.TensorFlowTrainer, "_maybe_symbolic_build", _maybe_symbolic_build)


def lose_make_function(trainer, monkeypatch):
    monkeypatch.delattr(trainer.TensorFlowTrainer, "_make_function")


@pytest.mark.parametrize(
    ("mended", "left"),
    [
        ([mend_logs], {"_maybe_symbolic_build"}),
        ([mend_logs, lose_make_function], {"_maybe_symbolic_build"}),
        ([mend_build], {"_make_function"}),
        ([mend_logs, mend_build], set()),
    ],
    ids=["logs", "logs elsewhere", "build", "both"],
)
def test_mended_keras(trainer, monkeypatch, mended, left):
    """Only the fault that Keras still has is bridged."""
    for mend in mended:
        mend(trainer, monkeypatch)
    model = model_under(TwoWorkers())
    enable_fit(model)

    assert left == replaced(model)


def lose_reduce(trainer, monkeypatch):
    monkeypatch.delattr(trainer, "reduce_per_replica")


def lose_iterator(trainer, monkeypatch):
    monkeypatch.delattr(trainer, "TFEpochIterator")


def lose_build(trainer, monkeypatch):
    monkeypatch.delattr(trainer.TensorFlowTrainer, "_maybe_symbolic_build")


def other_arguments(trainer, monkeypatch):
    monkeypatch.setattr(trainer.TensorFlowTrainer, "_make_function", lambda self, step_function, more: None)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lose_reduce, "AttributeError.*reduce_per_replica.* from a trial of Keras, expected a known fault or none"),
        (lose_iterator, "AttributeError.*TFEpochIterator.* from a trial of Keras, expected a known fault or none"),
        (lose_build, "AttributeError.*_maybe_symbolic_build.* from a trial of Keras, expected a known fault or none"),
        (lose_make_function, r"a Keras whose _make_function takes None, expected \['step_function'\]"),
        (other_arguments, r"a Keras whose _make_function takes \['step_function', 'more'\], expected \['step_function'\]"),
    ],
)
def test_changed_keras(trainer, monkeypatch, change, got):
    """A Keras that the replacements do not fit is refused, with what to do, and the model stays as it is."""
    model = model_under(TwoWorkers())
    change(trainer, monkeypatch)

    with pytest.raises(
        mg.UnsupportedStrategy, match=rf"^enable_fit: got {got}, as in Keras 3.8 to 3.15. Call fit without .*tf_keras"
    ):
        enable_fit(model)
    assert set() == replaced(model)
