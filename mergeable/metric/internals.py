"""The internals of a metric, in one attribute, behind a lock: whoever enters finds the metric whole.

Whoever reads or changes what a metric holds has it to himself, and finds it whole: no change is half done, also where an interrupt
(Ctrl-C), another thread or a fork has cut one off, and no batch waits that was handed over before.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, final

from mergeable.coverage import Coverage
from mergeable.metric.declaration import Declaration
from mergeable.metric.job import Membership
from mergeable.metric.slots import Slots
from mergeable.part import Part, States

T = TypeVar("T")

ATTRIBUTE = "_mergeable"
"""The attribute of a metric that is the library's."""


class Queue(Protocol):
    """Batches that were handed over to a metric and that no slot has taken yet."""

    def settle(self) -> None:
        """Take the batches that wait, and keep the errors of their updates. Called by a thread that has the metric to itself."""

    def raise_failures(self) -> None:
        """Raise the error of an update that was taken, once."""

    def reset(self) -> None:
        """The metric was reset."""


class Change(Protocol):
    """A change that is being made."""

    def end(self) -> None:
        """Finish a change that was cut off: complete it where it was decided, or undo all of it."""


@final
class Internals:
    """The parts of one metric: its declaration, slots and membership in a job, the batches that wait, and the code that runs.

    ``view`` are the states that the user's code sees under their names, None where none runs, and ``verb`` is the verb whose code it
    is. ``undeclared`` are the attributes that updates and resets have set, ``cached`` those that only ``result`` has.
    """

    __slots__ = (
        "cached",
        "change",
        "declaration",
        "face",
        "lock",
        "membership",
        "process",
        "queue",
        "slots",
        "undeclared",
        "verb",
        "view",
    )

    def __init__(self, declaration: Declaration, parts: dict[int, Part] | None = None) -> None:
        self.declaration = declaration
        self.slots = Slots(declaration.states, parts)
        self.membership = Membership()
        self.queue: Queue | None = None
        self.face: Any = None  # what a framework keeps beside it
        self.view: States | None = None
        self.verb: str | None = None
        self.change: Change | None = None
        self.undeclared: set[str] = set()
        self.cached: set[str] = set()
        self.lock = threading.RLock()
        self.process = _process

    def enter(self, run: Callable[..., T], *args: Any) -> T:
        """Return ``run(*args)``, called while this thread has the metric to itself.

        The lock is taken and given back on one line, because an interrupt falls between lines, and what it cuts off is never the way
        back out of a ``with``.
        """
        if self.process != _process:
            with _renewing: self._renew_lock()  # fmt: skip  # noqa: E701 - see below
        if self.lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks
            return run(*args)
        with self.lock: return self._entered(run, *args)  # fmt: skip  # noqa: E701 - see above

    def _entered(self, run: Callable[..., T], *args: Any) -> T:
        """Finish a change that was cut off, take the batches that wait, and call ``run(*args)``."""
        if self.view is not None:
            self.view = None
        if self.change is not None:
            self.change.end()
        if self.queue is not None:
            self.queue.settle()
        return run(*args)

    def try_to_enter(self) -> bool:
        """Take the batches that wait, unless another thread has the metric to itself; return whether they were taken."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            self._entered(nothing)
        finally:
            self.lock.release()
        return True

    def _renew_lock(self) -> None:
        """In a fork, give up the lock of a thread that is not in this process; its update is undone like one that was cut off."""
        if self.process == _process:  # another thread has done it
            return
        if not self.is_mine:
            self.lock = threading.RLock()
        self.process = _process

    @property
    def is_mine(self) -> bool:
        """Whether this thread has the metric to itself."""
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]  # as above

    @property
    def runs_user_code(self) -> bool:
        """Whether this thread runs the user's code of a verb."""
        return self.view is not None and bool(self.lock._is_owned())  # type: ignore[attr-defined]  # as above

    def fold(self, *names: str) -> States:
        """Return fresh states into which the states of all replicas are merged; they refuse changes."""
        return self.enter(self.slots.fold, *names)

    def coverage(self) -> Coverage:
        """Return which updates this process holds."""
        return self.enter(self.slots.coverage)

    def take_in(self) -> None:
        """Take the batches that wait, and keep the errors of their updates."""
        self.enter(nothing)

    def settle(self) -> None:
        """Take the batches that wait, and raise the first error of their updates."""
        self.enter_settled(nothing)

    def enter_settled(self, run: Callable[..., T], *args: Any) -> T:
        """Return ``run(*args)`` as ``enter`` does, unless an update of a batch that waited has failed: raise the first such error."""
        found: T = self.enter(self._settled, run, *args)
        return found

    def _settled(self, run: Callable[..., T], *args: Any) -> T:
        if self.queue is not None:
            self.queue.raise_failures()
        return run(*args)


def internals(metric: Any) -> Internals:
    """Return the internals of a metric."""
    found: Internals = metric.__dict__[ATTRIBUTE]
    return found


def process() -> int:
    """Return a number that is another one in a fork."""
    return _process


def nothing() -> None:
    """Do nothing."""


def _forked() -> None:
    global _process, _renewing
    _process, _renewing = next(_processes), threading.Lock()


_processes = itertools.count()
_process = next(_processes)
_renewing = threading.Lock()
os.register_at_fork(after_in_child=_forked)
