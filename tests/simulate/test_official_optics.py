"""The optical references of the simulator give the wavelengths of its tables, without a map of ours."""

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.optics import slit
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.simulate.calibration import official, optical
from uptheramp.simulate.observation import observe
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

# pixels: the official SPECWCS of MIRI is smoothed, the polynomial of NIRCam fitted, rows behind a slit differ by 1e-6
FARTHEST_PX = {
    "nirspec_prism": 0.01,
    "nirspec_g395h_nrs1": 0.006,
    "nirspec_g395h_nrs2": 0.006,
    "nircam_f322w2": 0.02,
    "nircam_f444w": 0.02,
    "miri_lrs": 0.1,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", FARTHEST_PX)
def test_wavelengths_are_those_of_the_tables(tmp_path, mode):
    curve = Curve((0.5, 30.0), (0.0, 0.0))
    planet = Planet(period_d=4.0, a_rs=11.4, inclination_deg=87.7, radius_ratio=curve, u1=curve, u2=curve)
    observation = observe(mode, ngroups=3, nints=2, star=Star(9.0, 5485.0), planet=planet)
    meta = observation.meta
    ours = optical.extract1d(observation)
    ours.to_file(tmp_path / "extract1d.json", meta)
    optics = {name: made for name, made in official.make(observation).items() if isinstance(made, Carried)}
    for name, made in optics.items():
        made.to_file(tmp_path / f"{name}.{made.ending}", meta, name.upper())
    classes = {"wavemap": Wavemap, "extract1d": Extract1d}
    paths = library.find(tmp_path, meta, library.wanted(classes, meta))
    loaded = library.load(paths, meta, classes)
    found, table = (np.asarray(m.wavelength_um, float) for m in (loaded["wavemap"], optical.wavemap(observation)))
    axis = observation.mode.dispersion_axis % 2
    off = np.abs(found - table) / np.abs(np.gradient(table, axis=axis))
    both = np.isfinite(off)
    assert both.sum() > 0.9 * np.isfinite(table).sum()
    print(f"{mode}: farthest {off[both].max():.4f} px")  # noqa: T201
    assert off[both].max() < FARTHEST_PX[mode]
    if meta.exp_type in slit.EXP_TYPES:  # the references are made so that the cut-out begins where the window does
        box = slit.box(paths, meta)
        assert (box.columns[0], box.rows[0]) == (0, 0)
    np.testing.assert_allclose(loaded["extract1d"].lower, ours.lower)
