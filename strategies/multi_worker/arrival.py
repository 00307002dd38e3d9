"""A barrier with a timeout that names the missing: workers arrive at an exchange before any bytes travel.

Every worker leaves a key; the first worker looks for all keys and leaves a verdict. A verdict is written once, by the worker that
decides first, so all follow the same one, also a worker whose time ends while another decides to go on. A meeting that fails
harms nothing, and the next one works.

The keys lie in the store of the coordination service that TensorFlow starts with MultiWorkerMirroredStrategy. It is not public;
this file is the only one that calls it. Where it is missing, nobody waits here, and the timeout of a collective ends the wait.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterable

import tensorflow as tf
from tensorflow.python.eager import context

from mergeable.errors import ExchangeTimeout

_GLANCE = 1.0  # seconds between two looks at whether a worker that is waited for still lives
_BLINK = 0.1  # seconds in which the store says whether a key is there
_jobs = itertools.count()


class Arrival:
    """One worker's side of all meetings of a job."""

    timeout: float = 600.0
    """Seconds to wait for the other workers; ``multi_worker.set_timeout`` changes it."""

    def __init__(self, rank: int, addresses: list[str]) -> None:
        self._rank, self._size, self._addresses = rank, len(addresses), addresses
        self._job = next(_jobs)
        self._meeting = 0
        self._about = ""
        self._was_late = False

    def meet(self, about: str) -> None:
        """Return when all workers have arrived; raise ``ExchangeTimeout`` with the names of the missing ones."""
        if not _has_store():
            return
        began = time.monotonic()
        try:
            missing = self._arrived(about, began)
            while self._rank in missing:  # that meeting was over; it has missed this worker, which may not even know of it
                self._was_late = not self._was_late and self._about == about
                if self._was_late:
                    raise self._late()
                missing = self._arrived(about, began)
            self._was_late = False
            if not missing and self._rank == 0 and self._meeting > 1:  # who is here has left the one before
                context.context().delete_config_key_value(self._place(self._meeting - 1))
        except tf.errors.OpError as error:  # the first worker keeps the keys
            raise self._missed(self._dead(range(self._size)) or [0], time.monotonic() - began) from error
        if missing:
            raise self._missed(missing, time.monotonic() - began)

    def lost(self, partner: int) -> int:
        """Return the worker that was lost when a partner did not answer after all had arrived: a dead one, or the partner."""
        for _ in range(10):
            for rank in self._dead(range(self._size)):
                return rank
            time.sleep(_BLINK)  # the address of a process that ends may outlive its connections by a moment
        return partner

    def _arrived(self, about: str, began: float) -> list[int]:
        """Arrive at the next meeting, and return the ranks of the workers that its verdict names."""
        self._meeting += 1
        place = self._place(self._meeting)
        context.context().set_config_key_value(f"{place}/{self._rank}", about)
        verdict = json.loads((self._await_all if self._rank == 0 else self._await_verdict)(place, about, began))
        self._about = verdict["about"]
        return list(verdict["missing"])

    def _place(self, meeting: int) -> str:
        return f"mergeable/{self._job}/{meeting}"

    def _await_all(self, place: str, about: str, began: float) -> str:
        """Return the verdict: it names nobody, or the workers that have not come when the time is over, or the dead ones."""
        waiting, deadline = list(range(1, self._size)), began + self.timeout
        while waiting:
            if _value(f"{place}/{waiting[0]}", min(_GLANCE, deadline - time.monotonic())) is not None:
                waiting.pop(0)
            elif dead := self._dead(waiting[:16]):
                waiting = dead
                break
            elif time.monotonic() >= deadline or _value(f"{place}/verdict", _BLINK) is not None:
                waiting = self._absent(place)
                break
        return self._verdict(place, about, waiting)

    def _await_verdict(self, place: str, about: str, began: float) -> str:
        """Return the first worker's verdict, or one of this worker's where the first did not come in time."""
        while time.monotonic() < began + self.timeout + 2 * _GLANCE:
            verdict = _value(f"{place}/verdict", _GLANCE)
            if verdict is not None:
                return verdict
        return self._verdict(place, about, self._absent(place) or [0])

    def _verdict(self, place: str, about: str, missing: list[int]) -> str:
        """Write the verdict and return it; return the one that is there where another worker has written before."""
        verdict = json.dumps({"about": about, "missing": missing})
        try:
            context.context().set_config_key_value(f"{place}/verdict", verdict)
        except tf.errors.AlreadyExistsError:
            return str(context.context().get_config_key_value(f"{place}/verdict", int(1000 * self.timeout)))
        return verdict

    def _absent(self, place: str) -> list[int]:
        return [rank for rank in range(self._size) if _value(f"{place}/{rank}", _BLINK) is None]

    def _dead(self, ranks: Iterable[int]) -> list[int]:
        """Return the workers at whose address nobody listens any more."""
        return [rank for rank in ranks if rank != self._rank and answers(self._addresses[rank]) is False]

    def _missed(self, missing: list[int], waited: float) -> ExchangeTimeout:
        names = ", ".join(f"worker {rank} ({self._addresses[rank]})" for rank in missing)
        error: ExchangeTimeout = ExchangeTimeout(
            f"worker {self._rank} of {self._size} waited {waited:.1f} s of at most {self.timeout:g} s, expected all workers, and "
            f"missed {names}. Nothing was merged and the states are as before. A worker died, raised, or did not make "
            "this call, which every worker must make; see its log."
        )
        return error

    def _late(self) -> ExchangeTimeout:
        error: ExchangeTimeout = ExchangeTimeout(
            f"worker {self._rank} of {self._size} came too late: the others had waited at most {self.timeout:g} s and given up. "
            "Nothing was merged and the states are as before. Every worker must make the same calls of result() and snapshot(), in the "
            "same order; raise multi_worker.set_timeout() where workers differ more in speed."
        )
        return error


def _has_store() -> bool:
    methods = ("set_config_key_value", "get_config_key_value")
    return all(hasattr(context.context(), m) for m in methods) and context.context().coordination_service is not None


def _value(key: str, seconds: float) -> str | None:
    """Return the key's value, for which this waits; None when the time is over."""
    try:
        return str(context.context().get_config_key_value(key, max(1, int(1000 * seconds))))  # 0 would wait for ever
    except (tf.errors.DeadlineExceededError, tf.errors.NotFoundError):
        return None


def answers(address: str) -> bool | None:
    """Return whether a process listens at an address; None where nothing replies, which proves nothing."""
    try:
        socket.create_connection(host_port(address), timeout=_GLANCE).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return None
    return True


def host_port(address: str) -> tuple[str, int]:
    """Return the parts of an address such as ``host:port`` or ``[::1]:port``."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
