"""Many snapshots become one: the bits of one process, in the memory of two, with nothing twice and every gap named."""

import copy
import gc
import itertools
import math
import random
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from tests import register
from tests.effort import HANG
from tests.snapshot.test_snapshot import Dropped, Spread, Vocabulary, fed, spread

ROOT = Path(__file__).parents[2]
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

    assert canonical_bytes(internals(whole).fold()) == value(merged)
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

    assert canonical_bytes(internals(whole).fold()) == value(mg.merge(iter(pieces)))
    assert before == (metric.snapshot().to_bytes(), pieces[2].to_bytes())


@pytest.mark.parametrize("name", register.ROWS)
def test_every_state_merges_from_files(name):
    """Every state of the register, cut into files, is the bits of one that took everything, or within its bound; order is kept."""
    row = register.ROWS[name]

    class Holder(mg.Metric):
        held = mg.state(row.state).empty()

        def update_state(self, batch):
            row.take(internals(self).view["held"], batch)

        def result(self):
            return 0

    batches = [*row.fixed, *row.fixed]
    parts = [fed(Holder(), (batch,)) for batch in batches]
    merged = mg.merge([mg.Snapshot.from_bytes(part.snapshot().to_bytes()) for part in parts], metric=Holder())
    whole = fed(Holder(), *((batch,) for batch in batches))

    if row.within is not None:
        assert [True, True] == [row.within(states["held"], batches) for states in (merged.states, internals(whole).fold())]
    else:
        assert canonical_bytes(internals(whole).fold()) == value(merged)


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
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=HANG, check=False)

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
            internals(self).view["fussy"].update(n)

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


# Pieces that have names.


def counted(*updates, origin=None, metadata=None, **options):
    """Return the snapshot of a metric that took one batch of so many rows for each update."""
    metric = fed(Vocabulary(), *(([*range(n)],) for n in updates))
    return metric.snapshot(metadata, origin=origin, **options)


def test_a_retried_piece_is_refused(tmp_path):
    """A piece that was computed again under its name is refused everywhere, also inside of merged files and after a restore."""
    counted(2, origin="night/3").save(tmp_path / "a.mg")
    counted(2, origin="night/3").save(tmp_path / "b.mg")
    mg.merge([tmp_path / "b.mg", counted(1, origin="night/4")], metric=Vocabulary).save(tmp_path / "merged.mg")
    metric = Vocabulary()
    metric.restore(tmp_path / "merged.mg")
    metric.update_state([*range(3)])  # and goes on
    assert ("night/3", "night/4") == mg.load(tmp_path / "merged.mg").origins

    for piece in (tmp_path / "b.mg", mg.load(tmp_path / "b.mg"), tmp_path / "merged.mg", metric, metric.snapshot()):
        with pytest.raises(
            mg.DuplicateOrigin,
            match=r"^merge: the origin night/3 \(replica 0, 1 updates\) came twice, in .* and in .*; its updates would count twice\. "
            r"Leave one out, or let the newer one win with on_duplicate='newer'\.$",
        ):
            mg.merge([tmp_path / "a.mg", piece], metric=Vocabulary)
        other = Vocabulary()
        other.merge_state([tmp_path / "a.mg"])
        before = canonical_bytes((internals(other).fold(), dict(other.coverage)))
        with pytest.raises(mg.DuplicateOrigin, match="the origin night/3"):
            other.merge_state([piece])
        assert before == canonical_bytes((internals(other).fold(), dict(other.coverage)))


def test_a_name_and_its_random_id_are_one_piece():
    """A snapshot with a name, one with another and one without, of the same metric, are the same updates."""
    metric = fed(Vocabulary(), ([*range(2)],))
    pieces = metric.snapshot(origin="a"), metric.snapshot(origin="b"), metric.snapshot(), metric
    for one, other in itertools.permutations(pieces, 2):
        with pytest.raises(mg.DuplicateOrigin, match="came twice"):
            mg.merge([one, other])


def test_a_name_is_for_all_that_is_held():
    """A metric of several origins, some named before, has one name more; the names that it restored or merged stay."""
    metric = Vocabulary()
    metric.restore(counted(1, origin="monday"))
    metric.update_state([*range(2)])
    metric.merge_state([counted(3), counted(4, 4, origin="tuesday")])
    week = metric.snapshot(origin="week")

    assert ("monday", "tuesday", "week") == week.origins
    pieces = week.coverage.pieces
    assert {"monday": (1, 1), "tuesday": (2, 8), "week": (5, 14)} == {n: (p.updates, p.rows) for n, p in pieces.items()}
    for name in week.origins:
        with pytest.raises(mg.DuplicateOrigin, match=f"the origin {name} "):
            mg.merge([week, counted(9, origin=name)])
    assert "5 updates, 14 rows, 4 origins, replica 0, named 'monday', 'tuesday', 'week'" == str(week.coverage)
    metric.reset_state()
    assert {} == metric.coverage.pieces


def test_a_growing_piece_keeps_its_name(tmp_path):
    """A metric that is saved again under its name, also one that was restored in between, holds more of the same piece."""
    metric = fed(Vocabulary(), ([*range(2)],))
    first = metric.snapshot(origin="x")
    metric.update_state([*range(3)])
    second = metric.snapshot(origin="x")
    again = Vocabulary()
    again.restore(first)
    again.update_state([*range(4)])
    again.update_state([*range(4)])
    third = again.snapshot(origin="x")

    with pytest.raises(mg.DuplicateOrigin, match="the origin x "):
        mg.merge([first, second])
    for order in itertools.permutations([first, second, third]):
        merged = mg.merge(order, on_duplicate="newer")
        assert (3, 10, ("x",)) == (merged.coverage.updates, merged.coverage.rows, merged.origins)


