"""When the result that a step shows is computed again: for a share of the time that steps take, and no more."""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable
from typing import Any, final

SHARE = 0.1
"""``"auto"`` spends so much of the time that steps take on results."""

_PROBES = (4, 8)  # steps at which the first costs are measured that tell how costs grow


@final
class Schedule:
    """The steps, counted from 1 at a reset, at which the result is computed for a step to show; the first is one of them.

    ``step_result`` is ``"always"``, ``"never"``, an int n for every n-th step, or ``"auto"``: the time spent on results since the
    reset, with what the next one will take, is at most ``SHARE`` of the time that the steps took. A result that reads all rows
    takes longer as they grow, so its cost at step k is foreseen as ``fixed + growth * k``, from the costs that were measured.

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
        counts = isinstance(step_result, int) and not isinstance(step_result, bool) and step_result >= 1
        if not counts and step_result not in ("always", "auto", "never"):
            raise ValueError(
                f"{who}.step_result: got {step_result!r}, expected 'auto', 'always', 'never', or a number of steps from 1 on."
            )
        self.step_result = 1 if step_result == "always" else step_result
        self._clock = clock
        self._fixed = math.inf  # the least seconds that a result took
        self._growths: collections.deque[float] = collections.deque(maxlen=2)  # the least of two: one pause proves nothing
        self._pace: float | None = None  # seconds that a step takes without results
        self.reset()

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
        self._fixed = min(self._fixed, cost)
        if step >= _PROBES[0]:
            self._growths.append((cost - self._fixed) / step)

    def computed(self, step: int, cost: float) -> None:
        """Take note that a step's result was computed in so many seconds, and choose the next step."""
        if self.step_result != "auto":
            self.next = step + self.step_result
            return
        self.measured(step, cost)
        if self._first is None:
            self._first = step, self._clock()
        elif step > self._first[0]:
            first, then = self._first
            self._spent += cost
            self._pace = max(0.0, self._clock() - then - self._spent) / (step - first)
        self.next = max(step + 1, self._affordable())

    def _affordable(self) -> float:
        """Return the first step whose result keeps the share."""
        if self._pace is None or len(self._growths) < len(_PROBES):
            return _PROBES[len(self._growths) and 1]
        gain = SHARE * self._pace - min(self._growths)
        return math.ceil((self._spent + self._fixed) / gain) if gain > 0 else math.inf
