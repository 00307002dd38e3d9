"""A coordinator, two workers and a parameter server that are real processes on this machine."""

import time
from types import SimpleNamespace

import pytest
import tensorflow as tf

from mergeable.strategies import parameter_server
from mergeable.strategies.parameter_server import ParameterServer
from tests.effort import HANG
from tests.strategies import conformance
from tests.strategies.processes import Worker
from tests.strategies.ps_programs import KILLS, STEPS, TURNS

LOST = sum(turn + 1 for _, turn in KILLS)  # updates of the runs that a kill has ended


def outcome(program, folder, **environment):
    """Run a program of a coordinator, and return what it gives."""
    environment = {"GRPC_FAIL_FAST": "use_caller", **environment}  # a call of a lost worker fails, and does not wait for it
    worker = Worker(f"tests.strategies.ps_programs:{program}", (), environment, folder)
    try:
        return worker.value(time.monotonic() + HANG)
    finally:
        worker.end()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return outcome("observe", tmp_path_factory.mktemp("observe"), TF_USE_LEGACY_KERAS="0")


def test_conformance(seen):
    """Every scenario whose order does not matter shows in a coordinator what it shows alone."""
    conformance.check([seen["conformance"]])
    assert conformance.SCENARIOS.keys() - {"worker_order"} == seen["conformance"].keys()


@pytest.mark.parametrize("when", ["epochs", "again", "at last"])
def test_an_epoch_is_exact(seen, when):
    """Each epoch ends in the bytes of one process, also with workers that were lost and are back."""
    for epoch in seen[when]:
        assert epoch["one process"] == epoch["bytes"]
        assert (30, 240) == (epoch["updates"], epoch["rows"])


@pytest.mark.parametrize("when", ["epochs", "again", "at last"])
def test_each_worker_has_a_slot(seen, when):
    """The coverage names the slots of both workers, and Python is called by several threads."""
    assert [(0, 1), (0, 1)] == [epoch["slots"] for epoch in seen[when]]
    assert seen[when][-1]["threads"] > 1


def test_a_step_shows_its_update(seen):
    """The result in a step holds at least the step's own rows, and the last one holds all."""
    for epoch in seen["epochs"]:
        rows = epoch["in steps"]
        assert 240.0 == rows[-1]
        assert all(8 * (i + 1) <= n and n % 8 == 0 for i, n in enumerate(rows))


@pytest.mark.parametrize("case", [0, 1], ids=["short", "long"])
def test_an_exception_comes_out_of_join(seen, case):
    """``join`` raises the user's exception, with a text of any length; the update is undone, and the next step works."""
    failure = seen["failures"][case]
    kind, text, notes = failure["error"]
    replica = notes[0].split("replica ")[1][0]

    assert ("LookupError", "7" * (1, 6000)[case]) == (kind, text.split("\n")[0])
    assert [f"in Fails.update_state (metric 'fails', replica {replica}); the state is as before this update"] == notes
    assert replica in "01"
    assert failure["one process"] == failure["bytes"]


def test_order_is_refused(seen):
    """A state that is not commutative is refused when the step is traced."""
    kind, text, _ = seen["refusals"]["not commutative"]

    assert "UnsupportedStrategy" == kind
    assert (
        "InOrder: got states that are not commutative (seen) under ParameterServer, where updates come in any order, expected "
        "commutative ones. Use states such as Counter, Set or Keyed, or train under a strategy that keeps the order."
    ) in text


def test_a_metric_made_in_a_step_is_refused(seen):
    """A metric that is made while a step is traced would lose what it takes, and is refused."""
    kind, text, _ = seen["refusals"]["made in a step"]

    assert "UnsupportedStrategy" == kind
    assert "Seen: got a metric that is made while a step is traced, expected one made before" in text


def test_killed_workers_count_once(seen):
    """However often a worker is killed in a step, each scheduled update counts once; the runs that were repeated show it."""
    kills = seen["kills"]

    assert {} == kills["not killed"]
    assert LOST <= kills["left out"]
    assert (STEPS * TURNS, 3 * STEPS * TURNS) == (kills["updates"], kills["rows"])
    assert kills["one process"] == kills["bytes"]


def test_killed_workers_count_again_without_tickets(seen):
    """Where runs cannot be told apart, each scheduled update counts at least once, and those of lost runs count too."""
    kills = seen["kills without tickets"]

    assert {} == kills["not killed"]
    assert 0 == kills["left out"]
    assert STEPS * TURNS + LOST <= kills["updates"]


def test_one_worker_is_enough(seen):
    """While a worker is away, the other takes every step."""
    one = seen["one left"]

    assert ((0,), 20) == (one["slots"], one["updates"])
    assert one["one process"] == one["bytes"]


