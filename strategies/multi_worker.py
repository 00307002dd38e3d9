"""Replicas of several processes: MultiWorkerMirroredStrategy.

An exchange is an arrival and then swaps. Arriving goes through the key-value store of the coordination service that TensorFlow
starts with the strategy: a process that does not come is named, and nothing is harmed, so later exchanges work. Only when
all have come do bytes travel, in collectives of two, because one that fails makes every later one fail.

The key-value store is not public API; this file is the only one that calls it. Where it is missing, processes do not wait for
each other before they swap, and a collective's own timeout ends the wait.
"""

from __future__ import annotations

import itertools
import json
import operator
import pickle
import socket
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from mergeable import doubling
from mergeable.errors import ExchangeTimeout
from mergeable.strategies.keras_fit import disable_fit, enable_fit
from mergeable.strategies.local import Local
from mergeable.strategy import B, Strategy

__all__ = ["MultiWorker", "disable_fit", "enable_fit", "set_timeout"]

T = TypeVar("T")

INLINE_BYTES = 1024
"""The first collective of a swap carries so many bytes each way; what is longer follows in its exact length."""

_WORD = 8  # collectives carry int64
_HEAD = INLINE_BYTES - 2 * _WORD  # after the sender's rank and the payload's length
_GROUPS = 0x6D670000  # group keys from here on; TensorFlow counts its own up from 1
_GLANCE = 1.0  # seconds between two looks at whether a worker that is waited for still lives

_steps: defaultdict[int, Iterator[int]] = defaultdict(lambda: itertools.count(1))  # of each group
_numbers = itertools.count()
_known: weakref.WeakKeyDictionary[Any, MultiWorker] = weakref.WeakKeyDictionary()


