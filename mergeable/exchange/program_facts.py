"""Facts of a process's program that must agree in a job, as versions, classes and parameters: a digest, and who differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mergeable.coverage import enumerated
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.parameters import compares_by_value
from mergeable.wording import shown

Facts = dict[str, tuple[str, bytes]]
"""By its label, the text of a value, and a digest."""


def digest(values: Mapping[str, Any]) -> bytes:
    """Return 16 bytes that are equal for equal values under equal labels.

    Values that are no numbers, strings, arrays or collections of them, which may differ between equal programs, count as the names of their classes.
    """
    plain = {label: value for label, value in values.items() if compares_by_value(value)}
    return _hash((plain, {label: _name(value) for label, value in values.items() if label not in plain}))


def facts(values: Mapping[str, Any]) -> Facts:
    """Return the text and a digest of each value."""
    return {
        label: (shown(value), _hash(value if compares_by_value(value) else _name(value))) for label, value in values.items()
    }


def disagreement(known: Sequence[Facts]) -> str:
    """Return a sentence of each fact that differs: its values, and the workers that have them, the fewest first.

    Example:
        >>> two, odd = facts({"number of metrics": 2}), facts({"number of metrics": 3})
        >>> disagreement([two, odd, two])
        'the number of metrics is 3 on worker 1 and 2 on workers 0 and 2'
    """
    sentences = []
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
            values = [f"{text} on {enumerated('worker', ranks)}" for text, (_, ranks) in zip(texts, rarest_first, strict=True)]
            sentences.append(f"the {label} is {' and '.join(values)}")
    return "; ".join(sentences)


def _name(value: Any) -> str:
    """Return the name of a class or function, or of the class of anything else."""
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _hash(value: Any) -> bytes:
    return hashlib.blake2b(canonical_bytes(value), digest_size=16).digest()
