"""The rows of the law register: every public state in every form that matters, its batches, and an exact reference.

References are Python's ``fractions``, ``collections``, ``sorted`` and ``numpy`` on integers, never this library.
"""

import bisect
import collections
import dataclasses
import hashlib
import math
import operator
import struct
import typing
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import mergeable as mg
from mergeable.state.access import view
from tests import arbitrary


@dataclasses.dataclass(frozen=True)
class Row:
    """What ``laws.check_state`` needs for one state, and data that is the same in every process."""

    state: typing.Any
    batches: st.SearchStrategy
    reference: Callable[[list], typing.Any]
    fixed: Sequence[typing.Any]
    others: Sequence[typing.Any] = ()
    update: Callable[[typing.Any, typing.Any], None] | None = None
    within: Callable[[typing.Any, list], bool] | None = None

    def take(self, state, batch):
        """Give a state one batch."""
        if self.update is not None:
            self.update(view(state), batch)
        else:
            state.update(*(batch if isinstance(batch, tuple) else (batch,)))

    def fed(self):
        """Return a state that took the fixed data."""
        state = mg.state(self.state).empty()
        for batch in self.fixed:
            self.take(state, batch)
        return state


# Exact references.


def rounded(value):
    """Return a fraction as the nearest float; infinity beyond the range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def rounded_root(value):
    """Return the correctly rounded square root of a fraction, found by comparing squares of midpoints."""
    if not value:
        return 0.0
    shift = 2 * ((max(0, 160 - value.numerator.bit_length() + value.denominator.bit_length())) // 2)
    root = rounded(Fraction(math.isqrt((value.numerator << shift) // value.denominator), 1 << shift // 2))
    for candidate in (math.nextafter(root, 0.0), root, math.nextafter(root, math.inf)):
        low = (Fraction(candidate) + Fraction(math.nextafter(candidate, 0.0))) / 2
        high = (Fraction(candidate) + Fraction(math.nextafter(candidate, math.inf))) / 2
        if low * low < value < high * high:
            return candidate
    raise AssertionError(f"{value} lies on a midpoint; take the even neighbour by hand")


def joined(batches):
    """Return the batches' items in one list."""
    return [item for batch in batches for item in batch]


def exact_sum(values):
    """Return the correctly rounded sum, as IEEE 754 says where values are not finite."""
    return ratio(((v, 1.0) for v in values), divide=False)


def ratio(pairs, *, divide=True):
    """Return sum(w * v) / sum(w), or without the division; rounded once."""
    special, total, weight = set(), Fraction(0), Fraction(0)
    for v, w in pairs:
        if not w:
            continue
        weight += Fraction(w)
        if math.isfinite(v):
            total += Fraction(v) * Fraction(w)
        else:
            special.add("nan" if math.isnan(v) else v)
    if divide and not weight:
        return math.nan
    if special:
        return special.pop() if len(special) == 1 and "nan" not in special else math.nan
    return rounded(total / weight if divide else total)


def moments(pairs, ddof):
    """Return weight, mean, variance and standard deviation, each rounded once."""
    pairs = [(v, w) for v, w in pairs if w]
    weight = sum(Fraction(w) for _, w in pairs)
    variance = std = math.nan
    ddof = Fraction(ddof)
    if all(math.isfinite(v) for v, _ in pairs) and weight and weight > ddof:
        first = sum(Fraction(w) * Fraction(v) for v, w in pairs)
        second = sum(Fraction(w) * Fraction(v) ** 2 for v, w in pairs)
        exact = (second - first**2 / weight) / (weight - ddof)
        variance, std = rounded(exact), rounded_root(exact)
    return {"weight": rounded(weight), "mean": ratio(pairs), "variance": variance, "std": std}


def comoments(rows):
    """Return what CoMoments shows of rows (x, y, weight), each number rounded once."""
    rows = [row for row in rows if row[2]]
    weight = sum((Fraction(w) for _, _, w in rows), Fraction(0))
    names = ("covariance", "correlation", "slope", "intercept", "r2")
    found = {
        "weight": rounded(weight),
        "mean_x": ratio((x, w) for x, _, w in rows),
        "mean_y": ratio((y, w) for _, y, w in rows),
        **dict.fromkeys(names, math.nan),
    }
    if not weight or not all(math.isfinite(x) and math.isfinite(y) for x, y, _ in rows):
        return found
    exact = [tuple(map(Fraction, row)) for row in rows]
    mx, my = (sum(row[2] * row[i] for row in exact) / weight for i in (0, 1))
    vx = sum(w * (x - mx) ** 2 for x, _, w in exact)
    vy = sum(w * (y - my) ** 2 for _, y, w in exact)
    c = sum(w * (x - mx) * (y - my) for x, y, w in exact)
    residual = sum(w * (x - y) ** 2 for x, y, w in exact)
    found["covariance"] = rounded(c / weight)
    if vx:
        found |= {"slope": rounded(c / vx), "intercept": rounded(my - c / vx * mx), "r2": rounded(1 - residual / vx)}
    else:
        found["r2"] = -math.inf if residual else math.nan
    if vx and vy:
        root = rounded_root(c**2 / (vx * vy))
        found["correlation"] = -root if c < 0 else root
    return found


def exact_covariances(rows):
    """Return the means and the covariances of rows as fractions, None where a column is not finite."""
    columns = [[Fraction(v) for v in column] if all(map(math.isfinite, column)) else None for column in zip(*rows, strict=True)]
    means = [column and sum(column) / len(column) for column in columns]
    matrix = [
        [a and b and sum(map(operator.mul, a, b)) / len(a) - means[j] * means[k] for k, b in enumerate(columns)]
        for j, a in enumerate(columns)
    ]
    return means, matrix


def covariances(batches):
    """Return the covariances of columns, each rounded once; NaN where a column is not finite."""
    rows = joined(b.tolist() for b in batches)
    matrix = exact_covariances(rows)[1] if rows else [[None] * 2] * 2
    return np.array([[math.nan if cell is None else rounded(cell) for cell in row] for row in matrix])


def within_covariances(state, batches):
    """Return whether a Covariance of two columns holds the exact means and covariances between its bounds."""
    rows = joined(b.tolist() for b in batches)
    if not rows:
        return bool(np.isnan(state.mean).all() and np.isnan(state.result()).all())
    means, matrix = exact_covariances(rows)
    found = [(means[j], state.mean_estimate(j)) for j in (0, 1) if means[j] is not None]
    found += [(matrix[j][k], state.estimate(j, k)) for j in (0, 1) for k in (0, 1)]
    return state.n == len(rows) and all(
        math.isnan(e.value) if exact is None else e.low <= exact <= e.high and e.low <= e.value <= e.high for exact, e in found
    )


def items_of(batches):
    """Return the numbers in order, as RankQuantiles takes them: subnormal numbers are 0, NaN are none."""
    return sorted(0.0 if abs(v) < 2.0**-1022 else v for v in joined(b.tolist() for b in batches) if not math.isnan(v))


def quartiles(batches):
    """Return the number of items, the extremes and the quartiles: items of rank ceil(q n)."""
    items = items_of(batches)
    ranks = {"min": 0, "25%": 1, "50%": 2, "75%": 3, "max": 4}
    found = {name: items[max(math.ceil(q * len(items) / 4) - 1, 0)] if items else math.nan for name, q in ranks.items()}
    return {"n": len(items), **found}


