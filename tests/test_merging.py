"""Many snapshots become one: the bits of one process, in the memory of two, with nothing twice and every gap named."""

import copy
import gc
import itertools
import math
import random
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mergeable as mg
from mergeable.canonical import canonical_bytes
from tests import register
from tests.test_snapshot import Dropped, Spread, Vocabulary, fed, spread

ROOT = Path(__file__).parent.parent
VALUES = [1e16, 1.0, -1e16, 0.1, -0.0, 5e-324, math.nan, math.inf, 2.0**53, 0.3]


def shards(folder, n=10, **arguments):
    """Write n files of one update each, and return their paths and what one process holds."""
    paths, whole = [], Spread(**arguments)
    for i in range(n):
        batch = ([VALUES[i % len(VALUES)], i / n], [f"w{i % 7}"])
        paths.append(folder / f"{i:05d}.mg")
        fed(Spread(**arguments), batch).snapshot({"shard": i}).save(paths[-1])
        whole.update_state(*batch)
    return paths, whole


def value(snapshot):
    return canonical_bytes(snapshot.states)


def test_all_files_are_one_process(tmp_path):
    """Files merge to the bits of one process; coverage and metadata hold each of them."""
    paths, whole = shards(tmp_path)
    merged = mg.merge(paths)

    assert canonical_bytes(whole._fold()) == value(merged)
    assert (10, 20, 10) == (merged.coverage.updates, merged.coverage.rows, len(merged.origins))
    assert list(range(10)) == sorted(row["shard"] for row in merged.metadata)
    assert all([row["origins"][0]] == list(mg.load(paths[row["shard"]]).origins) for row in merged.metadata)


def test_any_order_and_any_tree_are_the_same_file(tmp_path):
    """Streams in any order, and trees of merges of merged files, are the same bytes, with the same table of metadata."""
    paths, _ = shards(tmp_path)
    expected = mg.merge(paths).to_bytes()
    rng = random.Random(0)
    for _ in range(5):
        pieces = [mg.load(path) for path in rng.sample(paths, len(paths))]
        assert expected == mg.merge(pieces).to_bytes()
        while len(pieces) > 1:
            i = rng.randrange(len(pieces) - 1)
            pieces[i : i + 2] = [mg.merge(pieces[i : i + 2])]
        assert expected == pieces[0].to_bytes()


def test_metrics_snapshots_and_paths_mix(tmp_path):
    """Pieces of every kind merge in their order, and stay as they are."""
    paths, whole = shards(tmp_path, 4)
    metric = Spread()
    metric.restore(paths[1])
    pieces = [str(paths[0]), metric, mg.load(paths[2]), paths[3]]
    before = metric.snapshot().to_bytes(), pieces[2].to_bytes()

    assert canonical_bytes(whole._fold()) == value(mg.merge(iter(pieces)))
    assert before == (metric.snapshot().to_bytes(), pieces[2].to_bytes())


@pytest.mark.parametrize("name", register.ROWS)
def test_every_state_merges_from_files(name):
    """Every state of the register, cut into files, is the bits of one that took everything, or within its bound; order is kept."""
    row = register.ROWS[name]

    class Holder(mg.Metric):
        held = mg.state(row.state).empty()

        def update_state(self, batch):
            row.take(self._view["held"], batch)

        def result(self):
            return 0

    batches = [*row.fixed, *row.fixed]
    parts = [fed(Holder(), (batch,)) for batch in batches]
    merged = mg.merge([mg.Snapshot.from_bytes(part.snapshot().to_bytes()) for part in parts], metric=Holder())
    whole = fed(Holder(), *((batch,) for batch in batches))

    if row.within is not None:
        assert [True, True] == [row.within(states["held"], batches) for states in (merged.states, whole._fold())]
    else:
        assert canonical_bytes(whole._fold()) == value(merged)


def test_processes_give_the_same_file(tmp_path):
    """On several cores the file is the same, with pieces of other kinds between the files, and with states of one's own."""
    paths, _ = shards(tmp_path, 30)
    seen = []
    merged = mg.merge(paths, processes=2, progress=lambda n, size: seen.append((n, size)))

    assert mg.merge(paths).to_bytes() == merged.to_bytes()
    assert (30, sum(path.stat().st_size for path in paths)) == tuple(map(sum, zip(*seen, strict=True)))
    mixed = [*paths[:9], mg.load(paths[9]), *paths[10:20], mg.merge(paths[20:])]
    assert merged.to_bytes() == mg.merge(mixed, processes=2).to_bytes()


