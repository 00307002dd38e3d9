"""Recursive doubling: every number of processes, in order, with few bytes."""

import math
import pickle

import pytest

from tests.strategies.simulated import run

SIZES = [*range(2, 18), 31, 64]


def joined(strategy):
    return strategy.combine([strategy.rank], "a test", merge=lambda a, b: a + b, pack=pickle.dumps, unpack=pickle.loads)


@pytest.mark.parametrize("by_doubling", [True, False], ids=["doubling", "gather"])
@pytest.mark.parametrize("size", SIZES)
def test_every_process_ends_with_all_items_in_order(size, by_doubling):
    """Whatever their number, all processes end with the items of all, in the order of the processes."""
    assert [list(range(size))] * size == run(size, joined, by_doubling=by_doubling)


@pytest.mark.parametrize("size", SIZES)
def test_all_merge_in_one_tree(size):
    """Where the tree would show, it is the same everywhere."""

    def tree(strategy):
        return strategy.combine((strategy.rank,), "a test", merge=lambda a, b: (a, b), pack=pickle.dumps, unpack=pickle.loads)

    assert 1 == len(set(run(size, tree)))


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 64, 100])
def test_bytes_grow_with_the_logarithm(size):
    """A state that does not grow is received log2(size) times, once more where size is no power of two; a gather's bytes grow."""
    state = bytes(1000)

    def received(strategy):
        strategy.combine(state, "a test", merge=lambda a, _: a, pack=bytes, unpack=bytes)
        return strategy.received

    rounds = math.floor(math.log2(size)) + (size & (size - 1) != 0)
    assert 1000 * rounds == max(run(size, received))
    assert [1000 * size] * size == run(size, received, by_doubling=False)


def test_a_process_that_does_not_come_is_missed():
    """Where one stays away, the others raise in the end, and none waits for ever."""

    def program(strategy):
        if strategy.rank == 2:
            raise KeyError("mine")
        return joined(strategy)

    ended = run(4, program, timeout=0.3)

    assert ["ExchangeTimeout", "ExchangeTimeout", "KeyError", "ExchangeTimeout"] == [type(e).__name__ for e in ended]