def within_ranks(state, batches):
    """Return whether a RankQuantiles counts all, has the extremes and items that came, and its ranks are as near as 99.9999 % are."""
    items = items_of(batches)
    n, found = len(items), state.result()
    if n != found["n"] or not n or (items[0], items[-1]) != (found["min"], found["max"]):
        return n == found["n"] == 0
    loose = 2 * state.rank_error + 1e-12
    ranks = ((state.rank(x), bisect.bisect_right(items, x) / n) for x in set(items))
    return {*state.quantile(np.linspace(0, 1, 30)).tolist()} <= {*items} and all(abs(a - b) <= loose for a, b in ranks)


def within_counts(state, batches):
    """Return whether a FrequentItems counts all, and holds every true count between bounds that are as near as promised."""
    exact = collections.Counter(joined(batches))
    total = sum(exact.values())
    bounds = {key: state.estimate(key) for key in exact}
    return (
        state.total == total
        and len(state) <= state.k
        and state.max_error * (state.k + 1) <= total
        and all(
            low <= exact[key] <= high and low <= value <= high and high - low == state.max_error
            for key, (value, low, high) in bounds.items()
        )
    )


def extreme(choose):
    """Return a reference for Max or Min: NaN does not count and -0.0 is 0.0."""

    def reference(batches):
        values = [v or 0.0 for v in joined(batches) if not math.isnan(v)]
        return float(choose(values)) if values else math.nan

    return reference


def arg_extreme(choose):
    """Return a reference for ArgMax or ArgMin: ties go to the smallest key, numbers before strings."""

    def reference(batches):
        pairs = [(v, k) for values, keys in batches for v, k in zip(values.tolist(), keys, strict=True) if not math.isnan(v)]
        if not pairs:
            return math.nan, None
        best = choose(v for v, _ in pairs)
        return best or 0.0, min((k for v, k in pairs if v == best), key=lambda k: (isinstance(k, str), k))

    return reference


def is_nan(key):
    """Return whether a key is NaN."""
    return isinstance(key, float) and math.isnan(key)


def simple(key):
    """Return a key with one NaN and one zero."""
    if isinstance(key, tuple):
        return tuple(map(simple, key))
    if isinstance(key, float):
        return math.nan if math.isnan(key) else key or 0.0
    return key


def rank(key):
    """Return what orders keys of different types; NaN comes last among the floats."""
    if isinstance(key, tuple):
        return 6, False, tuple(map(rank, key))
    kinds = (type(None), bool, int, float, str, bytes)
    return kinds.index(type(key)), is_nan(key), 0 if key is None or is_nan(key) else key


def counted(batches):
    """Return how often each key came; of keys that Python calls equal the first in order stands for all."""
    counts = {}
    for key in sorted(map(simple, joined(batches)), key=rank):
        counts[key] = counts.get(key, 0) + 1
    return counts


def distinct(batches):
    """Return the distinct keys in order, told apart by type."""
    return [key for _, key in sorted({repr(rank(k)): (rank(k), k) for k in map(simple, joined(batches))}.values())]


def most_common(k):
    """Return a reference for TopK: count one by one, and sort."""

    def reference(batches):
        times = collections.Counter(repr(rank(simple(key))) for key in joined(batches))
        return sorted(((key, times[repr(rank(key))]) for key in distinct(batches)), key=lambda pair: (-pair[1], rank(pair[0])))[
            :k
        ]

    return reference


def record(value):
    """Return the canonical bytes of a whole number, a float or a string: its type, length and text or bits."""
    if isinstance(value, float):
        text = b"nan" if math.isnan(value) else struct.pack("<d", value)
    else:
        text = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else str(value).encode()
    return type(value).__name__.encode() + b"(" + struct.pack("<Q", len(text)) + text + b")"


def by_step(choose):
    """Return a reference for First or Last: compare steps as fractions; of one step the value of the first bytes."""

    def reference(batches):
        pairs = [(Fraction(plain_number(s)), plain_number(v)) for batch in batches for s, v in zip(*batch, strict=True)]
        best = choose((step for step, _ in pairs), default=None)
        return min((value for step, value in pairs if step == best), key=record, default=None)

    return reference


def binned(edges, *, weighted=False):
    """Return a reference for Histogram by bisection."""

    def reference(batches):
        cells = [[] for _ in edges[1:]]
        for batch in batches:
            values, weights = batch if weighted else (batch, np.ones(len(batch)))
            for v, w in zip(values.tolist(), weights.tolist(), strict=True):
                if edges[0] <= v <= edges[-1]:
                    cells[min(bisect.bisect_right(edges, v) - 1, len(cells) - 1)].append(w)
        return np.array([exact_sum(c) for c in cells]) if weighted else np.array([len(c) for c in cells])

    return reference


def log_linear(precision, max_bins):
    """Return a reference for LogLinearHistogram: bins of exact logarithmic position, halved from the top until they are few enough."""

    def place(x):
        return _log2(Fraction(abs(x)))

    def number(place, p):
        return math.floor(place * Fraction(2) ** p)

    def edge(number, p):
        place = number / Fraction(2) ** p
        return (1 + place - math.floor(place)) * Fraction(2) ** math.floor(place)

    def neighbour(value, toward):
        """Return the float nearest to a fraction on one side of it, or beyond it; above 0."""
        near = min(float(value) if value < 2**1024 else math.inf, 1.7976931348623157e308)
        if toward == math.inf:
            return near if Fraction(near) >= value and near else math.nextafter(near, math.inf)
        return near if Fraction(near) < value else math.nextafter(near, 0.0)

    def reference(batches):
        items = sorted(x or 0.0 for x in joined(batch.tolist() for batch in batches) if not math.isnan(x))
        if not items:
            return {"n": 0, **dict.fromkeys(("min", "25%", "50%", "75%", "max"), math.nan)}
        sides = [[abs(x) for x in items if x * sign > 0 and math.isfinite(x)] for sign in (-1, 1)]
        places = [[place(x) for x in side] for side in sides if side]
        p = precision
        while any(number(max(side), p) - number(min(side), p) >= max_bins for side in places):
            p -= 1

        def read(q):
            rank = max(1, math.ceil(q * len(items)))
            item = items[rank - 1]
            if item == 0 or math.isinf(item) or rank in (1, len(items)):
                return item
            side, k = sides[item > 0], number(place(item), p)
            low = max(min(side), neighbour(edge(k, p), math.inf))
            high = min(max(side), neighbour(edge(k + 1, p), 0.0))
            return math.copysign(rounded(2 / (1 / Fraction(low) + 1 / Fraction(high))), item)

        return {
            "n": len(items),
            **{k: read(q) for k, q in zip(("min", "25%", "50%", "75%", "max"), np.arange(5) / 4, strict=True)},
        }

    return reference


