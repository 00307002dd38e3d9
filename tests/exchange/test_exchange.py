"""The exchange: when one takes place, what it brings, and what every process hears when something is wrong."""

import threading

import pytest

import mergeable as mg
from mergeable.exchange import join, watch
from mergeable.metric import operations
from mergeable.metric.internals import internals
from tests.strategies.simulated import run


class Total(mg.Metric):
    total = mg.Sum()

    def __init__(self, scale=1.0, name=None):
        super().__init__(name)
        self.scale = scale

    def update_state(self, x):
        self.total += x

    def result(self):
        return float(self.total.result() * self.scale)


class Other(Total):
    pass


class Words(mg.Metric):
    words = mg.state(set, merge=set.update)

    def update_state(self, words):
        self.words |= set(words)

    def result(self):
        return sorted(self.words)


class Plain(mg.Metric):
    """A metric as for Keras 2: plain attributes, and a merge of its own."""

    def reset_state(self):
        self.seen = []

    def update_state(self, x):
        self.seen = [*self.seen, x]

    def merge_state(self, metrics):
        for other in metrics:
            self.seen += other.seen

    def result(self):
        return list(self.seen)


class Undeclared(mg.Metric):
    def update_state(self, x):
        self.last = x

    def result(self):
        return self.last


class Remembers(Total):
    def result(self):
        self.shown = float(self.total)
        return self.shown


def joined(processes, *metrics):
    for metric in metrics:
        join(metric, processes)
    return metrics


def reports(program, size=2):
    """Run a program in every process; return, of the first, what it gives and the metrics of each exchange."""
    seen = {}

    def watched(processes):
        seen[processes.rank] = []
        return program(processes)

    exchanges = []
    with watch(exchanges.append):
        values = run(size, watched)
    for value in values:
        if isinstance(value, Exception):
            raise value
    by_number = {report.number: report.metrics for report in exchanges}
    assert size * len(by_number) == len(exchanges)
    return values, [by_number[number] for number in sorted(by_number)]


@pytest.mark.parametrize("n", [1, 5, 20])
def test_one_exchange_brings_all_metrics(n):
    """However many metrics an epoch has, their results need one exchange; the next epoch needs one more."""

    def program(processes):
        metrics = joined(processes, *(Total(name=f"m{i}") for i in range(n)))
        shown = []
        for _ in range(2):
            for metric in metrics:
                metric.update_state(float(1 + processes.rank))
            shown.append([metric.result() for metric in metrics])
        return shown

    values, exchanges = reports(program, size=3)

    assert [[[6.0] * n, [12.0] * n]] * 3 == values
    assert [tuple(f"m{i}" for i in range(n))] * 2 == exchanges


def test_each_reading_after_the_first_is_an_exchange():
    """A result that is read again is exchanged again: another process may have updated, and only that tells."""

    def program(processes):
        (metric,) = joined(processes, Total(name="m"))
        shown = [metric.result()]
        if processes.rank == 0:
            metric.update_state(3.0)
        return [*shown, metric.result(), metric.result()]

    values, exchanges = reports(program)

    assert [[0.0, 3.0, 3.0]] * 2 == values
    assert [("m",)] * 3 == exchanges


def test_what_was_not_updated_everywhere_is_not_brought_along():
    """A metric that only one process updates is exchanged when its result is asked for, so nothing is missed."""

    def program(processes):
        train, test = joined(processes, Total(name="train"), Total(name="test"))
        train.update_state(1.0)
        if processes.rank == 0:
            test.update_state(5.0)
        return train.result(), test.result()

    values, exchanges = reports(program)

    assert [(2.0, 5.0)] * 2 == values
    assert [("train",), ("test",)] == exchanges


def test_what_was_brought_along_ends_with_an_update():
    """An update after the exchange is not missed by a result that was brought along before."""

    def program(processes):
        first, second = joined(processes, Total(name="a"), Total(name="b"))
        for metric in (first, second):
            metric.update_state(1.0)
        early = first.result()
        second.update_state(1.0)
        return early, second.result()

    values, exchanges = reports(program)

    assert [(2.0, 4.0)] * 2 == values
    assert [("a", "b"), ("b",)] == exchanges


def test_a_reset_metric_is_not_brought_along():
    """A metric that was reset and not updated stays at home, so a process without data for it does not read an old value."""

    def program(processes):
        train, test = joined(processes, Total(name="train"), Total(name="test"))
        test.update_state(9.0)
        test.result()
        test.reset_state()
        train.update_state(1.0)
        first = train.result()
        if processes.rank == 1:
            test.update_state(2.0)
        return first, test.result()

    values, exchanges = reports(program)

    assert [(2.0, 2.0)] * 2 == values
    assert [("test",), ("train",), ("test",)] == exchanges


