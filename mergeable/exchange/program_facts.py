"""What a process runs, as facts that can be compared with those of others: versions, classes, parameters."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from mergeable.coverage import listed
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.parameters import compares_by_value

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
        holders: dict[bytes, list[int]] = {}
        for rank, one in enumerate(known):
            if label in one:
                holders.setdefault(one[label][1], []).append(rank)
        if len(holders) > 1:
            rarest_first = sorted(holders.items(), key=lambda item: (len(item[1]), [-rank for rank in item[1]]))
            texts = [known[ranks[0]][label][0] for _, ranks in rarest_first]
            if len(set(texts)) < len(texts):  # long values are cut
                texts = [f"{text} (digest {found.hex()[:6]})" for text, (found, _) in zip(texts, rarest_first, strict=True)]
            values = [f"{text} on {listed('worker', ranks)}" for text, (_, ranks) in zip(texts, rarest_first, strict=True)]
            told.append(f"the {label} is {' and '.join(values)}")
    return "; ".join(told)


def _digest(value: Any) -> bytes:
    """Return a digest of a plain value; of anything else, which may differ between equal programs, the name of its class."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return hashlib.blake2b(canonical_bytes(value) if compares_by_value(value) else name.encode(), digest_size=16).digest()