def test_fit_of_tf_keras(tmp_path):
    """``fit`` and ``evaluate`` of tf_keras count every batch that was drawn; its evaluation by shards is refused."""
    seen = outcome("fit", tmp_path, TF_USE_LEGACY_KERAS="1")
    _, text, _ = seen.pop("shards")  # tf_keras puts what a metric raises into an error of its own

    assert {"keras": "tf_keras", "history": [128, 128], "evaluation": 64, "updates": 4} == seen
    assert "tf_keras does it for pss_evaluation_shards; leave that 0." in text


# Without a cluster: what a ticket lets in.


class Runs:
    """One scheduled step, whose runs bring updates by hand."""

    def __init__(self):
        self.step = parameter_server._Step()

    def begin(self):
        """Begin a run on the second worker, and return its ticket."""
        self.step.run += 1
        return [tf.constant([self.step.number, self.step.run, 1], tf.int64)]


def slots(ticket, *places):
    """Return the slot of each update that a ticket brings, None where it is left out."""
    found = []
    for place in places:
        with ParameterServer().admit(place, ticket) as slot:
            found.append(slot)
    return found


def test_one_run_is_taken_whole():
    """All updates of a step that runs once are let in, in its worker's slot."""
    assert [1, 1, 1] == slots(Runs().begin(), "a", "b", "a")


def test_a_later_run_leaves_out_what_is_taken():
    """A second run leaves out, at each place, as many updates as were taken there."""
    runs = Runs()
    slots(runs.begin(), "a", "b", "a")

    assert [None, None, None, 1, 1, 1] == slots(runs.begin(), "a", "b", "a", "c", "a", "b")


def test_an_earlier_run_is_left_out():
    """What a lost run brings after the next has begun is left out, and the next run brings it."""
    runs = Runs()
    lost = runs.begin()
    slots(lost, "a")
    second = runs.begin()

    assert [None, None] == slots(lost, "a", "b")
    assert [None, 1, 1] == slots(second, "a", "a", "b")


def test_a_failed_update_is_not_taken():
    """A run after one whose update failed brings it again."""
    runs = Runs()
    with pytest.raises(LookupError), ParameterServer().admit("a", runs.begin()):
        raise LookupError

    assert [1] == slots(runs.begin(), "a")


def test_a_step_that_is_over_is_left_out():
    """Once TensorFlow has let go of a step, nothing more is let in for it."""
    runs = Runs()
    ticket = runs.begin()
    del runs

    assert [None] == slots(ticket, "a")


def test_other_calls_are_let_in():
    """A step that the coordinator runs itself has no number, and counts each time."""
    unscheduled = [tf.constant(parameter_server._no_ticket(), tf.int64)]

    assert [0, 0] == slots(unscheduled, "a", "a")


def coordinator_with(monkeypatch, closure):
    """Let TensorFlow's coordinator have another class of scheduled steps."""
    monkeypatch.setattr(parameter_server.cluster_coordinator, "Closure", closure)
    parameter_server._note_runs()
    return closure


def test_the_coordinator_says_which_step_it_runs(monkeypatch):
    """While a step runs, this thread has its number, its run and its worker, and nothing afterwards, also where it fails."""
    seen = []

    class Closure:
        def execute_on(self, worker):
            seen.append(parameter_server._here.ticket)
            raise LookupError

    closure, other = coordinator_with(monkeypatch, Closure)(), Closure()
    for step, index in [(closure, 3), (other, 0), (closure, 1)]:
        with pytest.raises(LookupError):
            step.execute_on(SimpleNamespace(worker_index=index))
        assert parameter_server._here.ticket is None
    (first, *_), (second, *_), _ = seen

    assert first != second
    assert [(first, 1, 3), (second, 1, 0), (first, 2, 1)] == seen


def test_the_place_is_changed_when_such_a_strategy_is_in_force(monkeypatch):
    """A program without a parameter server has TensorFlow as it was."""

    class Closure:
        def execute_on(self, worker):
            pass

    written = Closure.execute_on
    monkeypatch.setattr(parameter_server.cluster_coordinator, "Closure", Closure)

    assert ParameterServer.serving(None) is None
    assert Closure.execute_on is written
    assert isinstance(ParameterServer.serving(object.__new__(tf.distribute.ParameterServerStrategy)), ParameterServer)
    assert Closure.execute_on.__wrapped__ is written


def test_a_coordinator_without_the_place(monkeypatch):
    """Where TensorFlow has no such place, nothing is put there."""
    assert not hasattr(coordinator_with(monkeypatch, type("Closure", (), {})), "execute_on")


def test_the_place_is_changed_once():
    """A second change of the place would count a run twice."""
    closure = parameter_server.cluster_coordinator.Closure
    parameter_server._note_runs()
    before = closure.execute_on
    parameter_server._note_runs()

    assert before is closure.execute_on