def test_a_metric_that_one_process_has_collected():
    """When a metric of no further use is collected, which each process does in its own time, the others' exchanges go on."""

    def program(processes):
        old, new = joined(processes, Total(name="old"), Total(name="new"))
        old.update_state(1.0)
        new.update_state(1.0)
        if processes.rank == 0:
            del old
        return new.result()

    values, exchanges = reports(program)

    assert [2.0, 2.0] == values
    assert [("new",)] == exchanges


def test_states_stay_as_they_were():
    """An exchange changes no state: what was updated goes on from where it was."""

    def program(processes):
        (metric,) = joined(processes, Words())
        metric.update_state([f"w{processes.rank}"])
        metric.result()
        here = sorted(metric.words)
        metric.update_state(["x"])
        return here, metric.result()

    values, _ = reports(program)

    assert [(["w0"], ["w0", "w1", "x"]), (["w1"], ["w0", "w1", "x"])] == values


def test_coverage_and_repr_tell_of_all_processes():
    """After a result the coverage and the repr are those of all processes; after an update, and for a repr alone, of this one."""

    def program(processes):
        (metric,) = joined(processes, Total(name="total"))
        for _ in range(1 + processes.rank):
            metric.update_state([1.0, 2.0])
        before = str(metric.coverage)
        metric.result()
        after, shown = metric.coverage, repr(metric)
        metric.update_state([0.0])
        return before, after, shown, str(metric.coverage)

    values, exchanges = reports(program)
    (before, after, shown, later), (before_1, after_1, _, _) = values

    assert ("1 update, 2 rows, replica 0", "2 updates, 4 rows, replica 0 of worker 1") == (before, before_1)
    assert {(0, 0, 1, 2), (1, 0, 2, 4)} == {(c.worker, c.replica, c.updates, c.rows) for c in after.values()}
    assert dict(after) == dict(after_1)
    assert "<Total total = 9.0 (3 updates, 6 rows, 2 origins, replica 0 of workers 0 and 1)>" == shown
    assert "2 updates, 3 rows, replica 0" == later
    assert 1 == len(exchanges)


def test_what_a_result_sets_is_set_here():
    """An attribute that ``result`` sets, a cache, is the metric's own, also when the result was that of all processes."""

    def program(processes):
        (metric,) = joined(processes, Remembers())
        metric.update_state(2.0)
        metric.result()
        return metric.shown

    assert [4.0, 4.0] == reports(program)[0]


def test_a_merge_of_ones_own():
    """Attributes that are not declared travel where the class says how they merge, in the order of the processes."""

    def program(processes):
        (metric,) = joined(processes, Plain())
        metric.update_state(processes.rank)
        return metric.result(), metric.seen

    assert [([0, 1, 2], [0]), ([0, 1, 2], [1]), ([0, 1, 2], [2])] == reports(program, size=3)[0]


def test_alone_carries_one_metric():
    """An exchange for the value of a step carries nothing else."""

    def program(processes):
        first, second = joined(processes, Total(name="a"), Total(name="b"))
        for metric in (first, second):
            metric.update_state(1.0)
        return operations.result_alone(first), second.result()

    values, exchanges = reports(program)

    assert [(2.0, 2.0)] * 2 == values
    assert [("a",), ("b",)] == exchanges


def test_copies_do_not_belong_to_the_job():
    """A copy of a metric answers for itself, and asks nobody."""
    import copy
    import pickle

    def program(processes):
        (metric,) = joined(processes, Total())
        metric.update_state(1.0)
        if processes.rank == 0:
            return copy.deepcopy(metric).result(), pickle.loads(pickle.dumps(metric)).result()
        return None

    assert [(1.0, 1.0), None] == reports(program)[0]


# What goes wrong.


def everyone_hears(program, error, match, size=3):
    """Every process raises the same error."""
    ended = run(size, program)

    assert [error] * size == [type(e) for e in ended]
    assert 1 == len({str(e).partition(": got")[2] for e in ended})
    with pytest.raises(error, match=match):
        raise ended[0]


def test_another_class():
    """Where one process has another class, all hear which."""

    def program(processes):
        (metric,) = joined(processes, Other() if processes.rank == 1 else Total())
        metric.update_state(1.0)
        return metric.result()

    ended = run(3, program)

    for error in ended:
        assert isinstance(error, mg.IncompatibleStates)
        assert "the class of metric 0 is 'Other' on worker 1 and 'Total' on workers 0 and 2" in str(error)
        assert "Nothing was merged" in str(error)


