"""A job of many processes in one: each is a thread, and bytes travel through queues. The exchange runs on it as it is."""

import collections
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

from mergeable.errors import ExchangeTimeout
from mergeable.exchange import doubling
from mergeable.strategy import Processes
from tests.effort import HANG


class Wire:
    """What the processes of a simulated job share."""

    def __init__(self, size, timeout=HANG):
        self.size, self.timeout = size, timeout
        self.lines = collections.defaultdict(queue.SimpleQueue)
        self.lock = threading.Lock()

    def line(self, sender, receiver):
        """Return the queue between two processes; a thousand processes do not all talk to each other."""
        with self.lock:
            return self.lines[sender, receiver]


class Simulated(Processes):
    """One process of a simulated job; ``by_doubling=False`` keeps what ``Processes`` does where all an engine has is a gather."""

    def __init__(self, wire, rank, *, by_doubling=True):
        self.wire, self.rank, self.size, self.by_doubling = wire, rank, wire.size, by_doubling

    def gather(self, payload, about):
        for partner in range(self.size):
            self.send(partner, payload)
        return [self.receive(partner) for partner in range(self.size)]

    def combine(self, item, about, *, merge, pack, unpack):
        if not self.by_doubling:
            return super().combine(item, about, merge=merge, pack=pack, unpack=unpack)
        return doubling.combine(self.rank, self.size, item, swap=self.swap, merge=merge, pack=pack, unpack=unpack)

    def swap(self, partner, payload):
        self.send(partner, payload)
        return self.receive(partner)

    def send(self, partner, payload):
        self.sent += len(payload)
        self.wire.line(self.rank, partner).put(payload)

    def receive(self, partner):
        try:
            payload = self.wire.line(partner, self.rank).get(timeout=self.wire.timeout)
        except queue.Empty:
            raise ExchangeTimeout(f"worker {self.rank} of {self.size} missed worker {partner}") from None
        self.received += len(payload)
        return payload


def run(size, program, *, timeout=HANG, by_doubling=True):
    """Run ``program(processes)`` in every process of a job; return what each gives, or the exception that it raises."""
    wire = Wire(size, timeout)

    def one(rank):
        try:
            return program(Simulated(wire, rank, by_doubling=by_doubling))
        except Exception as error:
            return error

    threading.stack_size(256 * 1024)  # a thousand threads
    try:
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, range(size)))
    finally:
        threading.stack_size(0)
