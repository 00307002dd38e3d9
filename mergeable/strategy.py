"""Idea 3: a strategy is how replicas meet.

It knows who takes part, whose update this is, and how bytes travel; it knows nothing of what they mean.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound="Strategy")


class Brought(Protocol):
    """A batch that a replica brings: its first argument as it came, and all its tensors."""

    first: Any
    tensors: list[Any]


B = TypeVar("B", bound=Brought)


class Strategy(ABC):
    """How the replicas of one process, and the processes of one job, meet."""

    rank: int = 0
    """This process's place in the job."""

    size: int = 1
    """The number of processes of the job."""

    sent: int = 0
    """Bytes that this process has given to others."""

    received: int = 0
    """Bytes that others have given to this process."""

    ordered: bool = True
    """Whether what replicas bring arrives in the order of the program, which states that are not commutative need."""

    queues: bool = True
    """Whether a step may leave its batches in a queue of this process, to be taken after the step."""

    @classmethod
    @abstractmethod
    def serving(cls: type[S], strategy: Any) -> S | None:
        """Return the way for a ``tf.distribute`` strategy (None where there is none in force), or None where this is not it."""

    @abstractmethod
    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Called by every replica with an item of its own: call ``act`` once with all items of this process, in replica order.

        Returns when ``act`` has returned, so what a replica does next comes after what all have brought. Where there is one
        replica, or none is running, the list has one item.
        """

    @abstractmethod
    def distinct(self, batches: list[B]) -> list[B]:
        """Return the batches of the replicas without those that repeat another's rows."""

    def ticket(self) -> list[Any]:
        """Return tensors that a graph brings with an update, by which ``admit`` knows it; none where a step runs just once."""
        return []

    def admit(self, place: object, ticket: Sequence[Any]) -> AbstractContextManager[int | None]:  # noqa: ARG002 - a default
        """Enter around an update that a graph brings from a place in the program, with the ticket as it was in this call.

        Gives the slot of the first replica, or None where the update must be left out, because it counts without this.
        """
        return nullcontext(0)

    @abstractmethod
    def gather(self, payload: bytes, about: str) -> list[bytes]:
        """Return the bytes of every process of the job, in one order everywhere; ``about`` says what for, the same everywhere.

        Raises:
            ExchangeTimeout: a process did not come in time.
        """

    def combine(
        self, item: T, about: str, *, merge: Callable[[T, T], T], pack: Callable[[T], bytes], unpack: Callable[[bytes], T]
    ) -> T:
        """Return the items of all processes merged in their order, the same everywhere. ``merge`` may change its operands.

        Here every process receives all items; where processes can talk in pairs, ``mergeable.exchange.doubling`` receives fewer bytes.

        Raises:
            ExchangeTimeout: a process did not come in time.
        """
        payloads = self.gather(pack(item), about)
        return functools.reduce(merge, [item if i == self.rank else unpack(p) for i, p in enumerate(payloads)])