def test_other_parameters():
    """Where one process has another parameter, all hear which, and the states stay."""
    kept = []

    def program(processes):
        (metric,) = joined(processes, Total(scale=1.0 + processes.rank // 2))
        metric.update_state(1.0)
        kept.append(metric)
        return metric.result()

    everyone_hears(
        program,
        mg.IncompatibleStates,
        r"parameter scale of metric 0 is 2.0 on worker 2 and 1.0 on workers 0 and 1\. Expected the same",
    )
    assert [1.0] * 3 == [float(metric.total) for metric in kept]


def test_parameters_that_cannot_be_compared():
    """Objects, which may differ between equal programs, are compared by their class: a lock, a model, a function."""

    class Model:
        def __init__(self, rank):
            self.address = rank

    class Holding(Total):
        def __init__(self, rank):
            super().__init__()
            self.lock, self.model, self.function = threading.Lock(), Model(rank), lambda x: x + rank

    def program(processes):
        (metric,) = joined(processes, Holding(processes.rank))
        internals(metric).declaration.arguments.clear()
        metric.update_state(1.0)
        return metric.result()

    assert [2.0, 2.0] == run(2, program)


def test_long_parameters_that_differ():
    """Values too long to show are told apart by a digest."""

    def program(processes):
        (metric,) = joined(processes, Total(scale=[1.0] * 100 + [float(processes.rank)]))
        return metric.result()

    everyone_hears(
        program,
        mg.IncompatibleStates,
        r"parameter scale of metric 0 is \[1.0, .*\] \(digest [0-9a-f]{6}\) on worker 1 and \[1.0, .*\] \(digest [0-9a-f]{6}\) on worker 0",
        size=2,
    )


def test_other_parameters_of_a_state():
    """Where a state has other parameters, all hear which."""

    class Binned(mg.Metric):
        def __init__(self, edges):
            super().__init__()
            self.add_state("bins", mg.Histogram(edges))

        def result(self):
            return self.bins.result()

    def program(processes):
        (metric,) = joined(processes, Binned([0, 1] if processes.rank else [0, 2]))
        return metric.result()

    everyone_hears(
        program, mg.IncompatibleStates, r"parameter edges of state bins of metric 0 is .* on worker 0 and .* on workers 1 and 2"
    )


def test_another_number_of_metrics():
    """Where one process has a metric more, all hear of it."""

    def program(processes):
        metrics = joined(processes, *(Total(name="m") for _ in range(2 if processes.rank == 2 else 1)))
        return metrics[0].result()

    everyone_hears(program, mg.IncompatibleStates, "the number of metrics is 2 on worker 2 and 1 on workers 0 and 1")


def test_another_order_of_calls():
    """Where one process asks for another metric, all hear of it."""

    def program(processes):
        first, second = joined(processes, Total(name="a"), Total(name="b"))
        return (second if processes.rank == 0 else first).result()

    everyone_hears(
        program, mg.IncompatibleStates, "the metric whose result is asked for is 1 on worker 0 and 0 on workers 1 and 2"
    )


def test_an_update_on_one_worker_between_two_results():
    """What was brought along may be read as long as no process updates; where only one does, its exchange finds the others elsewhere."""

    def program(processes):
        first, second = joined(processes, Total(name="a"), Total(name="b"))
        for metric in (first, second):
            metric.update_state(1.0)
        first.result()
        if processes.rank == 0:
            second.update_state(1.0)
        second.result()
        return first.result()

    everyone_hears(
        program, mg.IncompatibleStates, "the metric whose result is asked for is 0 on worker 1 and 1 on worker 0", size=2
    )


def test_a_reset_on_one_worker_only():
    """Where one process has reset a metric more often, all hear of it: they are not in the same epoch."""

    def program(processes):
        (metric,) = joined(processes, Total(name="a"))
        if processes.rank == 0:
            metric.reset_state()
        return metric.result()

    everyone_hears(program, mg.IncompatibleStates, "the number of resets of metric 0 is 1 on worker 0 and 0 on workers 1 and 2")


def test_another_version(monkeypatch):
    """Where one process has another version of this library, all hear of it."""
    from mergeable.exchange import exchange, message

    def of(rank):
        return "9.9" if rank == 1 else "1.0"

    ranks = threading.local()

    class Versioned:
        @property
        def __version__(self):
            return of(ranks.mine)

    stand_in = Versioned()
    monkeypatch.setattr(exchange, "version", stand_in)
    monkeypatch.setattr(message, "version", stand_in)

    def program(processes):
        ranks.mine = processes.rank
        (metric,) = joined(processes, Total(name="a"))
        return metric.result()

    everyone_hears(program, mg.IncompatibleStates, "the version of mergeable is '9.9' on worker 1 and '1.0' on workers 0 and 2")


def test_attributes_that_nothing_merges():
    """Values in attributes that are not declared are refused by name, in every process."""

    def program(processes):
        (metric,) = joined(processes, Undeclared())
        metric.update_state(processes.rank)
        return metric.result()

    everyone_hears(program, mg.UndeclaredState, "attributes that are not declared as states: last")


def test_the_same_updates_in_two_processes():
    """A metric that two processes have loaded counts once or not at all."""
    import copy

    source = Total()
    source.update_state(1.0)

    def program(processes):
        (metric,) = joined(processes, copy.deepcopy(source))
        return metric.result()

    everyone_hears(program, mg.DuplicateOrigin, r"merge: the origin .* came twice; its updates would count twice")


def test_a_merge_that_fails():
    """What a user's merge raises is raised in every process, as itself."""

    def clash(mine, other):
        if mine and other:
            raise LookupError("cannot merge these")
        mine.update(other)

    class Clashing(mg.Metric):
        words = mg.state(set, merge=clash)

        def update_state(self, word):
            self.words.add(word)

        def result(self):
            return self.words

    def program(processes):
        (metric,) = joined(processes, Clashing())
        metric.update_state(str(processes.rank))
        return metric.result()

    everyone_hears(program, LookupError, "cannot merge these")


def test_a_state_that_does_not_pickle_in_one_process():
    """What fails while one process packs its states is heard by all."""

    class Fragile(mg.State):
        def __init__(self):
            self.broken = False

        def update(self, broken):
            self.broken = broken

        def merge(self, other):
            self.broken |= other.broken

        def result(self):
            return 0

        def __getstate__(self):
            if self.broken:
                raise BufferError("does not pickle")
            return super().__getstate__()

    class Holding(mg.Metric):
        state = Fragile()

        def update_state(self, broken):
            self.state.update(broken)

        def result(self):
            return 0

    def program(processes):
        (metric,) = joined(processes, Holding())
        metric.update_state(processes.rank == 1)
        return metric.result()

    everyone_hears(program, BufferError, "does not pickle")


def test_an_exception_that_does_not_travel():
    """An exception whose class cannot be built again arrives as its text."""

    class Picky(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def merge(mine, other):
        raise Picky(1, 2)

    class Clashing(mg.Metric):
        words = mg.state(set, merge=merge)

        def result(self):
            return 0

    def program(processes):
        (metric,) = joined(processes, Clashing())
        return metric.result()

    ended = run(2, program)

    assert ["Picky: 1 and 2"] * 2 == [str(e) for e in ended]


def test_after_a_failure_the_next_exchange_works():
    """A failed exchange leaves nothing behind: with the cause gone, the next one is right."""

    def program(processes):
        (metric,) = joined(processes, Total(scale=1.0 + processes.rank))
        metric.update_state(1.0)
        with pytest.raises(mg.IncompatibleStates):
            metric.result()
        metric.scale = 1.0
        internals(metric).declaration.arguments["scale"] = 1.0
        return metric.result()

    assert [2.0, 2.0] == run(2, program)


def test_a_piece_that_two_processes_hold():
    """Where processes have merged two tries of one piece, all hear its name, and none shows a number."""

    def program(processes):
        (metric,) = joined(processes, Total(name="total"))
        piece = Total(name="total")
        piece.update_state(1.0)
        metric.merge_state([piece.snapshot(origin="night/3")])
        return metric.result()

    ended = run(2, program)

    assert [mg.DuplicateOrigin] * 2 == [*map(type, ended)]
    assert all("the origin night/3 (replica 0, 1 updates) came twice" in str(error) for error in ended)


def test_a_snapshot_in_one_process_only():
    """The error speaks of the snapshot that was asked for, and of the local one that waits for nobody."""

    def program(processes):
        (metric,) = joined(processes, Total(name="loss"))
        metric.update_state(1.0)
        return metric.snapshot(local=True).coverage.updates if processes.rank else metric.snapshot()

    ended = run(2, program, timeout=0.2)

    assert 1 == ended[1]
    match = (
        r"^Total\.snapshot \(metric 'loss'\): worker 0 of 2 missed worker 1 Where one worker saves what it alone holds, write "
        r"snapshot\(local=True\)\.$"
    )
    with pytest.raises(mg.ExchangeTimeout, match=match):
        raise ended[0]


def test_a_process_that_does_not_come():
    """The others hear which metric's result they waited for."""

    def program(processes):
        (metric,) = joined(processes, Total(name="loss"))
        metric.update_state(1.0)
        return metric.result() if processes.rank else None

    ended = run(2, program, timeout=0.2)

    assert ended[0] is None
    with pytest.raises(mg.ExchangeTimeout, match=r"Total.result \(metric 'loss'\): worker 1 of 2 missed worker 0"):
        raise ended[1]
