"""What a metric has taken, slot by slot, and what waits to be taken."""

from __future__ import annotations

from typing import Protocol, final

from mergeable.slot import Slot, States


class Inlet(Protocol):
    """Where batches wait that were handed over to a metric and that no slot has taken yet."""

    def settle(self) -> None:
        """Take what waits; what its updates raise is kept."""

    def raise_failures(self) -> None:
        """Raise what an update that was taken has raised; told once."""

    def reset(self) -> None:
        """The metric was reset."""


class Intake:
    """The slots of a metric's replicas. Whoever reads them finds all updates that were called, those too that waited until then."""

    _states: States
    _inlet: Inlet | None

    @property
    def _slots(self) -> dict[int, Slot]:
        """The slot of each replica that has one."""
        self._take_in()
        slots: dict[int, Slot] = self.__dict__["_slots"]
        return slots

    @final
    def _slot(self, replica: int) -> Slot:
        """Return the slot of a replica."""
        slots = self._slots
        if replica not in slots:
            slots[replica] = Slot.empty(self._states)
        return slots[replica]

    @final
    def _take_in(self) -> None:
        """Take the batches that wait; what their updates raise waits in turn."""
        if self._inlet is not None:
            self._inlet.settle()

    @final
    def _settle(self) -> None:
        """Take the batches that wait, and raise what their updates have raised."""
        if self._inlet is not None:
            self._inlet.settle()
            self._inlet.raise_failures()
