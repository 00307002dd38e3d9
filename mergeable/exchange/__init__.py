"""The exchange of metrics between the processes of a job: ``join`` a job, ``watch`` its exchanges."""

from mergeable.exchange.exchange import Exchange, Report, join, watch

__all__ = ["Exchange", "Report", "join", "watch"]