class MultiWorker(Strategy):
    """Each process has a worker's replicas, which meet as in one process; the workers meet at ``gather`` and ``combine``."""

    timeout: float = 600.0
    """Seconds to wait for the other workers; ``set_timeout`` changes it."""

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy) -> None:
        resolver = strategy.cluster_resolver
        jobs = resolver.cluster_spec().as_dict()
        self._tasks = [(job, i) for job in ("chief", "worker") for i in range(len(jobs.get(job, ())))]
        self._addresses = [jobs[job][i] for job, i in self._tasks]
        self.size = max(1, len(self._tasks))
        self.rank = self._tasks.index((resolver.task_type, resolver.task_id)) if self.size > 1 else 0
        self._device = f"/job:{resolver.task_type or 'localhost'}/replica:0/task:{resolver.task_id or 0}/device:CPU:0"
        self._number = next(_numbers)
        self._meetings = itertools.count(1)

    @classmethod
    def serving(cls, strategy: Any) -> MultiWorker | None:
        """Return the way for a MultiWorkerMirroredStrategy: the same one at every call."""
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return None
        if strategy not in _known:
            _known[strategy] = cls(strategy)
        return _known[strategy]

    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Call ``act`` once with the items of this process's replicas."""
        Local().meet(item, act)

    def distinct(self, batches: list[B]) -> list[B]:
        """Return the batches of this process without those that repeat another's rows."""
        return Local().distinct(batches)

    def gather(self, payload: bytes) -> list[bytes]:
        """Return the bytes of every worker, in the order of their ranks: the chief, then the workers."""
        return self.combine([payload], merge=operator.add, pack=pickle.dumps, unpack=pickle.loads)

    def combine(self, item: T, *, merge: Callable[[T, T], T], pack: Callable[[T], bytes], unpack: Callable[[bytes], T]) -> T:
        """Merge the items of all workers, in their order, in log2(size) swaps."""
        self._arrive()
        return doubling.combine(self.rank, self.size, item, swap=self._swap, merge=merge, pack=pack, unpack=unpack)

    # Arriving: every worker leaves a key; the first one looks for all of them and leaves its verdict.

    def _arrive(self) -> None:
        if not _has_store():
            return
        place = f"mergeable/{self._number}/{next(self._meetings)}"
        began = time.monotonic()
        try:
            context.context().set_config_key_value(f"{place}/{self.rank}", "here")
            if self.rank == 0:
                missing = self._await_all(place, began + self.timeout)
                context.context().set_config_key_value(f"{place}/verdict", json.dumps(missing))
            else:
                missing = self._await_verdict(place, began + self.timeout + 2 * _GLANCE)
        except tf.errors.OpError as error:
            missing = self._dead() or [0]
            raise self._timeout(missing, time.monotonic() - began) from error
        if missing:
            raise self._timeout(missing, time.monotonic() - began)

    def _await_all(self, place: str, deadline: float) -> list[int]:
        """Return the workers that have not come when the time is over, or when one of them is dead."""
        waiting = list(range(1, self.size))
        while waiting:
            if _value(f"{place}/{waiting[0]}", _GLANCE) is not None:
                waiting.pop(0)
            elif time.monotonic() > deadline or self._dead():
                return [rank for rank in waiting if _value(f"{place}/{rank}", 0) is None]
        return []

    def _await_verdict(self, place: str, deadline: float) -> list[int]:
        while time.monotonic() < deadline:
            verdict = _value(f"{place}/verdict", _GLANCE)
            if verdict is not None:
                return list(json.loads(verdict))
        return [rank for rank in range(self.size) if _value(f"{place}/{rank}", 0) is None] or [0]

    def _dead(self) -> list[int]:
        """Return the workers at whose address nobody listens any more."""
        return [rank for rank, address in enumerate(self._addresses) if rank != self.rank and _refuses(address)]

    def _timeout(self, missing: list[int], waited: float) -> ExchangeTimeout:
        if self.rank in missing:
            late: ExchangeTimeout = ExchangeTimeout(
                f"worker {self.rank} of {self.size} came too late: the others had waited up to {self.timeout:g} s and given up. "
                "Nothing was merged and the states are as before. Every worker must make the same calls of result(), in the "
                "same order; raise multi_worker.set_timeout() where workers differ more in speed."
            )
            return late
        names = ", ".join(f"worker {rank} ({self._addresses[rank]})" for rank in missing)
        missed: ExchangeTimeout = ExchangeTimeout(
            f"worker {self.rank} of {self.size} waited {waited:.1f} s of at most {self.timeout:g} s, expected all workers, and "
            f"missed {names}. Nothing was merged and the states are as before. A worker died, raised, or did not call "
            "result(), which every worker must call; see its log."
        )
        return missed

    # Swapping: collectives of two.

    def _swap(self, partner: int, payload: bytes) -> bytes:
        """Give a partner the payload and return what it gives."""
        try:
            return self._swapped(partner, payload)
        except tf.errors.OpError as error:
            raise ExchangeTimeout(
                f"worker {self.rank} of {self.size} lost worker {partner} ({self._addresses[partner]}) in the middle of an "
                f"exchange ({type(error).__name__}). The states are as before. TensorFlow lets no collective of this job work "
                "from now on: restart it."
            ) from error

    def _swapped(self, partner: int, payload: bytes) -> bytes:
        group = _GROUPS + min(self.rank, partner) * self.size + max(self.rank, partner)
        with tf.device(self._device):
            head = np.concatenate([[self.rank, len(payload)], _words(payload[:_HEAD], _HEAD)])
            both = self._collective(tf.raw_ops.CollectiveGatherV2, group, input=head[None], ordering_token=[]).numpy()
            theirs = both[int(both[1, 0] == partner)]
            length = int(theirs[1])
            received: bytes = theirs[2:].tobytes()[:length]
            for sender in sorted((self.rank, partner)):
                if sender == self.rank and len(payload) > _HEAD:
                    words = _words(payload[_HEAD:])
                    self._collective(tf.raw_ops.CollectiveBcastSendV2, group, input=words)
                    self.sent += words.nbytes
                elif sender == partner and length > _HEAD:
                    shape = [-(-(length - _HEAD) // _WORD)]
                    words = self._collective(tf.raw_ops.CollectiveBcastRecvV2, group, shape=shape, T=tf.int64).numpy()
                    self.received += words.nbytes
                    received += words.tobytes()[: length - _HEAD]
        self.sent += head.nbytes
        self.received += theirs.nbytes
        return received

    def _collective(self, op: Callable[..., Any], group: int, **arguments: Any) -> Any:
        return op(**arguments, group_size=2, group_key=group, instance_key=next(_steps[group]), timeout_seconds=self.timeout)


def set_timeout(seconds: float) -> None:
    """Wait so long for the other workers at an exchange; 600 s unless set.

    Raises:
        ValueError: ``seconds`` is not above 0.

    Example:
        >>> set_timeout(60)
        >>> set_timeout(0)
        Traceback (most recent call last):
        ValueError: multi_worker.set_timeout: got 0, expected a number of seconds above 0.
        >>> set_timeout(600)
    """
    if not seconds > 0:
        raise ValueError(f"multi_worker.set_timeout: got {seconds!r}, expected a number of seconds above 0.")
    MultiWorker.timeout = float(seconds)


def _words(payload: bytes, nbytes: int = 0) -> np.ndarray:
    """Return the bytes as int64 words, filled up with zeros to ``nbytes`` or to a whole word."""
    return np.frombuffer(payload.ljust(max(nbytes, -(-len(payload) // _WORD) * _WORD), b"\0"), np.int64)


def _has_store() -> bool:
    methods = ("set_config_key_value", "get_config_key_value")
    return all(hasattr(context.context(), m) for m in methods) and context.context().coordination_service is not None


def _value(key: str, seconds: float) -> str | None:
    """Return the key's value once it is there, or None when the time is over."""
    try:
        return str(context.context().get_config_key_value(key, max(1, int(1000 * seconds))))  # 0 would wait for ever
    except (tf.errors.DeadlineExceededError, tf.errors.NotFoundError):
        return None


def _refuses(address: str) -> bool:
    """Return whether the host answers that no process listens there; any other silence proves nothing."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_GLANCE).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
