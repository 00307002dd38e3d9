"""Membership in a job: the job of a metric, what an exchange has prefetched for it, and the last result over all processes."""

from __future__ import annotations

from typing import Any, Protocol, final

from mergeable.coverage import Coverage
from mergeable.part import Part


class Job(Protocol):
    """Several processes that run one program."""

    @property
    def rank(self) -> int:
        """This process's place among them."""

    @property
    def size(self) -> int:
        """How many they are."""

    def merged(self, metric: Any, *, alone: bool, verb: str = "result") -> Part:
        """Return the merged part of this metric and its counterparts in all processes, for the user's call of a verb.

        ``alone`` brings no other metric along.
        """


@final
class Membership:
    """The job that a metric belongs to, and the results of exchanges that are still true.

    ``updated_since_exchange`` tells whether an update has been called since the last reset or exchange, ``prefetched`` is the
    merged part that an exchange for another metric has delivered and nobody has read yet, and ``last_result`` is the coverage and the value of
    the last result over all processes; a change of the metric ends both. Updates and resets count as ``changes``, whether they
    had rows or not, because all processes call them alike.
    """

    __slots__ = ("changes", "job", "last_result", "prefetched", "rank", "resets", "updated_since_exchange")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.rank = 0  # of this process in the job
        self.changes = 0
        self.resets = 0
        self.updated_since_exchange = False
        self.prefetched: Part | None = None
        self.last_result: tuple[Coverage, Any] | None = None

    def join(self, job: Job) -> None:
        """Belong to a job from now on."""
        self.job, self.rank = job, job.rank

    def updated(self) -> None:
        """Take note that an update was called, even if with an empty batch, or that the states were changed in another way."""
        self.updated_since_exchange, self.prefetched, self.last_result = True, None, None
        self.changes += 1

    def reset(self) -> None:
        """Take note that the states were emptied."""
        self.updated_since_exchange, self.prefetched, self.last_result = False, None, None
        self.changes += 1
        self.resets += 1
