"""What an exchange costs as workers grow: real ones on this machine, and simulated ones up to a thousand.

Run: python benchmarks/exchange.py. Real workers are processes on loopback that share this machine's cores, so their times
show the cost of the protocol, not of a network. For more workers, one process does what the busiest of them would do.
"""

import os
import statistics
import sys
import time

import workers

REPEATS = 15
os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")


def metrics():
    import numpy as np

    import mergeable as mg

    class Small(mg.PyMetric):
        total = mg.Sum()
        count = mg.Count()

        def update_state(self, x):
            self.total += x
            self.count += len(x)

        def result(self):
            return self.total / self.count

    class Wide(mg.PyMetric):
        cells = mg.Count(shape=(131_072,))

        def update_state(self, x):
            self.cells.update(np.full(131_072, len(x)))

        def result(self):
            return self.cells.result()[0]

    return Small, Wide


def worker():
    """One worker: exchange 1, 5 and 20 small metrics, and a state of a megabyte."""
    import tensorflow as tf

    from mergeable.exchange import watch
    from mergeable.strategies import multi_worker

    strategy = multi_worker.connect()
    small, wide = metrics()
    found = {}
    for name, cls, n in (
        ("1 metric", small, 1),
        ("5 metrics", small, 5),
        ("20 metrics", small, 20),
        ("1 MiB of counts", wide, 1),
    ):
        with strategy.scope():
            several = [cls(name=f"{cls.__name__}{i}") for i in range(n)]
        reports = []
        for _ in range(REPEATS):
            for metric in several:
                metric.update_state(tf.ones([8]))
            with watch(reports.append):
                for metric in several:
                    metric.result()
        found[name] = (
            len(reports) / REPEATS,
            statistics.median(r.received for r in reports) if reports else 0,
            1e3 * statistics.median(r.seconds for r in reports) if reports else 0.0,
        )
    workers.tell(found)


def simulated(size, state):
    """Return the bytes that the busiest process receives, by doubling and by a gather, and the seconds that its merges take."""
    from mergeable.encoding.wire import from_bytes, to_bytes

    payload = to_bytes(state)
    rounds = (size - 1).bit_length()
    began = time.perf_counter()
    mine = state.empty()
    for _ in range(rounds):
        to_bytes(mine)
        mine.merge(from_bytes(payload))
    doubling = time.perf_counter() - began
    began = time.perf_counter()
    mine = state.empty()
    for _ in range(size - 1):
        mine.merge(from_bytes(payload))
    return rounds * len(payload), (size - 1) * len(payload), doubling, time.perf_counter() - began


def main():
    import numpy as np

    import mergeable as mg

    print("real workers on this machine: exchanges, bytes that the busiest worker receives, milliseconds (median)")
    for size in (1, 2, 3, 4):
        found = workers.run(__file__, size, "worker")
        for name in found[0]:
            busiest = max(found, key=lambda one, name=name: one[name][1])[name]
            print(f"{size} workers  {name:16} {busiest[0]:4.1f} {busiest[1]:12,.0f} B {busiest[2]:9.2f} ms")
    wide = mg.Count(shape=(131_072,))
    wide.update(np.ones(131_072, np.int64))
    print("\nsimulated, a state of 1 MiB: bytes received and time of merging, by doubling and by a gather")
    for size in (2, 4, 8, 16, 64, 256, 1000):
        doubled, gathered, merging, merging_all = simulated(size, wide)
        print(
            f"{size:5} workers {doubled / 2**20:7.1f} MiB {1e3 * merging:8.1f} ms, gather {gathered / 2**20:7.1f} MiB "
            f"{1e3 * merging_all:8.1f} ms, ratio {gathered / doubled:6.1f}"
        )


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
