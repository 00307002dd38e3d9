"""The laws of states and metrics, and the search for batches that break one."""

from mergeable.laws.check import ADVERSARIAL, NothingTested, check_metric, check_state, floats
from mergeable.laws.rules import LAWS, LawBroken

__all__ = ["ADVERSARIAL", "LAWS", "LawBroken", "NothingTested", "check_metric", "check_state", "floats"]
