"""Signatures of updates: the arguments without a default, and the argument that holds weights."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

Place = tuple[int, str]
"""The place of an argument in an update: its position after ``self``, and its name."""


@functools.lru_cache(maxsize=256)
def needed(update: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of an update's arguments that have a position and no default."""
    parameters = list(inspect.signature(update).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


@functools.lru_cache(maxsize=256)
def weights_among(update: Callable[..., Any]) -> Place | None:
    """Return the place of an update's argument ``weights`` or ``sample_weight``; None where there is none."""
    names = list(inspect.signature(update).parameters)[1:]
    return next(((i, name) for i, name in enumerate(names) if name in ("weights", "sample_weight")), None)


def behind(place: Place | None) -> Place | None:
    """Return the place where one argument more comes first."""
    return None if place is None else (place[0] + 1, place[1])
