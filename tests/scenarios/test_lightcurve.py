"""`uptheramp lightcurve` from file to products."""

import json

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.orbit import orbit_of, separation
from uptheramp.calibrate.fit.system import load_system
from uptheramp.calibrate.fit.transit import transit_deficit
from uptheramp.calibrate.io import tspec
from uptheramp.scenarios.fits import fit_file

CHOICES = {"limb_darkening": "fixed", "orbit": "fixed", "kind": "transit"}
DEPTHS = (0.0209, 0.0215)


@pytest.fixture
def table(tmp_path):
    """Two channels in Julian dates, one row per time and wavelength."""
    system = load_system("wasp-39b")
    time = system.t0_bjd_tdb + np.linspace(-0.1, 0.1, 130)
    rng = np.random.default_rng(1)
    u = system.limb_darkening.at(np.array([1.0, 2.0]))
    z = separation(time, orbit_of(system, system.t0_bjd_tdb), "transit")
    lines = ["time,wavelength,flux"]
    for wave, depth, coefficients in zip((1.0, 2.0), DEPTHS, u, strict=True):
        flux = 1 + np.asarray(transit_deficit(z, depth, coefficients)) + 1e-4 * rng.standard_normal(130)
        lines += [f"{t + 2400000.5:.8f},{wave},{f:.8f}" for t, f in zip(time, flux, strict=True)]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(lines))
    return path


def test_products(table, tmp_path):
    out = tmp_path / "out"
    written = fit_file(table, "wasp-39b", out, CHOICES, False, ())
    assert sorted(p.name for p in written) == sorted(p.name for p in out.iterdir())
    report = json.loads((out / "two_fit.json").read_text())
    assert report["converged"] and abs(report["depth"] - np.mean(DEPTHS)) < 4 * report["depth_error"]
    assert report["residual_rms_ppm"] == pytest.approx(71, rel=0.3)
    spectrum = tspec.read(out / "two_tspec.fits")
    assert np.all(np.abs(np.asarray(spectrum.depth) - DEPTHS) < 4 * np.asarray(spectrum.error))
    assert (out / "two_fit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("system", "choices", "compare"),
    [
        ("no-such", CHOICES, ()),
        ("wasp-39b", CHOICES | {"orbit": "guessed"}, ()),
        ("wasp-39b", CHOICES, ("absent.csv",)),
    ],
)
def test_bad_input_leaves_nothing(table, tmp_path, system, choices, compare):
    out = tmp_path / "out"
    with pytest.raises(InputError):
        fit_file(table, system, out, choices, False, tuple(tmp_path / c for c in compare))
    assert not out.exists()