def test_the_newer_retry_wins_when_asked(tmp_path):
    """Of two tries with one name that one is left out that has less; of two with as much, the one that began earlier."""
    less, more, as_much = (tmp_path / f"{name}.mg" for name in ("less", "more", "as_much"))
    counted(2, origin="x").save(less)
    counted(2, 5, origin="x").save(more)
    time.sleep(0.002)  # ids tell milliseconds apart
    counted(5, 2, origin="x").save(as_much)
    rest = mg.merge([counted(1, origin="y"), counted(2, 4, origin="x")])

    for order in itertools.permutations([less, more, as_much]):
        told = []
        merged = mg.merge(order, metric=Vocabulary, on_duplicate="newer", report=lambda *args, told=told: told.append(args[0]))
        assert mg.load(as_much).to_bytes() == merged.to_bytes()
        assert [str(path) for path in order if path != as_much] == told
    assert rest.to_bytes() == mg.merge([less, rest], metric=Vocabulary, on_duplicate="newer").to_bytes()
    for other in (counted(9, origin="x"), rest):  # fewer updates and more rows; more of x, and nothing of y
        with pytest.raises(
            mg.DuplicateOrigin, match="Neither has all that the other has, so none is the newer one; leave one out"
        ):
            mg.merge([other, more], metric=Vocabulary, on_duplicate="newer")


def test_a_name_is_not_lost_to_a_newer_piece_without_it():
    """A piece gives way only to one that has its names too, or a retry of that name would count beside it."""
    metric = fed(Vocabulary(), ([*range(2)],))
    named = metric.snapshot(origin="x")
    metric.update_state([*range(2)])
    with pytest.raises(mg.DuplicateOrigin, match="Neither has all"):
        mg.merge([named, metric.snapshot()], on_duplicate="newer")


def test_an_empty_piece_has_a_name_too():
    """A shard without rows keeps its name in what it is merged into, and gives way to a try that had rows."""
    empty = Vocabulary().snapshot(origin="x")
    merged = mg.merge([empty, counted(1, origin="y")])

    assert (("x", "y"), 1) == (merged.origins, merged.coverage.updates)
    with pytest.raises(mg.DuplicateOrigin, match="the origin x "):
        mg.merge([merged, counted(1, origin="x")])
    assert 1 == mg.merge([empty, counted(1, origin="x")], on_duplicate="newer").coverage.updates


@pytest.mark.parametrize("processes", [1, 2])
def test_unique_values_tell_pieces_apart(tmp_path, processes):
    """Pieces whose metadata agree in what is unique are one piece, also inside of files that were merged without."""
    paths = [tmp_path / f"{i}.mg" for i in range(6)]
    for i, path in enumerate(paths):
        Spread().snapshot({"night": "2026-11-29", "shard": i, "host": "a"}).save(path)
    again = fed(Spread(), ([0.5],)).snapshot({"night": "2026-11-29", "shard": 3, "host": "b"})
    again.save(tmp_path / "again.mg")
    how = {"unique": ["shard", "night"], "processes": processes}

    whole = mg.merge(paths, **how)
    assert tuple(f"night='2026-11-29', shard={i}" for i in range(6)) == whole.origins
    assert 7 == len(mg.merge([*paths, tmp_path / "again.mg"], unique=["shard", "host"]).coverage.names)
    for pieces in ([*paths, tmp_path / "again.mg"], [mg.merge(paths), again], [whole, again]):
        with pytest.raises(mg.DuplicateOrigin, match="the origin night='2026-11-29', shard=3 "):
            mg.merge(pieces, **how)
        assert 6 == len(mg.merge([*paths, tmp_path / "again.mg"], on_duplicate="newer", **how).coverage.names)
    with pytest.raises(mg.DuplicateOrigin, match="holds two pieces with host='a'"):
        mg.merge([mg.merge(paths)], unique=["host"])


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        (
            None,
            "got no metadata of '[0-9a-f]{28}', expected night, shard for every origin. Leave it out, or save it with metadata",
        ),
        ({"night": 1}, "got None for shard in the metadata, expected a text or a number"),
        ({"night": 1, "shard": [1]}, "got .1. for shard in the metadata, expected a text or a number"),
        ({"night": 1, "shard": "x" * 300}, "of 317 characters, expected 1 to 200 .* Name fewer values or shorter ones"),
    ],
)
def test_what_is_unique_must_be_there(metadata, match):
    """A piece of which the metadata do not say what is unique is refused, or left out and named."""
    bad, good = counted(1, metadata=metadata), counted(1, metadata={"night": 1, "shard": 1})
    with pytest.raises(mg.SnapshotError, match=match):
        mg.merge([good, bad], unique=["night", "shard"])
    assert 1 == len(mg.merge([good, bad], unique=["night", "shard"], keep_going=True).coverage.missing)
    with pytest.raises(TypeError, match=r"got unique='night', expected a list of names. Write unique=\['night'\]"):
        mg.merge([good], unique="night")
    with pytest.raises(TypeError, match=r"got unique=\[3\], expected names of values in the metadata"):
        mg.merge([good], unique=[3])


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), ("a\nb", ValueError), ("x" * 201, ValueError), (" a", ValueError), (3, TypeError)]
)
def test_what_is_no_name_is_refused(name, error):
    """The name of a piece is a text of 1 to 200 characters that can be printed."""
    with pytest.raises(error, match=r"^Vocabulary\.snapshot: got the origin .*expected .*such as '2026-11-29/shard-03'\.$"):
        counted(1, origin=name)
