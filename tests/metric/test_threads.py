"""Threads and forks: whoever reads a metric finds whole updates, nobody waits for ever, and a fork has what was there."""

import copy
import os
import pickle
import random
import sys
import threading
import time

import pytest

import mergeable as mg
from mergeable.states.sums import Sum
from tests.effort import HANG


class Twice(mg.Metric):
    """Counts rows in two ways, which agree after whole updates."""

    total = mg.Sum()
    rows = mg.Count()

    def update_state(self, values):
        self.total.update(values)
        self.rows += len(values)

    def result(self):
        return self.total.result(), self.rows.result()


def run(*targets):
    """Run functions in threads of their own, and raise what they raise."""
    failures = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
        assert not thread.is_alive(), "a thread waits for ever"
    if failures:
        raise failures[0]


def check(metric):
    """A metric, or a copy of one, holds whole updates of one row each, and its coverage says how many."""
    total, rows = metric.result()
    assert total == rows


def check_copy(metric):
    """As ``check``, and the coverage agrees, because nobody else updates a copy."""
    check(metric)
    assert metric.rows.result() == metric.coverage.updates == metric.coverage.rows


VERBS = [
    *[lambda a, b: (a.update_state([1.0]), b.update_state([1.0]))] * 6,
    lambda a, b: check(a),
    lambda a, b: check_copy(copy.deepcopy(a)),
    lambda a, b: check_copy(pickle.loads(pickle.dumps(b))),
    lambda a, b: mg.merge([a.snapshot(), b.snapshot()]).result(Twice),
    lambda a, b: merged(a, b),
    lambda a, b: a.total.result() + b.rows.result(),
    lambda a, b: repr(a) + repr(b.coverage),
]


def merged(a, b):
    """Two metrics that others update merge into a third one, and into each other's copy."""
    third = Twice()
    third.merge_state([a, b])
    check_copy(third)
    other = Twice()
    other.merge_state([copy.deepcopy(b)])
    other.merge_state([a])
    check_copy(other)


def test_six_threads_of_random_verbs():
    """Nothing is lost, counted twice, torn or waited for for ever where six threads call verbs of two metrics."""
    pair = Twice(), Twice()
    given = [0, 0, 0, 0, 0, 0]

    def worker(number):
        draw = random.Random(number)
        for _ in range(60):
            a, b = draw.sample(pair, 2)
            verb = draw.choice(VERBS)
            verb(a, b)
            given[number] += verb is VERBS[0]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        run(*[lambda number=number: worker(number) for number in range(6)])
    finally:
        sys.setswitchinterval(before)
    for metric in pair:
        check_copy(metric)
        assert (sum(given), sum(given)) == metric.result()


def test_metrics_that_merge_one_another():
    """Two threads that merge two metrics, each into the other, do not wait for one another."""
    a, b = Twice(), Twice()
    a.update_state([1.0])

    def merge(mine, other):
        for _ in range(200):
            mine.reset_state()
            mine.update_state([1.0])
            try:
                mine.merge_state([other])
            except mg.DuplicateOrigin:  # the other one has merged this one before
                continue
            check(mine)

    run(lambda: merge(a, b), lambda: merge(b, a))


class ByItself(Twice):
    """Merges an attribute that is not declared, and looks at the declared states of the others."""

    def reset_state(self):
        self.seen = 0

    def update_state(self, values):
        super().update_state(values)
        self.seen += len(values)

    def merge_state(self, metrics):
        for metric in metrics:
            assert metric.seen == metric.rows.result() == metric.total.result()
            self.seen += metric.seen


