"""A metric without a framework joins a job of real processes, by a public name and some lines that carry bytes."""

import pytest

import mergeable as mg
from mergeable.exchange import join
from mergeable.strategy import Processes
from tests.exchange import pipes
from tests.strategies import conformance


class Alone(Processes):
    rank, size = 0, 1

    def gather(self, payload, about):
        raise AssertionError("nobody is there to meet")


def test_conformance_without_tensorflow():
    """Every scenario shows in every process what it shows alone, and no process has loaded TensorFlow."""
    shown, loaded = zip(*pipes.values(pipes.conform), strict=True)

    conformance.check(shown)
    assert [False] * pipes.SIZE == list(loaded)


def test_uneven_and_empty_shards():
    """Results and snapshots are those of all processes, in the same bytes on each; a local snapshot is this one's."""
    seen = pipes.values(pipes.words)
    alone = pipes.fed(batch for batches in pipes.BATCHES for batch in batches)
    first, whole, local, later, workers = zip(*seen, strict=True)
    parts = [mg.Snapshot.from_bytes(part) for part in local]

    assert [alone.result()] * pipes.SIZE == list(first) == list(later)
    assert 1 == len(set(whole))
    assert [2, 0, 1] == [part.coverage.updates for part in parts]
    assert alone.result() == mg.Snapshot.from_bytes(whole[0]).result(pipes.Words) == mg.merge(parts).result(pipes.Words)
    assert [(0, 1, 2)] * pipes.SIZE == list(workers)


def test_a_process_that_ends():
    """The others hear who is missing, each time that they ask, and hold what they held."""
    first, ended, third = pipes.values(pipes.absence)

    assert ended is None
    for rank, (result, heard, here) in ((0, first), (2, third)):
        text = f"Words.result (metric 'words'): process {rank} of 3 missed [1]"
        assert pipes.fed(batch for batches in pipes.BATCHES for batch in batches).result() == result
        assert [text, text] == heard
        assert pipes.fed(pipes.BATCHES[rank]).result() == here


def test_one_process_is_a_job():
    """Where this process is the whole job, a result waits for nobody."""
    metric = pipes.fed(pipes.BATCHES[0], Alone())

    assert pipes.fed(pipes.BATCHES[0]).result() == metric.result()


def test_what_cannot_join():
    """A class in the place of an instance, and anything that is no metric, is refused."""
    with pytest.raises(TypeError, match=r"^exchange\.join: got .*Words.*, expected a metric of mergeable\.$"):
        join(pipes.Words, Alone())
    with pytest.raises(TypeError, match=r"^exchange\.join: got .*, expected an instance of mergeable\.strategy\.Processes\.$"):
        join(pipes.Words(), Alone)
