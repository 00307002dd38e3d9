"""What states of quantiles have in common."""

import math
from fractions import Fraction

import numpy as np
import pytest

import mergeable as mg


@pytest.mark.parametrize("make", [mg.LogLinearHistogram, mg.RankQuantiles])
def test_shares_an_ulp_above_1_are_1(make):
    """Shares that were added up to a little more than 1 are 1."""
    state = make()
    state.update([1.0, 2.0, 4.0])
    assert [1.0, 4.0] == state.quantile([0.0, math.nextafter(1, 2)]).tolist()


@pytest.mark.parametrize("make", [mg.LogLinearHistogram, mg.RankQuantiles])
@pytest.mark.parametrize("kind", [float, np.float32, np.float16, np.float64])
def test_ranks_are_exact_for_the_decimal_that_is_written(make, kind):
    """quantile(q) is the item of rank ceil(q n) for q as the decimal that it is written as, in floats of every width."""
    for n in (1, 3, 7, 10, 49, 100):
        state = make()
        state.update(4.0 ** np.arange(n))  # items that no error takes for one another
        shares = [kind(i / n) for i in range(n + 1)] + [kind(x) for x in (0.1, 0.3, 0.7, 0.07, 0.29, 0.57, 0.999)]
        expected = [max(1, math.ceil(Fraction(str(q)) * n)) for q in shares]
        assert expected == [1 + round(math.log(state.quantile(q), 4)) for q in shares]
        assert expected == [1 + round(x) for x in (np.log(state.quantile(np.array(shares))) / math.log(4)).tolist()]