def ranked(precision, *, weighted=False):
    """Return a reference for ScoreHistogram: pairs and thresholds of cells, each the extremes of a bin or what is between."""

    def bin_of(score):
        if not score or math.isinf(score):
            return score
        size = Fraction(abs(score))
        upper = Fraction(1, 2) < size < 1
        return score < 0, upper, math.floor(_log2(1 - size if upper else size) * 2**precision)

    def cells(rows):
        bins = collections.defaultdict(list)
        for score, label, weight in rows:
            bins[bin_of(score)].append((score, label, weight))
        found = []
        for members in bins.values():
            low, high = min(members)[0], max(members)[0]
            for part in ({low}, {s for s, _, _ in members} - {low, high}, {high} - {low}):
                amounts = [
                    sum((Fraction(w) for s, y, w in members if s in part and y == label), Fraction(0)) for label in (0, 1)
                ]
                if any(amounts):
                    found.append((min(part), *amounts, bool(part & {low, high})))
        return sorted(found)

    def precision_at(true, false):
        return true / (true + false) if true + false else Fraction(1)

    def reference(batches):
        rows = []
        for labels, scores, *weights in batches:
            weight = weights[0].tolist() if weights else [1.0] * len(scores)
            rows += [
                (s or 0.0, int(y), w)
                for s, y, w in zip(scores.tolist(), labels.tolist(), weight, strict=True)
                if not math.isnan(s) and w
            ]
        negatives, positives = (sum((Fraction(w) for _, y, w in rows if y == label), Fraction(0)) for label in (0, 1))
        if not negatives or not positives:
            return {"roc_auc": math.nan, "pr_auc": 1.0 if positives else math.nan, "ks": math.nan}
        pairs, below, above, ks = Fraction(0), Fraction(0), Fraction(0), Fraction(0)
        for _, negative, positive, _ in cells(rows):
            pairs += positive * (below + negative / 2)
            below, above = below + negative, above + positive
            ks = max(ks, abs(below / negatives - above / positives))
        true, false, area = Fraction(0), Fraction(0), Fraction(0)
        for _, negative, positive, tied in reversed(cells(rows)):
            first, last = true + (not weighted), true + positive
            ways = [(last, false + negative)] if tied else [(t, f) for t in (first, last) for f in (false, false + negative)]
            area += positive / positives * sum(precision_at(t, f) for t, f in ways) / len(ways)
            true, false = last, false + negative
        return {"roc_auc": rounded(pairs / negatives / positives), "pr_auc": rounded(area), "ks": rounded(ks)}

    return reference


def _log2(value):
    """Return log2 of a fraction above 0 with straight lines between powers of two."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    exponent -= value < Fraction(2) ** exponent
    return exponent + value / Fraction(2) ** exponent - 1


def calibrated(bins):
    """Return a reference for Calibration by bisection and fractions."""
    edges = [i / bins for i in range(1, bins)]

    def reference(batches):
        gaps, squares, total = [Fraction(0)] * bins, Fraction(0), Fraction(0)
        for labels, probabilities, *weights in batches:
            weight = weights[0].tolist() if weights else [1.0] * len(labels)
            for y, p, w in zip(labels.tolist(), probabilities.tolist(), weight, strict=True):
                if not math.isnan(p):
                    gap = Fraction(p) - int(y)
                    gaps[bisect.bisect_left(edges, p)] += Fraction(w) * gap
                    squares, total = squares + Fraction(w) * gap**2, total + Fraction(w)
        if not total:
            return {"ece": math.nan, "brier": math.nan}
        return {"ece": rounded(sum(map(abs, gaps)) / total), "brier": rounded(squares / total)}

    return reference


def confusion(labels=None, *, weighted=False):
    """Return a reference for ConfusionMatrix from a plain dict of pairs."""

    def reference(batches):
        cells = collections.defaultdict(list)
        for true, pred, *rest in batches:
            for t, p, w in zip(list(true), list(pred), rest[0].tolist() if rest else [1] * len(pred), strict=True):
                cells[t, p].append(w)
        present = sorted({label for pair, weights in cells.items() if any(weights) for label in pair})
        names = present if labels is None else labels
        values = [[exact_sum(cells[t, p]) if weighted else len(cells[t, p]) for p in names] for t in names]
        return np.array(values, np.float64 if weighted else np.int64).reshape(len(names), len(names))

    return reference


def rows_of(*names, dtypes):
    """Return a reference for Rows: Python's sorted on the rows."""

    def reference(batches):
        rows = sorted(row for batch in batches for row in zip(*map(list, batch), strict=True))
        if not rows:
            return {name: np.zeros(0) for name in names}
        columns = zip(*rows, strict=True)
        return {name: np.array(column, dtype) for name, column, dtype in zip(names, columns, dtypes, strict=True)}

    return reference


