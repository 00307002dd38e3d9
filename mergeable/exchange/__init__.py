"""What the processes of a job give each other."""

from mergeable.exchange.exchange import Exchange, Report, watch

__all__ = ["Exchange", "Report", "watch"]
