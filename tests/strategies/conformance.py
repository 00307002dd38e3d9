"""What every strategy passes. A test of a strategy brings a job; each scenario must show in every process of it what it shows alone.

A job has ``rank``, ``size``, ``replicas`` (of a process) and ``ordered`` (whether what replicas bring keeps their order), and five
ways to use a metric: ``build``, ``update`` (a batch for each replica of the job, of which a process takes its own), ``update_here``
(this process alone, outside of any step), ``result`` and ``reset``.
"""

import hashlib

import numpy as np

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.exchange import join
from mergeable.metric import operations
from mergeable.metric.internals import internals

POOL = np.array([1e16, 1.0, -1e16, 2.0**53, 0.1, np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7e308, 1 / 3])


class Everything(mg.Metric):
    """Every exact state, and a value that tells any bit of any of them."""

    total = mg.Sum()
    count = mg.Count()
    per_class = mg.Count(shape=(3,))
    mean = mg.Mean()
    moments = mg.Moments()
    least = mg.Min()
    most = mg.Max()
    best = mg.ArgMax()
    worst = mg.ArgMin()
    histogram = mg.Histogram([-1.0, 0.0, 0.5, 1.0, 1e9])
    matrix = mg.ConfusionMatrix(3)
    words = mg.Counter()
    seen = mg.Set()
    by_key = mg.Keyed(mg.Mean())
    weighted = mg.Histogram([-1.0, 1.0], weighted=True)
    both = mg.Tuple(mg.Sum(), mg.Max())
    named = mg.Dict(total=mg.Sum(), least=mg.Min())
    lengths = mg.state(dict, merge=lambda mine, other: mine.update({k: mine.get(k, 0) + n for k, n in other.items()}))

    def update_state(self, x, labels):
        x, labels = np.asarray(x, np.float64), np.asarray(labels, np.int64)
        keys = [f"k{label}" for label in labels]
        self.total.update(x)
        self.count += len(x)
        self.per_class.update(np.bincount(labels, minlength=3))
        self.mean.update(x)
        self.moments.update(x)
        self.least.update(x)
        self.most.update(x)
        self.best.update(x, labels)
        self.worst.update(x, labels)
        self.histogram.update(x)
        self.matrix.update(labels, (labels + 1) % 3)
        self.words.update(keys)
        self.seen.update(keys)
        self.by_key.update(keys, x)
        self.weighted.update(x, 0.1 * labels)
        self.both.update(x)
        self.named.update(x)
        for key in keys:
            self.lengths[key] = self.lengths.get(key, 0) + len(key)

    def result(self):
        return _told({name: getattr(self, name) for name in internals(self).declaration.states})


class Texts(mg.Metric):
    """Strings of any length under keys that differ from replica to replica."""

    words = mg.state(set, merge=set.update)
    rows = mg.Rows("x")

    def update_state(self, x):
        x = np.asarray(x, np.float64)
        self.words.update(f"{'long' * int(v)}-{v}" for v in x)
        self.rows.update(x)

    def result(self):
        return _told((set(self.words), sorted(self.rows.result()["x"].tolist())))


class Wide(mg.Metric):
    """A megabyte of counts and a dict of some thousand keys."""

    cells = mg.Count(shape=(131_072,))
    keys = mg.Counter()

    def update_state(self, x):
        index = np.asarray(x, np.int64)
        self.cells.update(np.bincount(index * 1009 % 131_072, minlength=131_072))
        self.keys.update((index % 5000).tolist())

    def result(self):
        return _told((self.cells, self.keys))


class InOrder(mg.Metric):
    """A state that is not commutative: what comes first stays first."""

    seen = mg.state(list, merge=list.extend, commutative=False)

    def update_state(self, x):
        self.seen.extend(np.asarray(x).tolist())

    def result(self):
        return str(self.seen)


class Total(mg.Metric):
    """An exact sum."""

    total = mg.Sum()

    def update_state(self, x):
        self.total.update(np.asarray(x, np.float64))

    def result(self):
        return _told(self.total)


def _told(value):
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def parts(job, array, weights=None):
    """Cut an array into one part for each replica of the job, of lengths as the weights, in order."""
    n = job.size * job.replicas
    weights = np.ones(n) if weights is None else np.asarray([weights[i % len(weights)] for i in range(n)], float)
    edges = np.rint(np.cumsum(weights) / weights.sum() * len(array)).astype(int)
    return np.split(array, edges[:-1])


def rows(n, seed=0):
    """Return n numbers of the kind that float addition gets wrong, and n labels."""
    rng = np.random.default_rng(seed)
    return rng.choice(POOL, n), rng.integers(0, 3, n)


# The scenarios. Each returns what the user sees.


def any_split(job):
    """The same bits however the rows are cut."""
    metric = job.build(Everything)
    for seed in range(3):
        x, labels = rows(60, seed)
        job.update(metric, zip(parts(job, x), parts(job, labels), strict=True))
    return job.result(metric)


def uneven_shards(job):
    """Shards of very different sizes."""
    metric = job.build(Everything)
    x, labels = rows(97)
    weights = [1, 9, 3]
    job.update(metric, zip(parts(job, x, weights), parts(job, labels, weights), strict=True))
    return job.result(metric)


