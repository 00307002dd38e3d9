"""A value with an interval that holds the true one."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value, and the range that holds the true one: always, or with the certainty that the method says.

    Example:
        >>> from mergeable import Estimate
        >>> Estimate(0.75, 0.7, 0.8).low
        0.7
    """

    value: float
    low: float
    high: float
