"""What a process runs, as facts that can be compared with those of others: versions, classes, parameters."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from mergeable.canonical import canonical_bytes

Facts = dict[str, tuple[str, bytes]]


def facts(values: Mapping[str, Any]) -> Facts:
    """Return, by the same labels, the text and a digest of each value."""
    return {label: (reprlib.repr(value), _digest(value)) for label, value in values.items()}


def digest(known: Facts) -> bytes:
    """Return 16 bytes that are equal for equal facts."""
    return hashlib.blake2b(canonical_bytes({label: d for label, (_, d) in known.items()}), digest_size=16).digest()


def difference(known: Sequence[Facts]) -> str:
    """Say which worker differs in what from most of the others.

    Example:
        >>> two, odd = facts({"number of metrics": 2}), facts({"number of metrics": 3})
        >>> difference([two, odd, two])
        'the number of metrics is 3 on worker 1 and 2 on workers 0 and 2'
    """
    told = []
    for label in dict.fromkeys(label for one in known for label in one):
        holders: dict[tuple[str, bytes], list[int]] = {}
        for rank, one in enumerate(known):
            if label in one:
                holders.setdefault(one[label], []).append(rank)
        if len(holders) > 1:
            rarest_first = sorted(holders.items(), key=lambda item: (len(item[1]), [-rank for rank in item[1]]))
            same_text = len({text for text, _ in holders}) < len(holders)
            told.append(
                f"the {label} is "
                + " and ".join(
                    f"{text}{f' (digest {d.hex()[:6]})' if same_text else ''} on {_workers(ranks)}"
                    for (text, d), ranks in rarest_first
                )
            )
    return "; ".join(told)


def _digest(value: Any) -> bytes:
    try:
        content = canonical_bytes(value)
    except Exception:  # an attribute may be anything, a lock for instance; its class is a fact at least
        content = type(value).__qualname__.encode()
    return hashlib.blake2b(content, digest_size=16).digest()


def _workers(ranks: Sequence[int]) -> str:
    *others, last = map(str, ranks)
    return f"workers {', '.join(others)} and {last}" if others else f"worker {last}"
