"""The schedule of results: a step computes its result for a share of the time that steps take."""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable
from typing import Any, final

from mergeable.state.parameters import is_whole_number
from mergeable.wording import shown

SHARE = 0.1
"""``"auto"`` spends at most so much of the time that steps take on results."""

INTERVAL = 0.25
"""And computes none before so many seconds have passed since the last one: a pause of some milliseconds slows the steps after it too."""

_PROBES = (4, 8)  # steps at which the first costs are measured that tell how costs grow


@final
class Schedule:
    """The steps, counted from 1 at a reset, at which the result is computed for a step to show; the first is one of them.

    ``step_result`` is ``"always"``, ``"never"``, an int n for every n-th step, or ``"auto"``: the time spent on results since the
    reset, with what the next one will take, is at most ``SHARE`` of the time that the steps took, and two are ``INTERVAL`` apart.
    A result that reads all rows takes longer as they grow, so its cost at step k is foreseen as ``fixed + growth * k``. Costs vary
    from one measurement to the next: only what is above twice the least one counts as growth.

    Raises:
        ValueError: ``step_result`` is none of these.

    Example:
        >>> schedule = Schedule(3, "Accuracy")
        >>> for step in range(1, 8):
        ...     if schedule.is_due(step):
        ...         print(step)
        ...         schedule.computed(step, cost=0.001)
        1
        4
        7
    """

    def __init__(self, step_result: Any, who: str, clock: Callable[[], float] = time.perf_counter) -> None:
        counts = is_whole_number(step_result) and step_result >= 1
        if not counts and step_result not in ("always", "auto", "never"):
            raise ValueError(
                f"{who}.step_result: got {shown(step_result)}, expected 'auto', 'always', 'never', or a number of steps from 1 on."
            )
        self.step_result = 1 if step_result == "always" else int(step_result) if counts else step_result
        self._clock = clock
        self._least = math.inf  # the least seconds that a result took
        self._beside = math.inf  # and the least that were spent beside it
        self._growths: collections.deque[float] = collections.deque(maxlen=2)  # the least of two: one pause proves nothing
        self._pace: float | None = None  # seconds that a step takes without results
        self.reset()

    @property
    def delays(self) -> bool:
        """Whether it chooses by itself when a step shows a value that is not its own."""
        return self.step_result == "auto"

    def reset(self) -> None:
        """Begin anew: the next step is the first."""
        self.next: float = math.inf if self.step_result == "never" else 1
        self._spent = 0.0
        self._first: tuple[int, float] | None = None  # the first step whose result was computed, and when it was there

    def is_due(self, step: int) -> bool:
        """Return whether the result is to be computed at this step."""
        return step >= self.next

    def measured(self, step: int, cost: float) -> None:
        """Take note that the result of so many steps took so many seconds."""
        self._least = min(self._least, cost)
        if step >= _PROBES[0]:
            self._growths.append(max(0.0, cost - 2 * self._least) / step)

    def computed(self, step: int, cost: float, beside: float = 0.0) -> None:
        """Take note that a step's result took so many seconds, and others ``beside`` to get there; choose the next step."""
        if self.step_result != "auto":
            self.next = step + self.step_result
            return
        self.measured(step, cost)
        self._beside = min(self._beside, beside)
        if self._first is None:
            self._first = step, self._clock()
        elif step > self._first[0]:
            first, then = self._first
            self._spent += cost + beside
            self._pace = max(0.0, self._clock() - then - self._spent) / (step - first)
        self.next = max(step + 1, self._affordable(step))

    def _affordable(self, step: int) -> float:
        """Return the first step whose result keeps the share, an interval after this one."""
        if self._pace is None or len(self._growths) < len(_PROBES):
            return _PROBES[len(self._growths) and 1]
        gain = SHARE * self._pace - min(self._growths)
        if gain <= 0:
            return math.inf
        fixed = self._least + self._beside
        return math.ceil(max((self._spent + fixed) / gain, step + INTERVAL / self._pace))
