"""Workers of MultiWorkerMirroredStrategy: they arrive at an exchange, and then swap bytes in pairs, by TensorFlow's collectives.

Bytes travel only when all workers have arrived (``arrival.py``), because a collective that fails makes every later one fail.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import operator
import pickle
import socket
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, final

import numpy as np
import tensorflow as tf

from mergeable.errors import ExchangeTimeout
from mergeable.exchange import doubling
from mergeable.strategies.local import TensorFlowReplicas
from mergeable.strategies.multi_worker.arrival import Arrival, answers, host_port
from mergeable.strategies.multi_worker.keras_fit import disable_fit, enable_fit, hint_at
from mergeable.strategy import Processes
from mergeable.wording import shown

__all__ = ["MultiWorker", "connect", "disable_fit", "enable_fit", "set_timeout"]

T = TypeVar("T")

INLINE_BYTES = 2048
"""The bytes that the first collective of a swap carries each way; the rest of a longer payload follows in its exact length."""

PIECE_BYTES = 4 << 20
"""The bytes of a piece in which the rest follows: 200 MB in one collective took four times as long as in pieces."""

_WORD = 8  # collectives carry int64
_HEAD = INLINE_BYTES - 2 * _WORD  # after the sender's rank and the payload's length
_GROUPS = 0x6D670000  # group keys from here on; TensorFlow counts its own up from 1

_steps: defaultdict[int, Iterator[int]] = defaultdict(lambda: itertools.count(1))  # of each group
_known: weakref.WeakKeyDictionary[Any, MultiWorker] = weakref.WeakKeyDictionary()


@final
class MultiWorker(TensorFlowReplicas):
    """The replicas of a worker, which meet as in one process; the job's ``processes`` are the workers."""

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy) -> None:
        resolver = strategy.cluster_resolver
        tasks = _tasks(resolver)
        if len(tasks) > 1:
            self.processes = Workers(resolver, tasks)
            hint_at(strategy)

    @classmethod
    def serving(cls, strategy: Any) -> MultiWorker | None:
        """Return the replicas of a MultiWorkerMirroredStrategy, the same ones at every call."""
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return None
        if strategy not in _known:
            _known[strategy] = cls(strategy)
        return _known[strategy]


