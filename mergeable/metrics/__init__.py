"""Shelf 2: ready-made metrics, one family a file. ``mergeable.keras`` has the same names as Keras metrics."""

from mergeable.metrics.ranking import AUROC

__all__ = ["AUROC"]
