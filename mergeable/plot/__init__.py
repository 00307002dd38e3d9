"""Pictures of states."""

from mergeable.plot.plot import KINDS, plot, possible

__all__ = ["KINDS", "plot", "possible"]
