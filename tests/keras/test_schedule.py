"""When a step computes its result: counted with a clock that the tests move."""

import numpy as np
import pytest

from mergeable.keras.result_schedule import SHARE, Schedule

STEP = 1.0  # seconds


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def epoch(schedule, clock, cost, steps):
    """Run steps, each of which takes a second, and return at which of them the result was computed, and what that took."""
    schedule.reset()
    computed, spent = [], 0.0
    for step in range(1, steps + 1):
        clock.now += STEP
        if schedule.is_due(step):
            took = cost(step)
            clock.now += took
            spent += took
            computed.append(step)
            schedule.computed(step, took)
    return computed, spent


@pytest.mark.parametrize(
    ("step_result", "expected"),
    [("always", [1, 2, 3, 4, 5, 6, 7]), (1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 4, 7]), (np.int64(3), [1, 4, 7]), ("never", [])],
)
def test_what_was_asked_for(step_result, expected):
    """A number counts from the first step after a reset, in each epoch."""
    clock = Clock()
    schedule = Schedule(step_result, "M", clock)

    assert [expected, expected] == [epoch(schedule, clock, lambda _: 100.0, 7)[0] for _ in range(2)]


@pytest.mark.parametrize(
    ("cost", "at_least"),
    [
        (lambda _: 0.01 * STEP, 990),  # cheap: in almost every step
        (lambda _: 0.3 * STEP, 300),
        (lambda _: 5.0 * STEP, 15),
        (lambda step: (0.2 + 0.01 * step) * STEP, 25),  # reads all rows
        (lambda step: 0.05 * step * STEP, 5),
        (lambda step: step * STEP, 1),  # each row costs what a step does: only what must be
    ],
    ids=["cheap", "third", "dear", "grows", "grows fast", "grows as fast as the data"],
)
def test_the_share_is_kept(cost, at_least):
    """Whatever a result costs, an epoch spends its share on it, and no more than the first results beside."""
    clock = Clock()
    schedule = Schedule("auto", "M", clock)
    for number in range(3):
        computed, spent = epoch(schedule, clock, cost, 1000)
        first = sum(map(cost, (1, 4, 8))) if not number else cost(1)

        assert computed[0] == 1
        assert spent <= 1.02 * SHARE * 1000 * STEP + first
        assert at_least <= len(computed) + 2 * bool(number)  # without the two that measure


def test_growth_is_linear_in_steps():
    """Ten times the steps cost at most ten times as much, where a result in each step would cost a hundred times as much."""
    spent = {}
    for steps in (1_000, 10_000):
        clock = Clock()
        schedule = Schedule("auto", "M", clock)
        spent[steps] = epoch(schedule, clock, lambda step: 0.02 * step, steps)[1]

    assert spent[10_000] <= 11 * spent[1_000]


def test_one_pause_proves_nothing():
    """A single slow result, such as one that the garbage collector interrupts, does not end the showing for good."""
    clock = Clock()
    schedule = Schedule("auto", "M", clock)
    computed, _ = epoch(schedule, clock, lambda step: 20.0 if step == 4 else 0.05, 1000)

    assert computed[-1] > 990


def test_results_elsewhere_are_measured_too():
    """What the result at the end of an epoch takes tells how results grow."""
    clock = Clock()
    schedule = Schedule("auto", "M", clock)
    epoch(schedule, clock, lambda _: 0.05, 7)
    for _ in range(2):
        schedule.measured(7, 500.0)
    computed, _ = epoch(schedule, clock, lambda _: 0.05, 7)

    assert [1] == computed
