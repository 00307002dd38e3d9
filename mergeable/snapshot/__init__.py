"""Snapshots: what a metric held at one moment, its file, and the merge of many."""

from mergeable.snapshot.merging import merge
from mergeable.snapshot.snapshot import SUFFIX, Snapshot, load, read_snapshot

__all__ = ["SUFFIX", "Snapshot", "load", "merge", "read_snapshot"]
