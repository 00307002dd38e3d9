"""Idea 3: how the replicas of one process meet (``Replicas``), and how the processes of one job meet (``Processes``).

Both know who takes part and how values travel, and nothing of the values' meaning.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R", bound="Replicas")


class ReplicaBatch(Protocol):
    """The batch of one replica: its first argument as it came, and all its tensors."""

    first: Any
    tensors: list[Any]


B = TypeVar("B", bound=ReplicaBatch)


class Replicas(ABC):
    """How the replicas of one process meet: the copies of a model that a ``tf.distribute`` strategy runs."""

    ordered: bool = True
    """Whether the replicas' batches arrive in the order of the program, which states that are not commutative need."""

    queues: bool = True
    """Whether a step may leave its batches in a queue of this process, from which they are taken after the step."""

    processes: Processes | None = None
    """The processes of the job; None where this process is the whole job."""

    @classmethod
    @abstractmethod
    def serving(cls: type[R], strategy: Any) -> R | None:
        """Return the replicas of a ``tf.distribute`` strategy (None: none is in force); None for a strategy of another kind."""

    @abstractmethod
    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Call ``act`` once with the items of all replicas of this process, in replica order. Every replica calls this.

        A replica goes on when ``act`` has returned, so its next operation comes after the items of all replicas. Where there is one
        replica, or none is running, the list has one item.
        """

    @abstractmethod
    def distinct(self, batches: list[B]) -> list[B]:
        """Return the batches of the replicas without those that repeat another batch's rows."""

    def ticket(self) -> list[Any]:
        """Return tensors that identify a run of a scheduled step, so that a step that runs again counts once; none where steps run once.

        The graph of the step passes them to ``admit`` with each update.
        """
        return []

    def admit(self, place: object, ticket: Sequence[Any]) -> AbstractContextManager[int | None]:  # noqa: ARG002 - a default
        """Enter around an update of a step: give the slot of the first replica, or None where the update counts already.

        ``place`` is the place of the update in the program, ``ticket`` the values of the tensors of ``ticket()`` in this run.
        """
        return nullcontext(0)


class Processes(ABC):
    """How the processes of one job meet. Each process has an instance of its own, with the same ``size`` and a ``rank`` of its own.

    A subclass sets ``rank`` and ``size``, and writes ``gather``. ``mergeable.exchange.join`` makes the results of metrics those of all
    processes; its example shows a subclass.
    """

    rank: int
    """This process's place in the job, from 0."""

    size: int
    """The number of processes of the job."""

    sent: int = 0
    """Bytes that this process has given to others, where a subclass counts them."""

    received: int = 0
    """Bytes that others have given to this process, where a subclass counts them."""

    @abstractmethod
    def gather(self, payload: bytes, about: str) -> list[bytes]:
        """Return the payloads of all processes, in the order of their ranks. Every process calls this with the same ``about``.

        ``about`` says in words which result the payloads are for.

        Raises:
            ExchangeTimeout: a process did not come in time; the text names it.
        """

    def combine(
        self, item: T, about: str, *, merge: Callable[[T, T], T], pack: Callable[[T], bytes], unpack: Callable[[bytes], T]
    ) -> T:
        """Return the items of all processes, merged in the order of their ranks. ``merge`` may change its operands.

        Here every process receives all items, by ``gather``. Where processes can talk in pairs,
        ``mergeable.exchange.doubling`` receives fewer bytes.

        Raises:
            ExchangeTimeout: a process did not come in time; the text names it.
        """
        payloads = self.gather(pack(item), about)
        return functools.reduce(merge, [item if i == self.rank else unpack(p) for i, p in enumerate(payloads)])