def scrambled(bits, seed):
    """Return 64 bits mixed by the finaliser of splitmix64."""
    x = (bits + (seed + 1) * 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def hash_of(key, seed):
    """Return the hash of a bool, a whole number of 64 bits, a float or a string."""
    if isinstance(key, str):
        text = key.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(b"str:%d:%s" % (len(text), text), digest_size=8, key=seed.to_bytes(8, "little"))
        return int.from_bytes(digest.digest(), "little")
    if isinstance(key, float):
        key = simple(key)
        bits, kind = 0x7FF8_0000_0000_0001 if math.isnan(key) else struct.unpack("<Q", struct.pack("<d", key))[0], 3
    else:
        bits, kind = int(key) % 2**64, 1 if isinstance(key, bool) else 2
    return scrambled(scrambled(bits, kind), seed)


def by_bits(x):
    """Return what orders floats by their bits, -0.0 before 0.0."""
    bits = struct.unpack("<q", struct.pack("<d", x))[0]
    return bits if bits >= 0 else -(2**63) - bits - 1


def lowest(k, seed, rows=False):
    """Return a reference for BottomK: sort by hash, and keep of each key the first row."""

    def reference(batches):
        found = {}
        for batch in batches:
            for key, *row in zip(*batch, strict=True) if rows else zip(batch, strict=True):
                order = hash_of(key, seed), rank(simple(key)), [by_bits(x) if isinstance(x, float) else x for x in row]
                entry = (order, (simple(key), *map(plain_number, row)) if rows else simple(key))
                found[repr(order[:2])] = min(entry, found.get(repr(order[:2]), entry), key=lambda entry: entry[0])
        return [value for _, value in sorted(found.values(), key=lambda entry: entry[0])[:k]]

    return reference


def plain_number(x):
    """Return a NumPy number as Python's."""
    return x.item() if isinstance(x, np.generic) else x


def lowest_by_weight(k, seed):
    """Return a reference for WeightedBottomK: sort by u / w in fractions, w being the largest weight of a key."""

    def reference(batches):
        weights = {}
        for key, weight in ((key, w) for labels, column in batches for key, w in zip(labels, column.tolist(), strict=True)):
            weights[key] = max(weight, weights.get(key, 0.0))
        shares = {key: Fraction(2 * (hash_of(key, seed) >> 12) + 1, 2**53) for key in weights}
        ranks = {key: shares[key] / Fraction(weight) for key, weight in weights.items() if weight}
        return [(key, weights[key]) for key in sorted(ranks, key=ranks.get)[:k]]

    return reference


def sigma(x):
    """Return sigma as algorithm 6 of Ertl 2017 computes it."""
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x, last = x * x, z
        z, y = z + x * y, y + y
        if z == last:
            return z


def tau(x):
    """Return tau as algorithm 6 of Ertl 2017 computes it."""
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x, y, last = math.sqrt(x), 0.5 * y, z
        z -= (1 - x) * (1 - x) * y
        if z == last:
            return z / 3


def registers(precision, seed):
    """Return a reference for HyperLogLog: registers one by one, and the estimator of Ertl 2017."""

    def reference(batches):
        size, longest = 2**precision, 64 - precision
        held = [0] * size
        for key in joined(batches):
            bits = hash_of(key, seed)
            place, rest = bits >> longest, bits % 2**longest
            zeros = (rest & -rest).bit_length() - 1 if rest else longest
            held[place] = max(held[place], zeros + 1)
        counts = collections.Counter(held)
        z = size * (tau(1 - counts[longest + 1] / size))
        for k in range(longest, 0, -1):
            z = 0.5 * (z + counts[k])
        z += size * sigma(counts[0] / size)
        return 0.7213475204444817 * size * size / z

    return reference


def table(width, depth, seed, *, times=False):
    """Return a reference for CountMin: counts one by one."""

    def reference(batches):
        cells = np.zeros((depth, width), object)
        for batch in batches:
            for key, n in zip(batch[0], batch[1].tolist(), strict=True) if times else ((key, 1) for key in batch):
                for row in range(depth):
                    cells[row, (scrambled(hash_of(key, seed), row) >> 32) * width >> 32] += n
        return cells.astype(np.int64)

    return reference


def keyed(inner):
    """Return a reference for Keyed: the inner reference on each key's values."""

    def reference(batches):
        values = collections.defaultdict(list)
        for keys, column in batches:
            for key, value in zip(keys, column.tolist(), strict=True):
                values[key].append(value)
        return {key: inner(items) for key, items in values.items()}

    return reference


RANKED_KEYS = ["c", "b", "a"]
"""Keys in the order of their hashes, which is that in which ``Sliced`` keeps them."""


def sliced(inner, kept=None):
    """Return a reference for Sliced: the inner reference on all values, on each key's, and on those of the keys without a slice."""

    def reference(batches):
        values = collections.defaultdict(list)
        for keys, column in batches:
            for key, value in zip(keys, column.tolist(), strict=True):
                values[key].append(value)
        ranked = [key for key in RANKED_KEYS if key in values] if kept else list(values)
        mine = sorted(ranked[:kept], key=rank)
        rest = [value for key, column in values.items() if key not in mine for value in column]
        return inner(joined(values.values())), {key: inner(values[key]) for key in mine}, inner(rest)

    return reference


def decimal(number):
    """Return a number as the decimal that it is written as."""
    return Fraction(repr(number))


def windowed(inner, last, every):
    """Return a reference for Windowed: the inner reference on the values of the last buckets."""

    def reference(batches):
        buckets = collections.defaultdict(list)
        for step, column in batches:
            if column.size:
                buckets[decimal(step) // every].extend(column.tolist())
        newest = max(buckets, default=0)
        return inner([v for bucket, values in buckets.items() if bucket > newest - last // every for v in values])

    return reference


def first_of_each(inner):
    """Return a reference for Deduplicated: the inner reference on the smallest value of each id."""

    def reference(batches):
        values = {}
        for ids, column in batches:
            for i, value in zip(ids.tolist(), column.tolist(), strict=True):
                values[i] = min(value, values.get(i, value))
        return inner(values.values())

    return reference


# States and metrics of a user.


@mg.register(name="tests.Range")
class Range(mg.Metric):
    """A user's metric with a parameter and two states."""

    largest = mg.Max()
    smallest = mg.Min()

    def __init__(self, factor=1.0, name=None):
        super().__init__(name)
        self.factor = factor

    def update_state(self, values):
        self.largest.update(values)
        self.smallest.update(values)

    def result(self):
        return self.factor * (self.largest.result() - self.smallest.result())


def spread(values):
    """Return a reference for Range."""
    return extreme(max)([list(values)]) - extreme(min)([list(values)])


@dataclasses.dataclass
class Tally:
    """A user's dataclass with the three verbs."""

    rows: int = 0
    names: set = dataclasses.field(default_factory=set)

    def update(self, names):
        self.rows += len(names)
        self.names.update(names)

    def merge(self, other):
        self.rows += other.rows
        self.names |= other.names

    def result(self):
        return self.rows, sorted(self.names)


class Latest(mg.State):
    """A user's state whose merges keep the order: the last n values."""

    commutative = False

    def __init__(self, n=2):
        self.n = n
        self.values = np.zeros(0)

    @property
    def parameters(self):
        return {"n": self.n}

    def update(self, values):
        self.buffer(np.asarray(values, np.float64))

    def absorb(self, values):
        self.values = np.concatenate([self.values, values])[-self.n :]

    def merge(self, other):
        self.absorb(other.values)

    def result(self):
        return self.values.tolist()


class Longest(mg.State):
    """A user's idempotent state: the longest text."""

    idempotent = True

    def __init__(self):
        self.text = ""

    def update(self, texts):
        self.text = max([self.text, *texts], key=lambda t: (len(t), t))

    def merge(self, other):
        self.update([other.text])

    def result(self):
        return self.text


# The rows.

FLOATS = arbitrary.arrays(arbitrary.floats())
WEIGHTED = arbitrary.columns(arbitrary.floats(), arbitrary.weights())
PROBABILITIES = st.floats(0.0, 1.0) | st.sampled_from([0.0, -0.0, 5e-324, 1 / 3, 2 / 3, 0.2, 0.1, 1.0, 1e-170, math.nan])
SCORES = arbitrary.floats() | st.floats(0.0, 1.0) | st.sampled_from([0.5, 0.51, 0.9, 0.901, 0.9015, 0.902])
SCORED = arbitrary.columns(st.integers(0, 1), SCORES, dtypes=(np.int64, np.float64))
PLAIN_KEYED = arbitrary.columns(arbitrary.plain_keys(), arbitrary.floats(), dtypes=(None, np.float64))
TEXT_LISTS = st.lists(arbitrary.texts(), max_size=6)
RANKED = arbitrary.columns(arbitrary.floats(), arbitrary.ints() | arbitrary.texts(), dtypes=(np.float64, None))
HASHED = st.booleans() | st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1) | arbitrary.floats() | arbitrary.texts()
STEPS = st.integers(-2, 2) | st.sampled_from([0.5, 1.0, -0.0, 5e-324, -5e-324, 1e300]) | st.floats(-2, 2)
CLASSES = ["", "a", "ü"]
EDGES = [-1.0, 0.0, 5e-324, 0.1, 3.0, 1e16]

SPREAD = np.array([1e16, 1.0, -1e16, 0.1, -0.0, 5e-324, math.nan, math.inf, -1.7e308])
FINITE = np.array([1e16, 1.0, -1e16, 0.1, -0.0, 5e-324, 2.0**53, -1.7e308])
WEIGHTS = np.array([0.1, 1.0, 0.0, 5e-324, 3.0, 1e-170, 2.0**53, 0.5])
UNITS = np.array([0.0, 1.0, 1 / 3, 5e-324, 1e-170, 0.2, math.nan, 0.9])
NAMES = ["ü", "", "a", "日本", "b", "a", "zebra", "yak"]
MIXED = [None, True, 1, 1.0, "1", b"1", (1, "a"), -0.0, math.nan, 10**400, "ü"]


def tuple_of(inner):
    return lambda batches: tuple(r(batches) for r in inner)


def unweighted(batches):
    return [(v, 1.0) for v in joined(b.tolist() for b in batches)]


def pairs(batches):
    return [pair for v, w in batches for pair in zip(v.tolist(), w.tolist(), strict=True)]


ROWS: dict[str, Row] = {
    "Count": Row(
        mg.Count(),
        st.integers(0, 2**70) | st.lists(st.integers(0, 2**62), max_size=4),
        lambda batches: sum(sum(b) if isinstance(b, list) else b for b in batches),
        [3, 2**70, [1, 2]],
        others=[mg.Count(shape=(2,))],
    ),
    "Count of an array": Row(
        mg.Count(shape=(2,)),
        arbitrary.arrays(st.integers(0, 2**40), np.int64, columns=2),
        lambda batches: sum((b.sum(axis=0) for b in batches), np.zeros(2, np.int64)),
        [np.array([[1, 2], [3, 4]])],
        others=[mg.Count(), mg.Count(shape=(3,)), mg.Count(shape=(2, 1))],
    ),
    "Sum": Row(
        mg.Sum(),
        FLOATS,
        lambda batches: exact_sum(joined(batches)),
        [SPREAD, FINITE],
        others=[mg.Sum(shape=(1,))],
    ),
    "Sum of integers": Row(
        mg.Sum(),
        arbitrary.arrays(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53 + 1, -1]), np.int64)
        | arbitrary.arrays(st.integers(0, 2**64 - 1), np.uint64),
        lambda batches: rounded(Fraction(sum(map(int, joined(batches))))),
        [np.array([2**53 + 1, -(2**63)]), np.array([2**64 - 1], np.uint64)],
    ),
    "Sum of float32": Row(
        mg.Sum(),
        arbitrary.arrays(st.floats(width=32) | st.sampled_from([1e-45, -1e-45, 3.4e38]), np.float32),
        lambda batches: exact_sum(map(float, joined(batches))),
        [SPREAD[:6].astype(np.float32)],
    ),
    "Sum of an array": Row(
        mg.Sum(shape=(2,)),
        arbitrary.arrays(arbitrary.floats(), columns=2),
        lambda batches: np.array([exact_sum(row[i] for row in joined(batches)) for i in (0, 1)]),
        [SPREAD[:8].reshape(-1, 2)],
        others=[mg.Sum(), mg.Sum(shape=(3,))],
    ),
    "Mean": Row(mg.Mean(), FLOATS, lambda batches: ratio(unweighted(batches)), [SPREAD, FINITE]),
    "Mean with weights": Row(mg.Mean(), WEIGHTED, lambda batches: ratio(pairs(batches)), [(FINITE, WEIGHTS)]),
    "Moments": Row(
        mg.Moments(),
        FLOATS,
        lambda batches: moments(unweighted(batches), 0),
        [FINITE],
        others=[mg.Moments(ddof=1)],
    ),
    "Moments with weights": Row(
        mg.Moments(ddof=1),
        WEIGHTED,
        lambda batches: moments(pairs(batches), 1),
        [(FINITE, WEIGHTS)],
        others=[mg.Moments(), mg.Moments(ddof=2)],
    ),
    "CoMoments": Row(
        mg.CoMoments(),
        arbitrary.columns(arbitrary.floats(), arbitrary.floats()),
        lambda batches: comoments((x, y, 1.0) for x, y in pairs(batches)),
        [(FINITE, FINITE[::-1])],
        others=[mg.Moments()],
    ),
    "CoMoments with weights": Row(
        mg.CoMoments(),
        arbitrary.columns(arbitrary.floats(), arbitrary.floats(), arbitrary.weights()),
        lambda batches: comoments(row for batch in batches for row in zip(*(c.tolist() for c in batch), strict=True)),
        [(FINITE, FINITE[::-1], WEIGHTS)],
    ),
    "Covariance": Row(
        mg.Covariance(2),
        arbitrary.arrays(arbitrary.floats(), columns=2),
        covariances,
        [np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[1.0, 6.0], [3.0, 2.0]])],
        others=[mg.Covariance(3), mg.CoMoments()],
        within=within_covariances,
    ),
    "Max": Row(mg.Max(), FLOATS, extreme(max), [SPREAD], others=[mg.Min()]),
    "Min": Row(mg.Min(), FLOATS, extreme(min), [SPREAD], others=[mg.Max()]),
    "ArgMax": Row(mg.ArgMax(), RANKED, arg_extreme(max), [(FINITE, NAMES)], others=[mg.ArgMin()]),
    "ArgMin": Row(mg.ArgMin(), RANKED, arg_extreme(min), [(FINITE, [*range(8)])], others=[mg.ArgMax()]),
    "BottomK": Row(
        mg.BottomK(k=3, seed=5),
        st.lists(HASHED, max_size=6),
        lowest(3, 5),
        [[True, 1, 1.0, "1"], [-0.0, math.nan, "ü", 2**62]],
        others=[mg.BottomK(k=4, seed=5), mg.BottomK(k=3), mg.WeightedBottomK(k=3, seed=5)],
    ),
    "BottomK of an array": Row(mg.BottomK(k=3), FLOATS, lambda batches: lowest(3, 0)([b.tolist() for b in batches]), [SPREAD]),
    "BottomK with columns": Row(
        mg.BottomK(k=3),
        arbitrary.columns(
            st.integers(-3, 3), arbitrary.finite_floats(), arbitrary.texts(), dtypes=(np.int64, np.float64, None)
        ),
        lambda batches: lowest(3, 0, rows=True)([(ids.tolist(), xs.tolist(), names) for ids, xs, names in batches]),
        [(np.array([5, 3, 5, 8, 2, 1, 3, 9]), FINITE, NAMES)],
        others=[mg.BottomK(k=3, seed=1)],
    ),
    "WeightedBottomK": Row(
        mg.WeightedBottomK(k=2, seed=1),
        arbitrary.columns(arbitrary.texts(), arbitrary.weights(), dtypes=(None, np.float64)),
        lowest_by_weight(2, 1),
        [(NAMES, WEIGHTS)],
        others=[mg.WeightedBottomK(k=3, seed=1), mg.WeightedBottomK(k=2), mg.BottomK(k=2, seed=1)],
    ),
    "CountMin": Row(
        mg.CountMin(width=5, depth=2, seed=3),
        st.lists(HASHED, max_size=12),
        table(5, 2, 3),
        [[True, 1, 1.0, "1"], [-0.0, math.nan, "ü", 2**62], [*range(40)]],
        others=[mg.CountMin(width=6, depth=2, seed=3), mg.CountMin(width=5, depth=3, seed=3), mg.CountMin(width=5, depth=2)],
    ),
    "CountMin with times": Row(
        mg.CountMin(width=3),
        arbitrary.columns(HASHED, st.integers(0, 2**56), dtypes=(None, np.int64)),
        table(3, 4, 0, times=True),
        [(NAMES, np.array([2**60, 1, 0, 2**40, 2**41, 3, 1, 1]))],
    ),
    "Counter": Row(mg.Counter(), st.lists(arbitrary.keys(), max_size=6), counted, [MIXED, NAMES], others=[mg.Set()]),
    "Counter of an array": Row(
        mg.Counter(),
        FLOATS,
        lambda batches: counted([b.tolist() for b in batches]),
        [SPREAD],
    ),
    "Counter of a mapping": Row(
        mg.Counter(),
        st.dictionaries(arbitrary.plain_keys(), st.integers(0, 2**70), max_size=4)
        | st.lists(arbitrary.plain_keys(), min_size=2, max_size=4),
        lambda batches: {k: n for k, n in sum(map(collections.Counter, batches), collections.Counter()).items() if n},
        [{"ü": 2**70, b"a": 0, 3: 1}],
    ),
    "Set": Row(mg.Set(), st.lists(arbitrary.keys(), max_size=6), distinct, [MIXED, NAMES], others=[mg.Counter()]),
    "FrequentItems": Row(
        mg.FrequentItems(),
        st.lists(arbitrary.keys(), max_size=6),
        counted,
        [MIXED, NAMES],
        others=[mg.FrequentItems(1023), mg.Counter()],
    ),
    "FrequentItems of many": Row(
        mg.FrequentItems(3),
        st.lists(st.integers(0, 9) | arbitrary.texts() | st.just(1), max_size=12),
        counted,
        [["a", "ü", "a"], ["a", 7]],
        others=[mg.FrequentItems()],
        within=within_counts,
    ),
    "First": Row(
        mg.First(),
        arbitrary.columns(STEPS, st.integers() | arbitrary.floats() | arbitrary.texts(), dtypes=(None, None)),
        by_step(min),
        [([3, 2, 2.0], [None, "b", "a"]), ([5e-324], [{"loss": [1, (0.5, None)], "at": {1, 2}}]), ([2], [NAMES])],
        others=[mg.Last()],
    ),
    "Last of arrays": Row(
        mg.Last(),
        arbitrary.columns(
            st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 1), arbitrary.floats(), dtypes=(np.int64, np.float64)
        ),
        by_step(max),
        [(np.array([2, 7, -1, 7]), SPREAD[:4]), ([7.0], [1e17])],
        others=[mg.First()],
    ),
    "Histogram": Row(
        mg.Histogram(EDGES),
        FLOATS,
        binned(EDGES),
        [SPREAD],
        others=[
            mg.Histogram([*EDGES, 1e17]),
            mg.Histogram(EDGES, weighted=True),
            mg.Histogram([-1.0, 0.0, 5e-324, 0.1, 3.0, 2e16]),
        ],
    ),
    "Histogram with weights": Row(
        mg.Histogram(EDGES, weighted=True),
        WEIGHTED,
        binned(EDGES, weighted=True),
        [(FINITE, WEIGHTS)],
        others=[mg.Histogram(EDGES)],
    ),
    "LogLinearHistogram": Row(
        mg.LogLinearHistogram(),
        FLOATS,
        log_linear(7, 4096),
        [SPREAD, FINITE],
        others=[mg.LogLinearHistogram(8), mg.LogLinearHistogram(max_bins=4095)],
    ),
    "LogLinearHistogram of two bins": Row(
        mg.LogLinearHistogram(precision=2, max_bins=2),
        FLOATS | arbitrary.arrays(st.floats(0.5, 8.0)),
        log_linear(2, 2),
        [np.array([1.0, 1.25, 1.5, 1.75, 2.0, -3.0])],
    ),
    "ScoreHistogram": Row(
        mg.ScoreHistogram(),
        SCORED,
        ranked(7),
        [(np.arange(9) % 2, SPREAD), (np.array([1.0, 0.0, 1.0]), np.array([0.35, 0.3501, 0.3502]))],
        others=[mg.ScoreHistogram(8), mg.ScoreHistogram(weighted=True)],
    ),
    "ScoreHistogram with weights": Row(
        mg.ScoreHistogram(2, weighted=True),
        arbitrary.columns(st.booleans(), SCORES, arbitrary.weights(), dtypes=(bool, np.float64, np.float64)),
        ranked(2, weighted=True),
        [(np.arange(8) % 2, FINITE, WEIGHTS), (np.array([1, 0, 1]), np.array([0.7, 0.71, 0.72]), np.array([2.0, 5e-324, 1.0]))],
        others=[mg.ScoreHistogram(2)],
    ),
    "Calibration": Row(
        mg.Calibration(),
        arbitrary.columns(st.integers(0, 1), PROBABILITIES, dtypes=(np.int64, np.float64)),
        calibrated(15),
        [(np.arange(8) % 2, UNITS)],
        others=[mg.Calibration(16), mg.Calibration(weighted=True)],
    ),
    "Calibration with weights": Row(
        mg.Calibration(3, weighted=True),
        arbitrary.columns(st.booleans(), PROBABILITIES, arbitrary.weights(), dtypes=(bool, np.float64, np.float64)),
        calibrated(3),
        [(np.arange(8) % 2, UNITS, WEIGHTS)],
        others=[mg.Calibration(3)],
    ),
    "ConfusionMatrix of numbers": Row(
        mg.ConfusionMatrix(3),
        arbitrary.columns(st.integers(0, 2), st.integers(0, 2), dtypes=(np.int64, np.int64)),
        confusion([0, 1, 2]),
        [([0, 1, 2], [2, 1, 1])],
        others=[
            mg.ConfusionMatrix(4),
            mg.ConfusionMatrix(),
            mg.ConfusionMatrix(3, weighted=True),
            mg.ConfusionMatrix([2, 1, 0]),
        ],
    ),
    "ConfusionMatrix of names": Row(
        mg.ConfusionMatrix(CLASSES),
        arbitrary.columns(st.sampled_from(CLASSES), st.sampled_from(CLASSES), dtypes=(None, None)),
        confusion(CLASSES),
        [(["a", "ü"], ["", "ü"])],
        others=[mg.ConfusionMatrix(sorted(CLASSES, reverse=True))],
    ),
    "ConfusionMatrix with weights": Row(
        mg.ConfusionMatrix(2, weighted=True),
        arbitrary.columns(st.integers(0, 1), st.integers(0, 1), arbitrary.weights(), dtypes=(np.int64, np.int64, np.float64)),
        confusion([0, 1], weighted=True),
        [([0, 1, 1], [1, 1, 0], WEIGHTS[:3])],
        others=[mg.ConfusionMatrix(2)],
    ),
    "open ConfusionMatrix": Row(
        mg.ConfusionMatrix(),
        arbitrary.columns(arbitrary.texts(), arbitrary.texts(), dtypes=(None, None)),
        confusion(),
        [(NAMES, NAMES[::-1])],
        others=[mg.ConfusionMatrix(weighted=True), mg.ConfusionMatrix(["a"])],
    ),
    "open ConfusionMatrix with weights": Row(
        mg.ConfusionMatrix(weighted=True),
        arbitrary.columns(arbitrary.ints(), arbitrary.ints(), arbitrary.weights(), dtypes=(None, None, np.float64)),
        confusion(weighted=True),
        [(NAMES, NAMES[::-1], WEIGHTS)],
        others=[mg.ConfusionMatrix()],
    ),
    "RankQuantiles": Row(
        mg.RankQuantiles(),
        FLOATS,
        quartiles,
        [SPREAD],
        others=[mg.RankQuantiles(100), mg.RankQuantiles(201), mg.Max()],
    ),
    "RankQuantiles of many": Row(
        mg.RankQuantiles(32),
        arbitrary.arrays(arbitrary.floats(), max_size=80),
        quartiles,
        [SPREAD],
        others=[mg.RankQuantiles()],
        within=within_ranks,
    ),
    "Rows of numbers": Row(
        mg.Rows("y_true", "y_pred"),
        arbitrary.columns(
            st.integers(-(2**63), 2**63 - 1), arbitrary.finite_floats().filter(bool), dtypes=(np.int64, np.float64)
        ),
        rows_of("y_true", "y_pred", dtypes=(np.int64, np.float64)),
        [(np.arange(8) % 2, FINITE)],
        others=[mg.Rows("y_pred", "y_true"), mg.Rows("y_true"), mg.Rows("y_true", "score")],
    ),
    "Rows with text": Row(
        mg.Rows("text", "flag"),
        arbitrary.columns(arbitrary.texts(), st.booleans(), dtypes=(None, bool)),
        rows_of("text", "flag", dtypes=(object, bool)),
        [(NAMES, [False, True] * 4)],
    ),
    "TopK": Row(
        mg.TopK(2),
        st.lists(arbitrary.keys(), max_size=6),
        most_common(2),
        [MIXED, NAMES, ["yak", "a"]],
        others=[mg.TopK(3), mg.Counter()],
    ),
    "Tuple": Row(
        mg.Tuple(mg.Sum(), mg.Max()),
        FLOATS,
        tuple_of([lambda batches: exact_sum(joined(batches)), extreme(max)]),
        [SPREAD],
        others=[mg.Tuple(mg.Sum(), mg.Min()), mg.Tuple(mg.Sum()), mg.Tuple(mg.Sum(), mg.Max(), mg.Max())],
    ),
    "Dict": Row(
        mg.Dict(mean=mg.Mean(), histogram=mg.Histogram(EDGES)),
        FLOATS,
        lambda batches: {"mean": ratio(unweighted(batches)), "histogram": binned(EDGES)(batches)},
        [SPREAD],
        others=[
            mg.Dict(mean=mg.Mean()),
            mg.Dict(mean=mg.Mean(), histogram=mg.Histogram([0, 1])),
            mg.Dict(mean=mg.Mean(), histogram=mg.Histogram(EDGES), worst=mg.Max()),
        ],
    ),
    "HyperLogLog": Row(
        mg.HyperLogLog(precision=4, seed=3),
        st.lists(HASHED, max_size=12),
        registers(4, 3),
        [[True, 1, 1.0, "1"], [-0.0, math.nan, "ü", 2**62], [*range(40)]],
        others=[mg.HyperLogLog(precision=5, seed=3), mg.HyperLogLog(precision=4)],
    ),
    "HyperLogLog of an array": Row(
        mg.HyperLogLog(), FLOATS, lambda batches: registers(12, 0)([b.tolist() for b in batches]), [SPREAD]
    ),
    "Keyed": Row(
        mg.Keyed(mg.Sum()),
        PLAIN_KEYED,
        keyed(exact_sum),
        [(NAMES, FINITE)],
        others=[mg.Keyed(mg.Mean()), mg.Keyed(mg.Sum(shape=(2,)))],
    ),
    "Keyed Dict of Tuple": Row(
        mg.Keyed(mg.Dict(both=mg.Tuple(mg.Sum(), mg.Min()), n=mg.Counter())),
        PLAIN_KEYED,
        keyed(lambda xs: {"both": (exact_sum(xs), extreme(min)([xs])), "n": counted([xs])}),
        [(NAMES, FINITE)],
        others=[mg.Keyed(mg.Dict(both=mg.Tuple(mg.Sum(), mg.Max()), n=mg.Counter())), mg.Keyed(mg.Dict(n=mg.Counter()))],
    ),
    "Keyed metric": Row(
        mg.Keyed(Range()),
        arbitrary.columns(arbitrary.plain_keys(), arbitrary.finite_floats(), dtypes=(None, np.float64)),
        keyed(spread),
        [(NAMES, WEIGHTS)],
        others=[mg.Keyed(Range(2.0)), mg.Keyed(mg.Max())],
    ),
    "Bootstrap": Row(
        mg.Bootstrap(mg.Sum(), replicates=3),
        arbitrary.columns(arbitrary.plain_keys(), arbitrary.floats(), dtypes=(None, np.float64)),
        lambda batches: exact_sum(joined(column.tolist() for _, column in batches)),
        [(NAMES, FINITE)],
        others=[
            mg.Bootstrap(mg.Sum(), replicates=4),
            mg.Bootstrap(mg.Sum(), replicates=3, seed=1),
            mg.Bootstrap(mg.Mean(), replicates=3),
        ],
    ),
    "Sliced": Row(
        mg.Sliced(mg.Sum()),
        PLAIN_KEYED,
        sliced(exact_sum),
        [(NAMES, FINITE)],
        others=[mg.Sliced(mg.Sum(), max_slices=3), mg.Sliced(mg.Sum(), by=0), mg.Sliced(mg.Max())],
    ),
    "Sliced that overflows": Row(
        mg.Sliced(mg.Sum(), max_slices=2),
        arbitrary.columns(st.sampled_from(RANKED_KEYS), arbitrary.floats(), dtypes=(None, np.float64)),
        sliced(exact_sum, kept=2),
        [(["a", "b", "c", "a"], FINITE[:4])],
    ),
    "Windowed": Row(
        mg.Windowed(mg.Sum(), last=6, every=2),
        st.tuples(st.integers(-20, 20), FLOATS),
        windowed(exact_sum, 6, 2),
        [(3, FINITE), (8, FINITE[:2]), (7, FINITE[:1])],
        others=[mg.Windowed(mg.Sum(), last=6), mg.Windowed(mg.Sum(), last=8, every=2), mg.Windowed(mg.Max(), last=6, every=2)],
    ),
    "Deduplicated": Row(
        mg.Deduplicated(mg.Sum(), "value"),
        arbitrary.columns(st.integers(0, 3), arbitrary.finite_floats().filter(bool), dtypes=(np.int64, np.float64)),
        first_of_each(exact_sum),
        [(np.array([1, 2, 1, 3, 1]), FINITE[[0, 1, 0, 2, 3]])],
        others=[mg.Deduplicated(mg.Sum(), "loss"), mg.Deduplicated(mg.Max(), "value")],
    ),
    "Tuple of Held and Set": Row(
        mg.Tuple(mg.state(set, merge=set.update, idempotent=True), mg.Set()),
        TEXT_LISTS,
        lambda batches: (set(joined(batches)), sorted(set(joined(batches)))),
        [NAMES],
        others=[mg.Tuple(mg.Set(), mg.Set())],
    ),
    "state(set)": Row(
        mg.state(set, merge=set.update, idempotent=True),
        TEXT_LISTS,
        lambda batches: set(joined(batches)),
        [NAMES],
        others=[mg.state(set, merge=set.intersection_update), mg.state(list, merge=list.extend)],
    ),
    "state(Counter)": Row(
        mg.state(collections.Counter, merge=collections.Counter.update),
        TEXT_LISTS,
        lambda batches: collections.Counter(joined(batches)),
        [NAMES],
        others=[mg.state(collections.Counter, merge=collections.Counter.subtract)],
    ),
    "state(list)": Row(
        mg.state(list, merge=list.extend, commutative=False),
        st.lists(arbitrary.floats(), max_size=4),
        joined,
        [[1.0, math.nan, -0.0]],
        update=list.extend,
    ),
    "state(a dataclass)": Row(
        mg.state(Tally),
        TEXT_LISTS,
        lambda batches: (len(joined(batches)), sorted(set(joined(batches)))),
        [NAMES],
        others=[mg.state(set, merge=set.update)],
    ),
    "a state that keeps the order": Row(
        Latest(3),
        FLOATS,
        lambda batches: [float(x) for x in joined(batches)][-3:],
        [SPREAD],
        others=[Latest(2)],
    ),
    "an idempotent state": Row(
        Longest(), TEXT_LISTS, lambda batches: max(joined(batches), key=lambda t: (len(t), t), default=""), [NAMES]
    ),
}
"""Every row by its name."""