@final
class Workers(Processes):
    """The workers of a job, which arrive (``Arrival``) and then swap bytes in collectives of two."""

    def __init__(self, resolver: Any, tasks: Mapping[str, str]) -> None:
        self._addresses = list(tasks.values())
        self.size = len(tasks)
        self.rank = list(tasks).index(f"{resolver.task_type} {resolver.task_id}")
        self._device = f"/job:{resolver.task_type}/replica:0/task:{resolver.task_id}/device:CPU:0"
        self._arrival = Arrival(self.rank, self._addresses)

    def gather(self, payload: bytes, about: str) -> list[bytes]:
        """Return the bytes of every worker, in the order of their ranks: the chief, then the workers."""
        return self.combine([payload], about, merge=operator.add, pack=pickle.dumps, unpack=pickle.loads)

    def combine(
        self, item: T, about: str, *, merge: Callable[[T, T], T], pack: Callable[[T], bytes], unpack: Callable[[bytes], T]
    ) -> T:
        """Merge the items of all workers, in their order, in log2(size) swaps."""
        self._arrival.meet(about)
        return doubling.combine(self.rank, self.size, item, swap=self._swap, merge=merge, pack=pack, unpack=unpack)

    # Swapping: collectives of two.

    def _swap(self, partner: int, payload: bytes) -> bytes:
        """Send a partner the payload, and return the partner's."""
        try:
            return self._swapped(partner, payload)
        except tf.errors.OpError as error:
            lost = self._arrival.lost(partner)
            raise ExchangeTimeout(
                f"worker {self.rank} of {self.size} lost worker {lost} ({self._addresses[lost]}) in the middle of an exchange "
                f"({type(error).__name__}). The states are as before. TensorFlow lets no collective of this job work from now on: "
                "restart it."
            ) from error

    def _swapped(self, partner: int, payload: bytes) -> bytes:
        group = _GROUPS + min(self.rank, partner) * self.size + max(self.rank, partner)
        with tf.device(self._device):
            head = np.concatenate([[self.rank, len(payload)], _words(payload[:_HEAD].ljust(_HEAD, b"\0"))])
            both = self._collective(tf.raw_ops.CollectiveGatherV2, group, input=head[None], ordering_token=[]).numpy()
            theirs = both[int(both[1, 0] == partner)]
            length = int(theirs[1])
            received = io.BytesIO()  # which gives its bytes away without a copy
            received.write(theirs[2:].tobytes()[:length])
            for sender in sorted((self.rank, partner)):
                for start in range(_HEAD, len(payload) if sender == self.rank else length, PIECE_BYTES):
                    if sender == self.rank:
                        words = _words(memoryview(payload)[start : start + PIECE_BYTES])
                        self._collective(tf.raw_ops.CollectiveBcastSendV2, group, input=words)
                        self.sent += words.nbytes
                    else:
                        nbytes = min(PIECE_BYTES, length - start)
                        shape = [-(-nbytes // _WORD)]
                        piece = memoryview(self._collective(tf.raw_ops.CollectiveBcastRecvV2, group, shape=shape, T=tf.int64))
                        self.received += piece.nbytes
                        received.write(piece.cast("B")[:nbytes])
        self.sent += head.nbytes
        self.received += theirs.nbytes
        return received.getvalue()

    def _collective(self, op: Callable[..., Any], group: int, **arguments: Any) -> Any:
        return op(**arguments, group_size=2, group_key=group, instance_key=next(_steps[group]), timeout_seconds=Arrival.timeout)


def connect(timeout_seconds: float = 60.0, **options: Any) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Return ``tf.distribute.MultiWorkerMirroredStrategy(**options)`` once every peer that ``TF_CONFIG`` names is there.

    TensorFlow waits for peers (in a trial it still did after 49 minutes) and cannot be interrupted. Here a peer that nobody can reach is named in time.

    While it waits, this process listens at the address that ``TF_CONFIG`` names for it, and reads nothing. The server that TensorFlow
    starts then listens at every address of the machine and asks nobody who they are, and workers unpickle what peers send: whoever
    reaches a worker's port can run code in the job. Keep those ports to the job's machines, by a firewall or a network of their own.

    Raises:
        ExchangeTimeout: a peer cannot be reached; the message names it.
    """
    resolver = options.get("cluster_resolver") or tf.distribute.cluster_resolver.TFConfigClusterResolver()
    peers = _tasks(resolver)
    own = peers.pop(f"{resolver.task_type} {resolver.task_id}", None)
    deadline = time.monotonic() + timeout_seconds
    with _listening(own) if peers and own else contextlib.nullcontext():
        while peers:
            peers = {name: address for name, address in peers.items() if not answers(address)}
            if peers and time.monotonic() > deadline:
                names = ", ".join(f"{name} ({address})" for name, address in peers.items())
                raise ExchangeTimeout(
                    f"multi_worker.connect: {resolver.task_type} {resolver.task_id} ({own}) waited {timeout_seconds:g} s, expected "
                    f"all peers of TF_CONFIG, and could not reach {names}. Start them, or correct their addresses."
                )
            time.sleep(0.1 if peers else 0)
    return hint_at(tf.distribute.MultiWorkerMirroredStrategy(**options))


def set_timeout(seconds: float) -> None:
    """Set the seconds that a worker waits for the others at an exchange; 600 at first.

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
        raise ValueError(f"multi_worker.set_timeout: got {shown(seconds)}, expected a number of seconds above 0.")
    Arrival.timeout = float(seconds)


def _tasks(resolver: Any) -> dict[str, str]:
    """Return the addresses of a job's workers by TensorFlow's names of them, in the order of their ranks."""
    jobs = resolver.cluster_spec().as_dict()
    return {f"{job} {i}": address for job in ("chief", "worker") for i, address in enumerate(jobs.get(job, ()))}


def _words(payload: bytes | memoryview) -> np.ndarray:
    """Return the bytes as int64 words: a view, or, where the last word is not a whole one, a copy filled up with zeros."""
    missing = -len(payload) % _WORD
    return np.frombuffer(bytes(payload) + bytes(missing) if missing else payload, np.int64)


@contextlib.contextmanager
def _listening(address: str) -> Iterator[list[socket.socket]]:
    """Listen at the address that TensorFlow's server will take, so that peers can tell that this process has come.

    That is at no other of this machine's addresses, unless it has none of that name, as behind a translation of addresses.
    """
    host, port = host_port(address)
    try:
        places = {(family, at[0]) for family, *_, at in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except socket.gaierror:
        places = set()
    with contextlib.ExitStack() as open_ones:
        listening = []
        for family, place in sorted(places):
            try:
                listening.append(open_ones.enter_context(socket.create_server((place, port), family=family, backlog=1024)))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
        if not listening:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            everywhere = socket.create_server(("", port), family=family, backlog=1024, dualstack_ipv6=both)
            listening.append(open_ones.enter_context(everywhere))
        yield listening
