"""The HyperLogLog sketch: the number of distinct keys, in a few kilobytes."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import hashes, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.state import State
from mergeable.state.copy_on_write import room, shared, writable
from mergeable.state.parameters import as_whole

_LOWEST, _HIGHEST = 4, 18  # precisions
_NORMAL = 1.959964  # a normal variable lies within so many standard deviations with a probability of 95 %
_ALPHA = 0.7213475204444817  # 1 / (2 ln 2)


@final
class HyperLogLog(State):
    """How many distinct keys came, from 2**precision registers of one byte.

    A register holds the largest number of zeros that a hash of its share of the keys ends in, plus one. The result is a
    function of how many registers hold what, so it does not depend on the order of updates and merges. Keys as in ``Counter``.
    Empty: 0.0. Exact (the registers are a function of the set of keys), commutative, idempotent.

    The relative standard error is 1.04 / sqrt(2**precision), or less where few keys came: 1.6 % for 12.
    Memory: 2**precision bytes (4 KiB for 12), plus a buffer of at most 128 KiB. Beside it, ``BottomK`` takes 60 times the
    memory for the same error, and has a sample.

    ``update(keys)``: a list or an array of keys.

    Raises:
        TypeError: a key is not plain. ValueError: ``precision`` is not from 4 to 18.
        IncompatibleStates: on merging with another precision or seed, which would lose registers.

    Example:
        >>> users = HyperLogLog()
        >>> users.update(range(100_000)); users.update(range(50_000))
        >>> 97_000 < users.result() < 103_000
        True

    Source: Flajolet, Fusy, Gandouet, Meunier 2007; Ertl 2017, arXiv:1702.01284 (the improved raw estimator).
    """

    idempotent = True
    _undoes_updates = True
    _mutated = ("_registers",)

    def __init__(self, precision: int = 12, seed: int = 0) -> None:
        self.precision, self.seed = _precision(precision), hashes.seed_of(seed, "HyperLogLog")
        self._registers = np.zeros(1 << self.precision, np.uint8)

    @property
    def parameters(self) -> dict[str, Any]:
        """``precision`` and ``seed``."""
        return {"precision": self.precision, "seed": self.seed}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return one number for eight registers."""
        return 1 << _precision(parameters["precision"]) >> 3

    def update(self, items: Any) -> None:
        """Take keys (n,)."""
        labels = hashes.as_keys(items, "HyperLogLog.update")
        if labels.size:
            self.buffer(labels)

    def absorb(self, labels: np.ndarray) -> None:
        """Take buffered keys (n,)."""
        found = hashes.of_keys(labels, self.seed)
        places = (found >> np.uint64(64 - self.precision)).astype(np.int64)
        rest = found | np.uint64(1 << (64 - self.precision))  # so that counting ends
        lowest = (rest & (~rest + np.uint64(1))).astype(np.float64)  # a power of two, which a float64 holds
        zeros = (lowest.view(np.int64) >> 52) - 1023
        larger = np.flatnonzero(zeros >= self._registers[places])
        if larger.size:
            self._registers = writable(self._registers)
            np.maximum.at(self._registers, places[larger], (zeros[larger] + 1).astype(np.uint8))

    def merge(self, other: HyperLogLog) -> None:
        """Take the larger of both sides' registers, one by one."""
        self._registers = np.maximum(self._registers, other._registers, out=room(self._registers))

    def result(self) -> float:
        """Return the estimated number of distinct keys."""
        return self.estimate().value

    def count(self) -> float:
        """Return the estimated number of distinct keys."""
        return self.estimate().value

    def estimate(self) -> Estimate:
        """Return the number of distinct keys, and the range that holds it with a probability of about 95 %."""
        self.flush()
        size, longest = self._registers.size, 64 - self.precision
        counts = np.bincount(self._registers, minlength=longest + 2).tolist()
        if counts[0] == size:
            return Estimate(0.0, 0.0, 0.0)
        z = size * _tau(1 - counts[longest + 1] / size)
        for count in counts[longest:0:-1]:
            z = 0.5 * (z + count)
        z += size * _sigma(counts[0] / size)
        value = _ALPHA * size * size / z if z else math.inf  # registers that no real keys fill hold all that they can
        error = _NORMAL * 1.04 / math.sqrt(size)
        return Estimate(value, value / (1 + error), value / (1 - error))

    def to_data(self) -> Any:
        """Return the registers."""
        self.flush()
        return {"registers": shared(self._registers)}

    def from_data(self, saved: Any) -> None:
        """Take over the registers."""
        (registers,) = saved_values.fields(saved, "registers")
        self._registers = shared(saved_values.array(registers, np.uint8, self._registers.shape))
        saved_values.whole(int(registers.max()), 0, 64 - self.precision + 1)


def _precision(value: Any) -> int:
    hint = ". The error is 1.04 / sqrt(2**precision)"
    return as_whole(value, "HyperLogLog: got the precision {}", _LOWEST, _HIGHEST, hint)


def _sigma(x: float) -> float:
    """Return x + sum of x^(2^k) 2^(k - 1) over k from 1, for x below 1: what empty registers say."""
    total, power, scale, before = x, x, 1.0, -1.0
    while total != before:
        before = total
        power *= power
        total += power * scale
        scale += scale
    return total


def _tau(x: float) -> float:
    """Return (1 - x - sum of (1 - x^(2^-k))^2 2^-k over k from 1) / 3: what full registers say."""
    if x in (0.0, 1.0):
        return 0.0
    total, root, scale, before = 1 - x, x, 1.0, -1.0
    while total != before:
        before = total
        root = math.sqrt(root)
        scale *= 0.5
        total -= (1 - root) * (1 - root) * scale
    return total / 3
