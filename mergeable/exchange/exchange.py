"""The exchange: the one round in which the processes of a job give each other what their metrics hold.

It is symmetric by construction. A metric's result is exchanged whenever it is asked for, except when the exchange for another
metric has brought it along and it was not read or changed since; and a metric is brought along when an update of it was
called, in every process, since it was last exchanged or reset. Both depend on the calls alone, not on what is in the states. So
between the result that brings a metric along and its own, all processes call an update of it (with an empty batch, too) or none.

What travels is pickled: the processes of a job trust each other, and whoever can reach the ports at which they listen.
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
from mergeable.exchange.message import Opener, Parcel
from mergeable.exchange.program_facts import difference, digest, facts
from mergeable.metric import Metric
from mergeable.metric.intake import RESTORED
from mergeable.strategy import Strategy
from mergeable.wording import shown

_exchanges: weakref.WeakKeyDictionary[Strategy, Exchange] = weakref.WeakKeyDictionary()
_watchers: list[Callable[[Report], None]] = []


@dataclasses.dataclass(frozen=True)
class Report:
    """What one exchange was: its number, the metrics that it merged, the bytes of this process, and the seconds it took."""

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


class Exchange:
    """The metrics of this process that belong to a job, numbered in the order in which they joined: the same everywhere."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._metrics: list[weakref.ref[Metric]] = []  # collected at another time in each process, but numbered for ever
        self._classes: list[str] = []
        self._lock = threading.Lock()
        self._count = itertools.count(1)

    @classmethod
    def among(cls, strategy: Strategy) -> Exchange | None:
        """Return the exchange of the strategy's job, the same one at every call; None where this process is the whole job."""
        if strategy.size == 1:
            return None
        if strategy not in _exchanges:
            _exchanges[strategy] = cls(strategy)
        return _exchanges[strategy]

    @property
    def rank(self) -> int:
        """This process's place in the job."""
        return self._strategy.rank

    @property
    def size(self) -> int:
        """How many processes the job has."""
        return self._strategy.size

    def join(self, metric: Metric) -> None:
        """Make the metric's result that of all processes. Every process joins its metrics in the same order."""
        with self._lock:
            if metric._membership.job is not self:
                metric._membership.job = self
                self._metrics.append(weakref.ref(metric))
                self._classes.append(type(metric).__qualname__)

    def merged(self, metric: Metric, *, alone: bool = False, verb: str = "result") -> Metric:
        """Return a metric that holds what this one holds in all processes; ``alone`` brings no others along.

        Errors name the verb that the user called, which every process must call.

        Raises:
            ExchangeTimeout: a process did not come, or was lost. IncompatibleStates: processes differ in their program.
            DuplicateOrigin: two processes hold the same updates. UndeclaredState: a metric has values that nothing merges.
            Whatever packing and merging the states raises, in every process.
        """
        for ref in self._metrics:
            if (member := ref()) is not None:
                member._take_in()  # so that all processes see the same updates
        with self._lock:
            brought, metric._membership.brought = metric._membership.brought, None
            return self._exchanged(metric, alone=alone, verb=verb) if brought is None else brought

    def _exchanged(self, metric: Metric, *, alone: bool, verb: str) -> Metric:
        began, sent, received = time.perf_counter(), self._strategy.sent, self._strategy.received
        members = {number: member for number, ref in enumerate(self._metrics) if (member := ref()) is not None}
        wanted = next(number for number, member in members.items() if member is metric)
        carried = {n: m for n, m in members.items() if n == wanted or (m._membership.news and not alone)}
        merged = self._meet(wanted, carried, verb)
        for number, twin in merged.items():
            carried[number]._membership.news = False
            carried[number]._membership.brought = None if number == wanted else twin
        report = Report(
            number=next(self._count),
            metrics=tuple(str(carried[number].name) for number in merged),
            sent=self._strategy.sent - sent,
            received=self._strategy.received - received,
            seconds=time.perf_counter() - began,
        )
        for callback in _watchers:
            callback(report)
        return merged[wanted]

    def _meet(self, wanted: int, carried: dict[int, Metric], verb: str) -> dict[int, Metric]:
        metric = carried[wanted]
        program = facts(
            {
                "version of mergeable": version.__version__,
                "number of metrics": len(self._metrics),
                **{f"class of metric {n}": name for n, name in enumerate(self._classes)},
                "metric whose result is asked for": wanted,
                f"number of resets of metric {wanted}": metric._membership.resets,
            }
        )
        parameters = {number: facts(_parameters(number, member)) for number, member in carried.items()}
        parcel = Parcel.of(digest(program), {number: digest(known) for number, known in parameters.items()}, carried)
        who = f"{type(metric).__name__}.{verb} (metric {shown(metric.name)})"
        about = f"the result of metric {wanted} after {metric._membership.resets} resets"
        try:
            merged = self._strategy.combine(parcel, about, merge=Parcel.merged, pack=Parcel.pack, unpack=Opener(carried).unpack)
            if merged.differs:
                known = {label: fact for part in (program, *parameters.values()) for label, fact in part.items()}
                programs = [
                    pickle.loads(told) for told in self._strategy.gather(pickle.dumps(known), f"{about}, which differs")
                ]
                raise IncompatibleStates(
                    f"{who}: got workers whose programs differ: {difference(programs)}. Expected the same metrics, built in the same "
                    "order with the same parameters, and the same calls of result() and reset_state() on every worker. Nothing "
                    "was merged; list attributes that may differ in scratch."
                )
        except ExchangeTimeout as error:
            hint = " Where one worker saves what it alone holds, write snapshot(local=True)." if verb == "snapshot" else ""
            raise ExchangeTimeout(f"{who}: {error}{hint}") from error
        if merged.failure is not None:
            raise merged.failure
        return merged.metrics


def _parameters(number: int, metric: Metric) -> dict[str, Any]:
    """Return what must agree between the metrics of that number."""
    known = {f"parameter {name} of metric {number}": value for name, value in metric._parameters().items()}
    restored = metric._slots.get(RESTORED)
    known[f"restored part of metric {number}"] = sorted(restored.contributions) if restored else None
    for name, state in metric._states.items():
        known[f"state {name} of metric {number}"] = type(state).__qualname__
        known |= {f"parameter {key} of state {name} of metric {number}": v for key, v in state.parameters.items()}
    return known
