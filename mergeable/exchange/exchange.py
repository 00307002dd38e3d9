"""The exchange (an allreduce of metrics): the one round in which the processes of a job merge the states of their metrics.

Whether processes exchange depends only on the order of calls, never on data: make the same calls everywhere. ``result()`` exchanges,
unless another metric's exchange has already delivered this one. An exchange delivers every metric of which an update was called since
that metric's last exchange or reset. So between the result that delivers a metric and that metric's own result, all processes call an
update of it (with an empty batch, too), or none does.

Messages are pickled: the processes of a job trust each other, and whoever can reach the ports at which they listen.
"""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mergeable import version
from mergeable.errors import ExchangeTimeout, IncompatibleStates
from mergeable.exchange.message import Messenger
from mergeable.exchange.program_facts import digest, disagreement, facts
from mergeable.holder import host_of
from mergeable.metric import Metric, operations
from mergeable.metric.internals import internals
from mergeable.metric.slots import RESTORED
from mergeable.part import Part
from mergeable.strategy import Processes
from mergeable.wording import shown

_watchers: list[Callable[[Report], None]] = []


@dataclasses.dataclass(frozen=True)
class Report:
    """One exchange: its number, the metrics that it merged, the bytes of this process, and the seconds it took."""

    number: int
    metrics: tuple[str, ...]
    sent: int
    received: int
    seconds: float


@contextmanager
def watch(callback: Callable[[Report], None]) -> Iterator[None]:
    """Call ``callback`` with a ``Report`` of every exchange that this process takes part in while the block runs."""
    _watchers.append(callback)
    try:
        yield
    finally:
        _watchers.remove(callback)


def join(metric: Metric, processes: Processes) -> None:
    """Make the results and snapshots of a metric those of all processes of a job.

    Every process joins like metrics in the same order, before their first updates, whose coverage then names the process. From then on ``metric.result()`` and ``metric.snapshot()`` wait for the other
    processes, which make the same calls in the same order, whether they have data or not; ``metric.snapshot(local=True)`` waits for
    nobody. One exchange delivers all joined metrics that were updated, so that reading the others costs nothing.

    ``processes`` says how bytes travel. A framework's strategy has one (``mergeable.strategies.current().processes``), and Keras metrics
    join it by themselves. For another engine write a subclass of ``mergeable.strategy.Processes`` with its ``gather``, and use the same
    instance for all metrics of a process. With a ``size`` of 1 nothing changes.

    Messages are pickled: let only processes that you trust take part.

    Raises:
        TypeError: ``metric`` is no metric of mergeable, or ``processes`` no ``Processes``.

    Example:
        Two threads stand for the processes, and lists for the network:

        >>> import threading
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> import mergeable as mg
        >>> from mergeable.strategy import Processes
        >>> class Threads(Processes):
        ...     payloads, barrier = [b"", b""], threading.Barrier(2)
        ...     def __init__(self, rank):
        ...         self.rank, self.size = rank, 2
        ...     def gather(self, payload, about):
        ...         self.payloads[self.rank] = payload
        ...         self.barrier.wait()  # until all have written
        ...         found = list(self.payloads)
        ...         self.barrier.wait()  # until all have read
        ...         return found
        >>> class Rows(mg.Metric):
        ...     rows = mg.Count()
        ...     def update_state(self, x):
        ...         self.rows += len(x)
        ...     def result(self):
        ...         return self.rows.result()
        >>> def program(rank):
        ...     metric = Rows()
        ...     join(metric, Threads(rank))
        ...     metric.update_state([0.5] if rank == 0 else [1.0, 2.0])
        ...     return metric.result(), str(metric.coverage)
        >>> with ThreadPoolExecutor(2) as pool:
        ...     first, second = pool.map(program, range(2))
        >>> first
        (3, '2 updates, 3 rows, 2 origins, replica 0 of workers 0 and 1')
        >>> first == second
        True
    """
    if not isinstance(metric, Metric):
        raise TypeError(f"exchange.join: got {shown(metric)}, expected a metric of mergeable.")
    if not isinstance(processes, Processes):
        raise TypeError(f"exchange.join: got {shown(processes)}, expected an instance of mergeable.strategy.Processes.")
    exchange = Exchange.among(processes)
    if exchange is not None:
        exchange.join(host_of(metric))


