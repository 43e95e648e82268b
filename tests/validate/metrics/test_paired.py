"""Comparisons: planted changes are caught at the power that is claimed, and no change raises no alarm."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from uptheramp.validate.metrics.paired import NO_PREFERENCE, independent, paired, preference
from uptheramp.validate.metrics.regression import BETTER, FLAGGED, MOVED, SAME, WORSE, Sample, Sense, move

ALPHA = 0.01 / 30  # a family of thirty figures at 1 %
SEEDS = 50
SIGMA = 88.0  # ppm, the mean over bins of one PRISM seed of the quickstart


def sample(values, first=1, mirrors=None):
    values = {first + i: float(v) for i, v in enumerate(values)}
    return Sample(values, {} if mirrors is None else {first + i: float(v) for i, v in enumerate(mirrors)})


def caught(trials, make, sense):
    return np.mean([move(*make(np.random.default_rng(s)), sense, ALPHA).verdict in FLAGGED for s in range(trials)])


def at_least(fraction, trials):
    """Fewest successes, as a fraction, that chance leaves to this probability in 99.9 % of cases."""
    return stats.binom.ppf(0.001, trials, fraction) / trials


def test_what_is_caught_is_what_is_claimed():
    """A change with noise of its own: planted at the size that `detectable` names, it is caught in 90 % of trials."""
    own = 40.0
    # the claim for a known error of the difference, not that of one trial
    t = stats.t.isf(ALPHA / 2, SEEDS - 1) + stats.t.ppf(0.9, SEEDS - 1)
    claimed = 0.1 * SIGMA / SEEDS**0.5 + t * own / SEEDS**0.5

    def make(rng, planted):
        a = rng.normal(size=SEEDS) * SIGMA
        return sample(a), sample(a + rng.normal(size=SEEDS) * own + planted)

    shown = np.mean([move(*make(np.random.default_rng(s), 0.0), Sense(), ALPHA).detectable for s in range(50)])
    assert shown == pytest.approx(claimed, rel=0.05)
    for sense, sign in ((Sense(), 1), (Sense(ideal=0.0), 1), (Sense(ideal=0.0), -1)):
        assert caught(300, partial(make, planted=sign * claimed), sense) > at_least(0.9, 300)
        assert caught(300, partial(make, planted=sign * 0.4 * claimed), sense) < 0.5


def test_a_depth_bias_of_20_ppm():
    """Common noise cancels: a bias of 20 ppm is caught though one seed scatters by 88."""

    def make(rng):
        a = rng.normal(size=SEEDS) * SIGMA
        quiet = rng.normal(size=(2, SEEDS)) * 2.0
        return sample(a, mirrors=quiet[0] - a), sample(a + 20, mirrors=quiet[0] - a + 20)

    verdicts = [move(*make(np.random.default_rng(s)), Sense(ideal=0.0), ALPHA).verdict for s in range(100)]
    assert set(verdicts) == {WORSE}
    back = [move(*make(np.random.default_rng(s))[::-1], Sense(ideal=0.0), ALPHA).verdict for s in range(100)]
    assert set(back) == {BETTER}


def test_without_antitheses_a_bias_is_seen_to_move_but_not_where():
    def make(rng):
        a = rng.normal(size=SEEDS) * SIGMA
        return sample(a), sample(a + 20)

    verdicts = [move(*make(np.random.default_rng(s)), Sense(ideal=0.0), ALPHA).verdict for s in range(200)]
    assert SAME not in verdicts
    assert MOVED in verdicts
    assert verdicts.count(BETTER) < 0.05 * 200


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_error_bars_wrong_by_5_per_cent(factor):
    def make(rng):
        a = rng.chisquare(60, SEEDS) / 60
        return sample(a), sample(a / factor**2)

    assert caught(300, make, Sense(ideal=1.0)) > at_least(0.95, 300)


def test_2_per_cent_more_scatter_as_noise_of_its_own():
    """Independent noise that raises the rms of 80 points by 2 %: (1.02^2 - 1)^(1/2) of it."""

    def make(rng):
        quiet = rng.normal(size=(SEEDS, 80))
        loud = quiet + rng.normal(size=quiet.shape) * (1.02**2 - 1) ** 0.5
        return sample(quiet.std(1)), sample(loud.std(1))

    assert caught(300, make, Sense(relative=True)) > at_least(0.9, 300)
    assert move(*make(np.random.default_rng(0))[::-1], Sense(relative=True), ALPHA).verdict == BETTER


def test_no_change_no_alarm():
    """The same code on new seeds: all false alarms of a family of thirty together stay at 1 %."""
    trials, flagged = 400, 0
    for s in range(trials):
        rng = np.random.default_rng(s)
        for sense, draw in (
            (Sense(ideal=0.0), lambda rng: rng.normal(size=20) * SIGMA),
            (Sense(ideal=1.0), lambda rng: rng.chisquare(60, 20) / 60),
            (Sense(relative=True), lambda rng: rng.chisquare(80, 20) ** 0.5),
        ):
            flagged += move(sample(draw(rng)), sample(draw(rng), first=100), sense, ALPHA).verdict in FLAGGED
    assert flagged <= stats.binom.ppf(0.999, 3 * trials, ALPHA)


def test_identical_answers_are_the_same_and_rounding_does_not_count():
    a = np.random.default_rng(1).normal(size=9)
    for sense in (Sense(), Sense(ideal=0.0)):
        assert move(sample(a), sample(a), sense, ALPHA).verdict == SAME
        assert move(sample(a), sample(a + 1e-9), sense, ALPHA).verdict == SAME
    assert move(sample([1.0]), sample([1.0]), Sense(), ALPHA) is None
    assert move(sample([0.0] * 5), sample([1.0] * 5), Sense(), ALPHA).verdict == WORSE  # bins that are lost in all


def test_differences_and_preference():
    rng = np.random.default_rng(2)
    a = rng.normal(size=30)
    d = paired(a, a + 0.1 + 0.01 * rng.normal(size=30))
    assert d.value == pytest.approx(0.1, abs=0.01)
    assert preference(d) == "A"
    assert preference(paired(a, a - 0.1 + 0.01 * rng.normal(size=30))) == "B"
    assert preference(paired(a, a + rng.normal(size=30))) == NO_PREFERENCE
    b = rng.normal(size=50) * 3 + 2
    w = independent(a, b)
    known = stats.ttest_ind(b, a, equal_var=False)
    assert w.value / w.standard_error == pytest.approx(known.statistic)
    assert w.freedom == pytest.approx(known.df)
    assert preference(independent(a, b)) == NO_PREFERENCE  # seeds of their own decide nothing