# Parameters that are drawn, because a fixed one may be the only one that works.


def drawn(make, batches, reference, *parameters):
    """Return a strategy of a state with drawn parameters, batches for it, and its exact reference."""

    def of(chosen):
        return st.tuples(st.just(make(*chosen)), st.lists(batches(*chosen), max_size=4), st.just(reference(*chosen)))

    return st.tuples(*parameters).flatmap(of)


def edges():
    """Return increasing edges of a histogram."""
    return st.lists(arbitrary.finite_floats(), min_size=2, max_size=5, unique_by=lambda x: x or 0.0).map(sorted)


def near(edges):
    """Return values on edges, beside them and anywhere."""
    beside = [math.nextafter(edge, toward) for edge in edges for toward in (-math.inf, math.inf)]
    return st.sampled_from([*edges, *beside]) | arbitrary.floats()


def labels():
    """Return declared classes: whole numbers or strings that differ."""
    return st.lists(arbitrary.ints(), min_size=1, max_size=4, unique=True) | st.lists(
        arbitrary.texts(), min_size=1, unique=True
    )


def labelled(classes):
    """Return batches of pairs of these labels."""
    return arbitrary.columns(st.sampled_from(classes), st.sampled_from(classes), dtypes=(None, None))


K, SEED = st.integers(1, 5), st.integers(0, 2**64 - 1)

