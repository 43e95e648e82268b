"""From a sweep file to tasks: what is varied, what is shared, what is refused."""

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.sweep.file import catalogue, find
from uptheramp.scenarios.sweep.jobs import keys, remaining
from uptheramp.scenarios.sweep.plan import plan
from uptheramp.scenarios.sweep.points import points

HEAD = 'name = "s"\nsummary = "what"\nscenario = "quickstart"\n'


def sweep_of(tmp_path, text, name="s.toml"):
    (tmp_path / name).write_text(HEAD + text)
    return find(str(tmp_path / name))


def knob(key, values):
    return f'[[knob]]\nkey = "{key}"\nvalues = {values}\n'


def refused(tmp_path, text):
    with pytest.raises(InputError) as error:
        plan(*sweep_of(tmp_path, text))
    return str(error.value)


@pytest.mark.parametrize("name", catalogue())
def test_the_catalogue_can_be_planned(name):
    laid_out = plan(*find(name))
    assert laid_out.tasks
    assert laid_out.stored.name


def test_grid_and_shared_exposures(tmp_path):
    sweep, folder = sweep_of(
        tmp_path,
        'modes = ["miri_lrs"]\nseeds = 3\nantithetic = 1\ntwins = 2\n'
        + knob("jump.rejection_threshold", [3.0, 5.0])
        + knob("mode.ngroups", [10, 20]),
    )
    laid_out = plan(sweep, folder)
    assert [m.knobs for m in laid_out.stored.members] == points(sweep)
    assert len(laid_out.asked) == 4
    assert len(laid_out.tasks) == 2 * 4  # an exposure for each ngroups; both thresholds share it
    assert {len(t.asked) for t in laid_out.tasks} == {2}
    assert {t.asked[0].block.ngroups for t in laid_out.tasks} == {10, 20}
    assert [(t.seed, t.mirror, t.twin, t.pink) for t in laid_out.tasks[:4]] == [
        (1, False, True, True),
        (1, True, False, False),
        (2, False, True, False),
        (3, False, False, False),
    ]
    assert laid_out.asked[0].scenario.reduction.parameters == {"jump.rejection_threshold": "3.0"}


def test_unpaired_points_have_seeds_of_their_own(tmp_path):
    text = 'modes = ["miri_lrs"]\nseeds = 3\n' + knob("jump.rejection_threshold", [3.0, 5.0])
    paired, unpaired = plan(*sweep_of(tmp_path, text)), plan(*sweep_of(tmp_path, "paired = false\n" + text))
    assert [t.seed for t in paired.tasks] == [1, 2, 3]
    assert [t.seed for t in unpaired.tasks] == [1, 2, 3, 4, 5, 6]


def test_what_is_done_is_left_out(tmp_path):
    text = 'modes = ["miri_lrs"]\n' + knob("jump.rejection_threshold", [3.0, 5.0])
    (task,) = plan(*sweep_of(tmp_path, text)).tasks
    all_keys = keys(task, "code")
    assert remaining(task, set(), "code") == task
    assert remaining(task, set(all_keys[:1]), "code").asked == task.asked[1:]
    assert remaining(task, set(all_keys), "code") is None
    assert remaining(task, set(all_keys), "other code") == task


def test_draws(tmp_path):
    ranges = '[[knob]]\nkey = "star.teff_k"\nlow = 3000.0\nhigh = 6000.0\n'
    ranges += '[[knob]]\nkey = "planet.a_rs"\nlow = 1.1\nhigh = 110.0\nscale = "log"\n'
    ranges += knob("reduction.references", ["oracle", "estimated"])
    for sampling in ("random", "sobol"):
        sweep, _ = sweep_of(tmp_path, f'sampling = "{sampling}"\npoints = 64\n{ranges}')
        drawn = points(sweep)
        assert drawn == points(sweep)
        teff, a_rs = (np.array([p[k] for p in drawn]) for k in ("star.teff_k", "planet.a_rs"))
        assert 3000 <= teff.min() < 3300 < 5700 < teff.max() < 6000
        assert abs(np.log(a_rs / 1.1).mean() - np.log(100) / 2) < 0.5
        assert {p["reduction.references"] for p in drawn} == {"oracle", "estimated"}
    fewer, _ = sweep_of(tmp_path, f'sampling = "sobol"\npoints = 20\n{ranges}')
    assert points(fewer) == drawn[:20]
    # Sobol points fill each eighth of a range equally often
    np.testing.assert_array_equal(np.histogram(teff, 8, (3000, 6000))[0], 8)
    side_by_side, _ = sweep_of(tmp_path, 'sampling = "list"\n' + knob("star.teff_k", [1, 2]) + knob("seed2.x", [3, 4]))
    assert points(side_by_side) == [{"star.teff_k": 1, "seed2.x": 3}, {"star.teff_k": 2, "seed2.x": 4}]


def test_inheritance_and_set(tmp_path):
    sweep_of(tmp_path, "seeds = 4\n[set.star]\nteff_k = 5000.0\n[set.mode]\nnints = 5\n", "below.toml")
    (tmp_path / "over.toml").write_text('inherit = "below.toml"\nname = "over"\nset.star.teff_k = 4000.0\n')
    sweep, folder = find(str(tmp_path / "over.toml"))
    assert (sweep.name, sweep.seeds, sweep.set) == ("over", 4, {"star.teff_k": 4000.0, "mode.nints": 5})
    (first, *_) = plan(sweep, folder).asked
    assert (first.scenario.star.teff_k, first.block.nints) == (4000.0, 5)


def test_refusals(tmp_path):
    assert "did you mean rejection_threshold?" in refused(tmp_path, knob("jump.rejection_treshold", [3]))
    assert "unknown step 'jmp', did you mean jump?" in refused(tmp_path, knob("jmp.rejection_threshold", [3]))
    assert "unknown key star.kmag, did you mean k_mag?" in refused(tmp_path, knob("star.kmag", [3]))
    assert "'threshold' is no knob" in refused(tmp_path, knob("threshold", [3]))
    assert "'seed' is no knob" in refused(tmp_path, knob("seed", [3]))
    assert "star.k_mag does nothing: mode nirspec_prism has its own; turn mode.k_mag" in refused(
        tmp_path, knob("star.k_mag", [3.0])
    )
    assert "has no mode 'miri'" in refused(tmp_path, 'modes = ["miri"]\n')
    assert "antithetic is 4" in refused(tmp_path, "antithetic = 4\n")
    assert "needs points" in refused(tmp_path, 'sampling = "sobol"\n' + knob("star.teff_k", [3]))
    assert "give either values, or low and high" in refused(tmp_path, '[[knob]]\nkey = "star.teff_k"\n')
    assert "equally many" in refused(tmp_path, 'sampling = "list"\n' + knob("a.b", [3]) + knob("a.c", [3, 4]))
    assert "a.b is set twice" in refused(tmp_path, knob("a.b", [3]) + knob("a.b", [3]))
    assert "did you mean seeds" in refused(tmp_path, "seed = 4\n")
    with pytest.raises(InputError, match="no such sweep file, and the catalogue has only"):
        find("nothing")


def test_eclipses_are_refused_where_depths_are_asked_for(tmp_path):
    eclipse = HEAD.replace("quickstart", "wasp-43b-miri-lrs-eclipse")
    (tmp_path / "e.toml").write_text(eclipse)
    with pytest.raises(InputError, match="is an eclipse, and only transits are judged"):
        plan(*find(str(tmp_path / "e.toml")))
    (tmp_path / "e.toml").write_text(eclipse + 'level = "rate"\n')
    assert plan(*find(str(tmp_path / "e.toml"))).tasks
