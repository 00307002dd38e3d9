"""Recursive doubling: N processes merge their items in log2(N) swaps (Thakur, Rabenseifner and Gropp, 2005).

Each round doubles the block of neighbours whose merged item a process holds, so it receives log2(N) merged items where a
gather would bring N - 1. Neighbours merge in order, and both sides of a swap merge the same two items, so every process
ends with the same tree and non-commutative items keep the order of the processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def combine(
    rank: int,
    size: int,
    item: T,
    *,
    swap: Callable[[int, bytes], bytes],
    merge: Callable[[T, T], T],
    pack: Callable[[T], bytes],
    unpack: Callable[[bytes], T],
) -> T:
    """Return the items of all processes, merged in the order of their ranks. Every process calls this with its own item.

    ``swap(partner, payload)`` sends the payload to the partner and returns the partner's. Where ``size`` is no power of two, the first
    few processes pair up before the rounds: the first of a pair merges the other's item, and sends it the answer after the rounds.
    """
    doubled = 1 << (size.bit_length() - 1)  # the greatest power of two up to size
    pairs = size - doubled
    if rank < 2 * pairs and rank % 2:
        swap(rank - 1, pack(item))
        return unpack(swap(rank - 1, b""))
    if rank < 2 * pairs:
        item = merge(item, unpack(swap(rank + 1, b"")))
    place = rank // 2 if rank < 2 * pairs else rank - pairs
    step = 1
    while step < doubled:
        other = place ^ step
        theirs = unpack(swap(2 * other if other < pairs else other + pairs, pack(item)))
        item = merge(theirs, item) if other < place else merge(item, theirs)
        step *= 2
    if rank < 2 * pairs:
        swap(rank + 1, pack(item))
    return item