DRAWN: dict[str, st.SearchStrategy] = {
    "Sum": drawn(
        lambda n: mg.Sum(shape=(n,)),
        lambda n: arbitrary.arrays(arbitrary.floats(), columns=n),
        lambda n: lambda batches: np.array([exact_sum(row[i] for row in joined(batches)) for i in range(n)]),
        K,
    ),
    "Moments": drawn(
        mg.Moments,
        lambda ddof: WEIGHTED,
        lambda ddof: lambda batches: moments(pairs(batches), ddof),
        st.integers(-3, 5) | st.floats(-3, 5),
    ),
    "Covariance": drawn(
        mg.Covariance,
        lambda d: arbitrary.arrays(st.integers(-4, 4), columns=d),
        lambda d: None,
        K,
    ),
    "BottomK": drawn(mg.BottomK, lambda k, seed: st.lists(HASHED, max_size=6), lowest, K, SEED),
    "WeightedBottomK": drawn(
        mg.WeightedBottomK,
        lambda k, seed: arbitrary.columns(arbitrary.texts(), arbitrary.weights(), dtypes=(None, np.float64)),
        lowest_by_weight,
        K,
        SEED,
    ),
    "CountMin": drawn(mg.CountMin, lambda *_: st.lists(HASHED, max_size=6), table, st.integers(1, 50), K, SEED),
    "FrequentItems": drawn(
        lambda k: mg.FrequentItems(k + 5),
        lambda k: st.lists(st.integers(0, 5), max_size=6),
        lambda k: counted,
        K,
    ),
    "Histogram": drawn(mg.Histogram, lambda e: arbitrary.arrays(near(e)), binned, edges()),
    "Histogram with weights": drawn(
        lambda e: mg.Histogram(e, weighted=True),
        lambda e: arbitrary.columns(near(e), arbitrary.weights()),
        lambda e: binned(e, weighted=True),
        edges(),
    ),
    "LogLinearHistogram": drawn(
        mg.LogLinearHistogram,
        lambda *_: FLOATS | arbitrary.arrays(st.floats(0.5, 8.0)),
        log_linear,
        st.integers(0, 52),
        st.integers(2, 9),
    ),
    "ScoreHistogram": drawn(mg.ScoreHistogram, lambda p: SCORED, ranked, st.integers(0, 23)),
    "Calibration": drawn(
        lambda bins: mg.Calibration(bins, weighted=True),
        lambda bins: arbitrary.columns(
            st.booleans(),
            PROBABILITIES | st.integers(0, bins).map(lambda i: i / bins),
            arbitrary.weights(),
            dtypes=(bool, np.float64, np.float64),
        ),
        calibrated,
        st.integers(1, 60),
    ),
    "ConfusionMatrix": drawn(mg.ConfusionMatrix, labelled, confusion, labels()),
    "HyperLogLog": drawn(
        mg.HyperLogLog, lambda *_: st.lists(HASHED, max_size=12), registers, st.integers(4, 18), st.integers(0, 2**64 - 1)
    ),
    "RankQuantiles": drawn(mg.RankQuantiles, lambda k: FLOATS, lambda k: quartiles, st.integers(24, 200)),
    "TopK": drawn(mg.TopK, lambda k: st.lists(arbitrary.keys(), max_size=6), most_common, K),
    "Bootstrap": drawn(
        lambda replicates, seed: mg.Bootstrap(mg.Sum(), replicates, seed),
        lambda *_: PLAIN_KEYED,
        lambda *_: lambda batches: exact_sum(joined(column.tolist() for _, column in batches)),
        st.integers(2, 5),
        SEED,
    ),
    "Sliced": drawn(
        lambda most: mg.Sliced(mg.Sum(), max_slices=most),
        lambda most: arbitrary.columns(st.sampled_from(RANKED_KEYS), arbitrary.floats(), dtypes=(None, np.float64)),
        lambda most: sliced(exact_sum, kept=most),
        K,
    ),
    "Windowed": drawn(
        lambda buckets, every: mg.Windowed(mg.Sum(), float(buckets * decimal(every)), every),
        lambda buckets, every: st.tuples(st.integers(-20, 20) | st.integers(-20, 20).map(lambda i: i / 10), FLOATS),
        lambda buckets, every: windowed(exact_sum, buckets * decimal(every), decimal(every)),
        K,
        st.integers(1, 5) | st.sampled_from([0.1, 0.2, 0.3, 0.7]),
    ),
}
"""A strategy for each state whose constructor takes numbers or labels."""


def claims(row, law):
    """Return whether a law says anything of this row's state."""
    state = mg.state(row.state)
    return {"commutativity": state.commutative, "idempotence": state.idempotent}.get(law, True)