def test_merges_of_their_own_find_whole_metrics_and_wait_for_none():
    """A merge that a class has by itself gets copies: two threads merge two metrics into one another while a third updates them."""
    a, b = ByItself(), ByItself()

    def merge(mine, other):
        for _ in range(100):
            mine.reset_state()
            try:
                mine.merge_state([other])
            except mg.DuplicateOrigin:  # the other one has merged this one before
                continue

    def update():
        for _ in range(100):
            a.update_state([1.0])
            b.update_state([1.0, 1.0])

    run(lambda: merge(a, b), lambda: merge(b, a), update)
    for metric in (a, b):
        check(metric)
        assert metric.seen == metric.rows.result()


@pytest.mark.parametrize(
    "read", [copy.deepcopy, pickle.dumps, lambda metric: metric.snapshot(), lambda metric: metric.result()]
)
def test_an_update_waits_for_whoever_reads(monkeypatch, read):
    """While one thread copies a metric, another's update is neither lost nor taken twice, also where small batches wait."""
    metric = Twice()
    for _ in range(10):
        metric.update_state([1.0])
    inside, go = threading.Event(), threading.Event()
    absorb = Sum.absorb

    def slow(self, values):
        absorb(self, values)
        if threading.current_thread() is not updating and not inside.is_set():
            inside.set()
            go.wait(0.2)  # which ends it where the update waits for the copy

    def update():
        inside.wait(HANG)
        metric.update_state([1.0])
        go.set()

    monkeypatch.setattr(Sum, "absorb", slow)
    updating = threading.Thread(target=update)
    updating.start()
    read(metric)
    updating.join(HANG)

    assert (11.0, 11) == metric.result()
    assert 11 == metric.coverage.updates


# Forks.

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_child(act):
    """Return what a function gives in a fork of this process, as text."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, str(act()).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    given, ended = b"", time.monotonic() + HANG
    os.set_blocking(read, False)
    while time.monotonic() < ended:
        try:
            part = os.read(read, 1 << 16)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        if not part:
            break
        given += part
    else:
        os.kill(child, 9)
        given = b"it hangs"
    os.close(read)
    os.waitpid(child, 0)
    return given.decode()


class Slow(Twice):
    """Stops in the middle of an update until it is told to go on."""

    scratch = ("inside", "go")

    def __init__(self):
        super().__init__()
        self.inside, self.go = threading.Event(), threading.Event()

    def update_state(self, values):
        self.total.update(values)
        self.inside.set()
        self.go.wait(HANG)
        self.rows += len(values)


@forks
def test_a_fork_while_another_thread_updates():
    """The copy is free, holds no half of the update, and takes updates of its own; the original goes on."""
    metric = Slow()
    updating = threading.Thread(target=metric.update_state, args=([1.0],))
    updating.start()
    metric.inside.wait(HANG)

    def child():
        found = [metric.result()]
        metric.go.set()
        metric.update_state([1.0, 1.0])
        return [*found, metric.result(), metric.coverage.rows]

    assert "[(0.0, 0), (2.0, 2), 2]" == in_child(child)
    metric.go.set()
    updating.join(HANG)
    assert (1.0, 1) == metric.result()


@forks
def test_a_thread_that_forks_while_an_update_waits_for_it():
    """An update that waits for a thread which forks, as pools of processes do, does not wait for ever."""

    class Forks(mg.Metric):
        answers = mg.state(list, merge=list.extend)

        def update_state(self, values):
            given = []
            helper = threading.Thread(target=lambda: given.append(in_child(lambda: sum(values))), daemon=True)
            helper.start()
            helper.join(HANG)
            self.answers.extend(given)

        def result(self):
            return list(self.answers)

    metric = Forks()
    run(lambda: metric.update_state([1, 2]))

    assert ["3"] == metric.result()


@forks
def test_a_fork_in_an_update():
    """What user code forks in an update finds the metric as that update does."""

    class Forks(Twice):
        scratch = ("found",)

        def update_state(self, values):
            super().update_state(values)
            self.found = in_child(lambda: (self.total.result(), self.rows.result()))

    metric = Forks()
    metric.update_state([1.0, 1.0])

    assert "(2.0, 2)" == metric.found
    assert (2.0, 2) == metric.result()
