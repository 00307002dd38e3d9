"""What the processes of a job give each other."""

from mergeable.exchange.exchange import Exchange, Report, join, watch

__all__ = ["Exchange", "Report", "join", "watch"]
