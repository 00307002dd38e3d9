"""What a metric knows of the job that it belongs to: the other end of the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mergeable.coverage import Coverage
    from mergeable.metric.metric import Metric


class Job(Protocol):
    """Several processes that run one program."""

    @property
    def rank(self) -> int:
        """This process's place among them."""

    @property
    def size(self) -> int:
        """How many they are."""

    def merged(self, metric: Metric, *, alone: bool, verb: str = "result") -> Metric:
        """Return a metric that holds what this one and its likes in all processes hold, as the user's call of a verb asks."""


class Membership:
    """Whether a metric belongs to a job, and what an exchange has brought it that is still true.

    ``news`` tells whether an update has been called since the last reset or exchange, ``brought`` is the merged metric that an
    exchange for another one has brought along and that was not read yet, and ``told`` is the coverage and the value of the
    last result over all processes; what changes the metric ends both. Updates and resets count as ``changes``, whether they
    brought rows or not, because all processes call them alike.
    """

    def __init__(self) -> None:
        self.job: Job | None = None
        self.changes = 0
        self.resets = 0
        self.news = False
        self.brought: Metric | None = None
        self.told: tuple[Coverage, Any] | None = None

    @property
    def worker(self) -> int:
        """The rank of this process in the job."""
        return 0 if self.job is None else self.job.rank

    def updated(self) -> None:
        """An update was called, even if with an empty batch, or the states were changed in another way."""
        self.news, self.brought, self.told = True, None, None
        self.changes += 1

    def reset(self) -> None:
        """The states were emptied."""
        self.news, self.brought, self.told = False, None, None
        self.changes += 1
        self.resets += 1