class Exchange:
    """The metrics of this process that belong to a job, numbered in the order in which they joined: the same everywhere."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._metrics: list[weakref.ref[Metric]] = []  # collected at another time in each process, but numbered for ever
        self._classes: list[str] = []
        self._lock = threading.Lock()
        self._count = itertools.count(1)

    @classmethod
    def among(cls, processes: Processes) -> Exchange | None:
        """Return the exchange of these processes, the same one at every call; None where this process is the whole job."""
        if processes.size == 1:
            return None
        kept = vars(processes)  # as long as they
        found: Exchange = kept.get("_exchange") or kept.setdefault("_exchange", cls(processes))
        return found

    @property
    def rank(self) -> int:
        """This process's place in the job."""
        return self._processes.rank

    @property
    def size(self) -> int:
        """How many processes the job has."""
        return self._processes.size

    def join(self, metric: Metric) -> None:
        """Let a metric's result be the result of all processes. Every process joins its metrics in the same order."""
        with self._lock:
            if internals(metric).membership.job is not self:
                internals(metric).membership.join(self)
                self._metrics.append(weakref.ref(metric))
                self._classes.append(type(metric).__qualname__)

    def merged(self, metric: Metric, *, alone: bool = False, verb: str = "result") -> Part:
        """Return the merged part of a metric of all processes; ``alone`` delivers no other metric.

        Errors name the verb that the user called, which every process must call.

        Raises:
            ExchangeTimeout: a process did not come, or was lost. IncompatibleStates: processes differ in their program.
            DuplicateOrigin: two processes hold the same updates. UndeclaredState: a metric has values that nothing merges.
            Whatever packing and merging the states raises, in every process.
        """
        for ref in self._metrics:
            if (member := ref()) is not None:
                internals(member).take_in()  # so that all processes see the same updates
        with self._lock:
            membership = internals(metric).membership
            prefetched, membership.prefetched = membership.prefetched, None
            return self._exchanged(metric, alone=alone, verb=verb) if prefetched is None else prefetched

    def _exchanged(self, metric: Metric, *, alone: bool, verb: str) -> Part:
        began, sent, received = time.perf_counter(), self._processes.sent, self._processes.received
        members = {number: member for number, ref in enumerate(self._metrics) if (member := ref()) is not None}
        wanted = next(number for number, member in members.items() if member is metric)
        carried = {
            n: m for n, m in members.items() if n == wanted or (internals(m).membership.updated_since_exchange and not alone)
        }
        merged = self._combined(wanted, carried, verb)
        for number, part in merged.items():
            membership = internals(carried[number]).membership
            membership.updated_since_exchange = False
            membership.prefetched = None if number == wanted else part
        report = Report(
            number=next(self._count),
            metrics=tuple(str(carried[number].name) for number in merged),
            sent=self._processes.sent - sent,
            received=self._processes.received - received,
            seconds=time.perf_counter() - began,
        )
        for callback in _watchers:
            callback(report)
        return merged[wanted]

    def _combined(self, wanted: int, carried: dict[int, Metric], verb: str) -> dict[int, Part]:
        """Return the merged parts of the metrics in this exchange, by number."""
        metric = carried[wanted]
        common = {
            "version of mergeable": version.__version__,
            "number of metrics": len(self._metrics),
            **{f"class of metric {n}": name for n, name in enumerate(self._classes)},
            "metric whose result is asked for": wanted,
            f"number of resets of metric {wanted}": internals(metric).membership.resets,
        }
        parameters = {number: _parameters(number, member) for number, member in carried.items()}
        messenger = Messenger(carried)
        mine = messenger.message(digest(common), {number: digest(values) for number, values in parameters.items()})
        who = f"{type(metric).__name__}.{verb} (metric {shown(metric.name)})"
        about = f"the result of metric {wanted} after {internals(metric).membership.resets} resets"
        try:
            message = self._processes.combine(mine, about, merge=messenger.merge, pack=messenger.pack, unpack=messenger.unpack)
            if message.differs:
                known = facts({label: value for values in (common, *parameters.values()) for label, value in values.items()})
                payloads = self._processes.gather(pickle.dumps(known), f"{about}, which differs")
                raise IncompatibleStates(
                    f"{who}: got workers whose programs differ: {disagreement([*map(pickle.loads, payloads)])}. Expected the same metrics, built in the same "
                    "order with the same parameters, and the same calls of result() and reset_state() on every worker. Nothing "
                    "was merged; list attributes that may differ in scratch."
                )
        except ExchangeTimeout as error:
            hint = " Where one worker saves what it alone holds, write snapshot(local=True)." if verb == "snapshot" else ""
            raise ExchangeTimeout(f"{who}: {error}{hint}") from error
        if message.failure is not None:
            raise message.failure
        return message.parts


def _parameters(number: int, metric: Metric) -> dict[str, Any]:
    """Return the parameters that must agree between the metrics of one number, by label."""
    known = {f"parameter {name} of metric {number}": value for name, value in operations.parameters(metric).items()}
    restored = internals(metric).slots.parts.get(RESTORED)
    known[f"restored part of metric {number}"] = sorted(restored.contributions) if restored else None
    for name, state in internals(metric).declaration.states.items():
        known[f"state {name} of metric {number}"] = type(state).__qualname__
        known |= {f"parameter {key} of state {name} of metric {number}": v for key, v in state.parameters.items()}
    return known