def test_processes_need_a_main_part(tmp_path):
    """Where a program's main part would run again in each process, the error says what to do."""
    shards(tmp_path, 12)
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import sys, pathlib
        sys.path.insert(0, {str(ROOT)!r})
        import mergeable as mg
        try:
            print(mg.merge(sorted(pathlib.Path({str(tmp_path)!r}).glob("*.mg")), processes=2).coverage)
        except mg.MergeableError as error:
            print("TEXT", error)
        """)
    )
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)

    assert (
        "TEXT merge: one of processes=2 ended by itself. A program that starts processes keeps its main part under if __name__"
        in (run.stdout)
    )


# Nothing twice.


def test_the_same_piece_twice_is_refused(tmp_path):
    """A file given twice, and one that is part of another, is refused with both names."""
    paths, _ = shards(tmp_path, 3)
    mg.merge(paths[:2]).save(tmp_path / "both.mg")

    for pieces in ([paths[0], paths[1], paths[0]], [paths[0], tmp_path / "both.mg"]):
        for processes in (1, 2):
            with pytest.raises(
                mg.DuplicateOrigin, match=rf"came twice, in .*{pieces[0].name} and in .*{pieces[-1].name}; its updates"
            ):
                mg.merge(pieces, processes=processes)


def test_the_newer_one_wins_when_asked(tmp_path):
    """A later snapshot of the same run, and a merged one, stand for what they cover; what was left out is told."""
    paths, _ = shards(tmp_path, 3)
    run = fed(Spread(), ([0.5], ["x"]))
    run.snapshot().save(tmp_path / "run-1.mg")
    run.update_state([0.25], ["y"])
    run.snapshot().save(tmp_path / "run-2.mg")
    mg.merge(paths[:2]).save(tmp_path / "both.mg")
    pieces = [*paths, tmp_path / "run-1.mg", tmp_path / "both.mg", tmp_path / "run-2.mg", paths[2]]
    told = []
    for order in (pieces, pieces[::-1]):
        told.clear()
        merged = mg.merge(order, on_duplicate="newer", report=lambda *args: told.append(args))
        assert value(mg.merge([*paths, run])) == value(merged)
        assert 5 == merged.coverage.updates
        names = sorted(Path(source).name for source, _ in told)
        assert ["00000.mg", "00001.mg", "00002.mg", "run-1.mg"] == names
        assert dict(told)[str(tmp_path / "run-1.mg")].endswith("run-2.mg covers it")


def test_forks_are_refused_even_then(tmp_path):
    """Two metrics that went on from one snapshot share its updates, and neither covers the other."""
    start = spread().snapshot()
    forks = [Spread(), Spread()]
    for fork in forks:
        fork.restore(start)
        fork.update_state([0.5])

    with pytest.raises(mg.DuplicateOrigin, match="came twice"):
        mg.merge(forks, on_duplicate="newer")
    assert 3 == mg.merge([start, forks[0]], on_duplicate="newer").coverage.updates


# Every gap is named.


def test_bad_files_are_named_and_counted(tmp_path):
    """With keep_going a bad file is reported, named in the coverage, and the rest is what it would be without it."""
    paths, _ = shards(tmp_path, 6)
    data = bytearray(paths[1].read_bytes())
    data[len(data) // 2] ^= 1
    paths[1].write_bytes(data)
    paths[3].unlink()
    spread(edges=(0.0, 9.0)).snapshot().save(paths[5])
    good = [paths[0], paths[2], paths[4]]
    for processes in (1, 2):
        told = {}
        merged = mg.merge(paths, keep_going=True, processes=processes, report=told.__setitem__)
        assert value(mg.merge(good)) == value(merged)
        assert tuple(str(paths[i]) for i in (1, 3, 5)) == merged.coverage.missing
        assert {str(paths[i]) for i in (1, 3, 5)} == told.keys()
        assert "No such file" in told[str(paths[3])]
        assert "edges is" in told[str(paths[5])]
        assert "3 updates, 6 rows, 3 origins, replica 0, 3 pieces missing" == str(merged.coverage)
    for bad, error in ((1, mg.SnapshotError), (3, FileNotFoundError), (5, mg.IncompatibleStates)):
        with pytest.raises(error):
            mg.merge([paths[0], paths[bad]])


def test_a_gap_stays_named(tmp_path):
    """A merged file says what it misses, and so does every merge, metric and copy of it."""
    paths, _ = shards(tmp_path, 2)
    (tmp_path / "bad.mg").write_bytes(b"not a zip file")
    mg.merge([*paths, tmp_path / "bad.mg"], keep_going=True).save(tmp_path / "all.mg")
    back = mg.load(tmp_path / "all.mg")
    restored, merged = Spread(), spread()
    restored.restore(back)
    merged.merge_state([back])
    gap = (str(tmp_path / "bad.mg"),)

    assert gap == back.coverage.missing == restored.coverage.missing == merged.coverage.missing
    assert gap == mg.merge([spread(), back]).coverage.missing
    assert gap == copy.deepcopy(restored).snapshot().coverage.missing
    merged.reset_state()
    assert () == merged.coverage.missing


def test_a_bad_first_file_decides_nothing(tmp_path):
    """The first file that can be read says what the others must be like."""
    paths, _ = shards(tmp_path, 5)
    paths[0].write_bytes(b"")
    for processes in (1, 2):
        merged = mg.merge(paths, keep_going=True, processes=processes)
        assert (4, 1) == (merged.coverage.updates, len(merged.coverage.missing))


def test_a_merge_that_fails_half_way_is_undone(tmp_path):
    """With keep_going a piece whose second state does not merge leaves nothing of its first one."""

    class Fussy(mg.State):
        def __init__(self):
            self.n = 0

        def update(self, n):
            self.n += n

        def merge(self, other):
            if self.n and other.n == 13:
                raise RuntimeError("not 13")
            self.n += other.n

        def result(self):
            return self.n

    class Both(mg.Metric):
        total = mg.Sum()
        cells = mg.Count(shape=(2,))
        fussy = Fussy()

        def update_state(self, n):
            self.total += n
            self.cells.update([n, 1])
            self._view["fussy"].update(n)

        def result(self):
            return self.total.result(), self.cells.result().tolist(), self.fussy.result()

    parts = [fed(Both(), (n,)) for n in (1, 13, 2)]
    told = {}
    merged = mg.merge(parts, keep_going=True, report=told.__setitem__)

    assert (3.0, [3, 2], 3) == merged.result(Both)
    assert [text.endswith("RuntimeError: not 13") for text in told.values()] == [True]
    with pytest.raises(mg.IncompatibleStates, match="RuntimeError: not 13"):
        mg.merge(parts)


# What is refused.


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: mg.merge([]), ValueError, "merge: got no pieces, expected one or more. Look at the pattern or the folder"),
        (
            lambda: mg.merge("a.mg"),
            TypeError,
            r"merge: got one piece, 'a.mg', expected a list of them. Write merge\(\[\.\.\.\]\)",
        ),
        (lambda: mg.merge(spread()), TypeError, "merge: got one piece, <Spread"),
        (lambda: mg.merge([3]), TypeError, "merge: got 3, expected metrics, snapshots, or paths of files"),
        (lambda: mg.merge([], on_duplicate="skip"), ValueError, "got on_duplicate='skip', expected 'error' or 'newer'"),
        (lambda: mg.merge([], processes=0), ValueError, "got processes=0, expected at least 1"),
        (
            lambda: mg.merge([spread(), fed(Vocabulary(), ([1],))]),
            mg.IncompatibleStates,
            "got a Vocabulary, expected a tests.Spread",
        ),
        (lambda: mg.merge([fed(Dropped(), ([1],))]), mg.UndeclaredState, "Merge it with metric.merge_state"),
        (
            lambda: mg.merge([__file__], keep_going=True),
            ValueError,
            "merge: got 1 pieces, of which none could be read, expected one or more that can",
        ),
    ],
    ids=["nothing", "a path", "a metric", "a number", "on_duplicate", "processes", "another metric", "undeclared", "all bad"],
)
def test_refused(call, error, match):
    """What cannot be merged is refused in words."""
    with pytest.raises(error, match=match):
        call()


def test_a_merge_of_ones_own_is_not_passed_over():
    """A metric whose class overrides merge_state merges by that, also from snapshots, and never without it."""

    class Own(mg.Metric):
        total = mg.Sum()
        scratch = ("merges",)

        def __init__(self):
            self.merges = 0
            super().__init__()

        def update_state(self, x):
            self.total += x

        def merge_state(self, metrics):
            self.merges += len(list(metrics))

        def result(self):
            return self.total.result()

    metric = fed(Own(), (1.0,))
    metric.merge_state([fed(Own(), (2.0,)).snapshot(), fed(Own(), (3.0,)).snapshot()])

    assert (6.0, 2) == (metric.result(), metric.merges)
    with pytest.raises(mg.UndeclaredState, match="which has a merge_state of its own"):
        mg.merge([metric.snapshot()])


# Memory.


class Wide(mg.Metric):
    cells = mg.Count(shape=(50_000,))

    def update_state(self, n):
        self.cells.update(np.full(50_000, n))

    def result(self):
        return self.cells.result()


def test_memory_is_that_of_a_few_snapshots(tmp_path):
    """Sixty files of 400 KB merge in the memory of a handful: it does not grow with their number."""
    mg.register(name="tests.Wide")(Wide)
    paths = []
    for i in range(60):
        paths.append(tmp_path / f"{i}.mg")
        fed(Wide(), (i,)).snapshot().save(paths[-1])
    peaks = []
    for n in (10, 60):
        gc.collect()
        tracemalloc.start()
        mg.merge(itertools.islice(paths, n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = paths[0].stat().st_size

    assert peaks[1] < peaks[0] + size / 4
    assert peaks[1] < 8 * size


def test_the_metric_in_hand_must_be_the_one_that_was_saved(tmp_path):
    """A metric of another class, or with other arguments, is refused before anything is merged."""
    paths, _ = shards(tmp_path, 2)

    assert (
        2 == mg.merge(paths, metric=Spread).coverage.updates == mg.merge(paths, metric=Spread(), processes=2).coverage.updates
    )
    with pytest.raises(mg.IncompatibleStates, match=r"merge: .*00000\.mg: got a tests\.Spread, expected a Vocabulary"):
        mg.merge(paths, metric=Vocabulary)
    with pytest.raises(mg.IncompatibleStates, match=r"edges is \(0.0, 3.0\) here"):
        mg.merge(paths, metric=Spread(edges=(0.0, 3.0)))
    with pytest.raises(TypeError, match=r"merge: .*00000\.mg: got 3, expected a metric or its class"):
        mg.merge(paths, metric=3)
