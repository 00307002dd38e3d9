"""Idea 1: a state is an empty value and an associative merge."""

from mergeable.state.state import State
from mergeable.state.state import revived as _revived  # noqa: F401 - the name in older pickles

__all__ = ["State"]
