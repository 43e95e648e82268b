from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.system import SYSTEMS, load_system


@pytest.mark.parametrize("name", sorted(p.name.removesuffix(".toml") for p in SYSTEMS.iterdir()))
def test_shipped_systems_load(name):
    system = load_system(name)
    assert 0 < system.impact < 1
    assert np.all(system.limb_darkening.at(np.array([1.0, 3.0])).sum(axis=1) < 1)


def test_limb_darkening_between_knots(system):
    u = system.limb_darkening.at(np.array([0.1, 1.025, 99.0, np.nan]))
    np.testing.assert_allclose(u[:, 0], [0.33, 0.265, 0.03, np.mean(system.limb_darkening.u1)])


def test_nearest_epoch(system):
    days = system.t0_bjd_tdb - system.period_d + np.array([-0.3, 0.2])
    assert system.epoch_near(days) == pytest.approx(system.t0_bjd_tdb - system.period_d)


@pytest.mark.parametrize("change", [{"t0_bjd_tdb": 2459791.6}, {"period_d": 0.0}, {"eccentricity": 1.0}, {"a_rs": 0.5}])
def test_impossible_values_are_refused(system, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(system, **change)


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="wasp-39b"):
        load_system("nowhere-1b")
    with pytest.raises(InputError, match="wasp-39b"):
        load_system("")


def test_unknown_key_is_refused(tmp_path):
    text = (SYSTEMS / "wasp-39b.toml").read_text(encoding="utf-8").replace("period_d", "periode_d")
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="period_d"):
        load_system(str(tmp_path / "s.toml"))