def empty_shards(job):
    """All rows on one replica, the others get batches without rows; and then none at all."""
    metric, untouched = job.build(Everything), job.build(Everything)
    x, labels = rows(20)
    weights = [0, 1] + [0] * 10 if job.size * job.replicas > 1 else [1]
    job.update(metric, zip(parts(job, x, weights), parts(job, labels, weights), strict=True))
    return job.result(metric), job.result(untouched)


def keys_and_lengths_differ(job):
    """Each replica has keys of its own, and states of other lengths."""
    metric = job.build(Texts)
    x = np.arange(30.0)
    job.update(metric, [[part] for part in parts(job, x, [1, 5, 2])])
    return job.result(metric)


def a_megabyte(job):
    """States of a megabyte."""
    metric = job.build(Wide)
    for seed in range(2):
        x = np.random.default_rng(seed).integers(0, 1_000_000, 20_000)
        job.update(metric, [[part] for part in parts(job, x)])
    return job.result(metric)


def worker_order(job):
    """A state that is not commutative keeps the order of the workers and their replicas."""
    metric = job.build(InOrder)
    job.update(metric, [[part] for part in parts(job, np.arange(40))])
    return job.result(metric)


def some_workers_only(job):
    """A metric that only the first worker has updated, outside of any step."""
    metric, other = job.build(Total), job.build(Total)
    x, _ = rows(10)
    if job.rank == 0:
        job.update_here(metric, [x])
    first = job.result(metric), job.result(other)
    if job.rank == 0:
        job.update_here(other, [x])
    return first, job.result(other), job.result(metric)


def read_twice(job):
    """Reading does not change what is read, and counts nothing twice."""
    metric = job.build(Everything)
    x, labels = rows(40)
    job.update(metric, zip(parts(job, x), parts(job, labels), strict=True))
    first, second = job.result(metric), job.result(metric)
    job.update(metric, zip(parts(job, x), parts(job, labels), strict=True))
    return first, second, job.result(metric)


def reset_between(job):
    """After a reset only the new rows count, in every epoch."""
    metric, seen = job.build(Everything), []
    for seed in range(3):
        job.reset(metric)
        x, labels = rows(30, seed)
        job.update(metric, zip(parts(job, x), parts(job, labels), strict=True))
        seen.append(job.result(metric))
    return seen


def several_metrics(job):
    """Several metrics, read in the order of their making and in another."""
    metrics = [job.build(cls) for cls in (Total, Texts, Total)]
    seen = []
    for seed in range(2):
        x = np.abs(rows(24, seed)[1]).astype(float)
        for metric in metrics:
            job.update(metric, [[part] for part in parts(job, x)])
        seen.append([job.result(metric) for metric in (metrics if seed else metrics[::-1])])
    return seen


def added_later(job):
    """A metric that is built after others were read."""
    early = job.build(Total)
    x, _ = rows(24)
    job.update(early, [[part] for part in parts(job, x)])
    first = job.result(early)
    late = job.build(Total)
    job.update(late, [[part] for part in parts(job, x)])
    return first, job.result(late), job.result(early)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        any_split,
        uneven_shards,
        empty_shards,
        keys_and_lengths_differ,
        a_megabyte,
        worker_order,
        some_workers_only,
        read_twice,
        reset_between,
        several_metrics,
        added_later,
    )
}


def shown(job):
    """Return what every scenario shows to this process of a job."""
    names = [name for name in SCENARIOS if job.ordered or name != "worker_order"]
    return {name: SCENARIOS[name](job) for name in names}


class Alone:
    """One process and one replica, without a framework: what all must equal."""

    rank, size, replicas, ordered = 0, 1, 1, True

    def build(self, cls):
        return cls()

    def update(self, metric, batches):
        for batch in batches:
            metric.update_state(*batch)

    def update_here(self, metric, batch):
        metric.update_state(*batch)

    def result(self, metric):
        return metric.result()

    def reset(self, metric):
        metric.reset_state()


class Joined(Alone):
    """A process of a job, whose metrics need no framework; each has a slot for each replica."""

    def __init__(self, processes, replicas=1):
        self.processes, self.rank, self.size, self.replicas = processes, processes.rank, processes.size, replicas

    def build(self, cls):
        metric = cls()
        join(metric, self.processes)
        return metric

    def update(self, metric, batches):
        mine = list(batches)[self.rank * self.replicas : (self.rank + 1) * self.replicas]
        for replica, batch in enumerate(mine):
            if len(batch[0]):
                operations.update(metric, replica, tuple(batch), {})
            else:
                operations.skip_update(metric)


def check(shown_by_process):
    """Compare what the processes of a job have shown with what one process alone shows."""
    expected = shown(Alone())
    assert shown_by_process
    for rank, seen in enumerate(shown_by_process):
        assert set(expected) - set(seen) <= {"worker_order"}
        for name, value in seen.items():
            assert expected[name] == value, f"{name}: worker {rank} shows {value}, one process shows {expected[name]}"
