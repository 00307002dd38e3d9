"""Entering a metric: whoever reads or changes what it holds has it to himself, and finds it whole.

Whole means: no change is half done, also where an interrupt (Ctrl-C), another thread or a fork has cut one off, and no batch
waits that was handed over before.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, final

from mergeable.coverage import Coverage
from mergeable.metric.attempt import Attempt
from mergeable.part import Part, States, merge_alike

T = TypeVar("T")

RESTORED = -1
"""The slot of what was restored: before those of all replicas. Every process of a job has it, and the first one brings it."""


class Inlet(Protocol):
    """Where batches wait that were handed over to a metric and that no slot has taken yet."""

    def settle(self) -> None:
        """Take what waits; what its updates raise is kept. Called by a thread that has the metric to itself."""

    def raise_failures(self) -> None:
        """Raise what an update that was taken has raised; told once."""

    def reset(self) -> None:
        """The metric was reset."""


class Intake:
    """The slots of a metric's replicas, and the one door to them."""

    _states: States
    _slots: dict[int, Part]
    _inlet: Inlet | None
    _attempt: Attempt | None
    _view: Any  # the states that user code sees under their names, or None where none runs
    _lock: Any
    _process: int

    @final
    def _enter(self, run: Callable[..., T], *args: Any) -> T:
        """Return ``run(*args)``, called while this thread has the metric to itself.

        The lock is taken and given back on one line, because an interrupt falls between lines, and what it cuts off is never the way
        back out of a ``with``.
        """
        if self._process != _process:
            with _renewing: self._renew_lock()  # fmt: skip  # noqa: E701 - see below
        if self._lock._is_owned():
            return run(*args)
        with self._lock: return self._entered(run, *args)  # fmt: skip  # noqa: E701 - see above

    def _entered(self, run: Callable[..., T], *args: Any) -> T:
        """Bring to an end what was cut off, take in what waits, and go on."""
        state = self.__dict__
        if state["_view"] is not None:
            state["_view"] = None
        if state["_attempt"] is not None:
            state["_attempt"].end()
        if state["_inlet"] is not None:
            state["_inlet"].settle()
        return run(*args)

    def _renew_lock(self) -> None:
        """In a fork, give up the lock of a thread that is not in this process; its update is undone like one that was cut off."""
        if self._process == _process:  # another thread has done it
            return
        if not self._lock._is_owned():
            self.__dict__["_lock"] = threading.RLock()
        self.__dict__["_process"] = _process

    @property
    def _is_inside(self) -> bool:
        """Whether this thread runs the user's code of a verb."""
        state = self.__dict__
        return state["_view"] is not None and state["_lock"]._is_owned()

    @final
    def _slot(self, replica: int) -> Part:
        """Return the slot of a replica."""
        slots = self._slots
        if replica not in slots:
            slots[replica] = Part.empty(self._states)
        return slots[replica]

    @final
    def _fold(self, *names: str) -> States:
        """Merge the slots, in replica order, into fresh states: all of them, or those named."""
        return self._enter(self._fold_here, names)

    def _fold_here(self, names: tuple[str, ...]) -> States:
        merged = {name: self._states[name].empty() for name in names or self._states}
        for _, slot in sorted(self._slots.items()):
            merge_alike(merged, slot.states)  # all slots have states with the parameters of these
        return merged

    @final
    def _folded_slot(self) -> Part:
        """Merge the slots into a fresh one, with what they cover."""
        return self._enter(self._folded_slot_here)

    def _folded_slot_here(self) -> Part:
        return Part(self._fold(), self._own_coverage(), self._slot(0).origin)

    def _joined_to(self, joined: Part | None) -> Part | None:
        """Return a slot with what it had and what this metric's slots have."""
        for _, slot in sorted(self._slots.items()):
            if joined is None:
                joined = slot.copied()
            else:
                joined.merge(slot)
        return joined

    def _own_coverage(self) -> Coverage:
        return self._enter(self._coverage_here)

    def _coverage_here(self) -> Coverage:
        coverage = Coverage()
        for _, slot in sorted(self._slots.items()):
            coverage = coverage.joined(slot.coverage)
        return coverage

    @final
    def _take_in(self) -> None:
        """Take the batches that wait; what their updates raise waits in turn."""
        self._enter(nothing)

    @final
    def _settle(self) -> None:
        """Take the batches that wait, and raise what their updates have raised."""
        self._enter(self._raise_failures)

    def _raise_failures(self) -> None:
        if self._inlet is not None:
            self._inlet.raise_failures()


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
