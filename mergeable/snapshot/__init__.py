"""Snapshots: what a metric held at one moment, its file, and the merge of many."""

from mergeable.snapshot.merging import merge
from mergeable.snapshot.snapshot import SUFFIX, Snapshot, load, opened

__all__ = ["SUFFIX", "Snapshot", "load", "merge", "opened"]
