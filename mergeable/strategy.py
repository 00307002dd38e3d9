"""Idea 3: a strategy is how replicas meet.

It knows who takes part, whose update this is, and how bytes travel; it knows nothing of what they mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Brought(Protocol):
    """A batch that a replica brings: its first argument as it came, and all its tensors."""

    first: Any
    tensors: list[Any]


B = TypeVar("B", bound=Brought)


class Strategy(ABC):
    """How the replicas of one process, and the processes of one job, meet."""

    @abstractmethod
    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Called by every replica with an item of its own: call ``act`` once with all items of this process, in replica order.

        Returns when ``act`` has returned, so what a replica does next comes after what all have brought. Where there is one
        replica, or none is running, the list has one item.
        """

    @abstractmethod
    def distinct(self, batches: list[B]) -> list[B]:
        """Return the batches of the replicas without those that repeat another's rows."""

    @abstractmethod
    def gather(self, payload: bytes) -> list[bytes]:
        """Return the bytes of every process of the job, in one order everywhere."""

    @abstractmethod
    def serves(self, strategy: Any) -> bool:
        """Return whether this is the way for a ``tf.distribute`` strategy (None where there is none)."""
