"""PHOTOM of images, TSOPHOT and what the header says of the target: there and back, and what is refused."""

import asdf
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.references.photom_image import PhotomImage
from uptheramp.calibrate.references.target import Target
from uptheramp.calibrate.references.tsophot import Tsophot
from uptheramp.simulate.observation import observe
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

MODES = [("nircam_image_f210m", "SUB64P"), ("nircam_image_wlp8_f210m", "SUB160P"), ("miri_image_f1500w", "SUB64")]


def meta_of(mode, subarray):
    planet = Planet(period_d=4.0, a_rs=11.0, inclination_deg=90.0, radius_ratio=CURVE, u1=CURVE, u2=CURVE)
    return observe(mode, subarray=subarray, ngroups=5, nints=2, star=Star(9.0), planet=planet)


CURVE = lookup.Curve((0.5, 30.0), (0.1, 0.1))


@pytest.mark.parametrize(("mode", "subarray"), MODES)
def test_there_and_back(tmp_path, mode, subarray):
    pytest.importorskip("stdatamodels")
    meta = meta_of(mode, subarray).meta
    photom = PhotomImage(np.float32(0.25), 2.1e-14)
    photom.to_file(tmp_path / "photom.fits", meta)
    read = PhotomImage.from_file(tmp_path / "photom.fits", meta)
    assert (float(read.conversion), read.unit) == (0.25, "MJy/sr")
    assert read.pixel_sr == pytest.approx(2.1e-14)
    radii = Tsophot(*(np.float32(r) for r in (3.5, 5.0, 9.0)))
    radii.to_file(tmp_path / "tsophot.asdf", meta)
    again = Tsophot.from_file(tmp_path / "tsophot.asdf", meta)
    assert [float(r) for r in (again.radius, again.radius_inner, again.radius_outer)] == [3.5, 5.0, 9.0]


def test_radii_are_those_of_the_pupil_or_of_any(tmp_path):
    radii = [
        {"pupil": "WLP8", "radius": 70.0, "radius_inner": 75.0, "radius_outer": 90.0},
        {"pupil": "ANY", "radius": 3.0, "radius_inner": 4.0, "radius_outer": 5.0},
    ]
    path = tmp_path / "tsophot.asdf"
    asdf.AsdfFile({"meta": {"reftype": "tsophot"}, "radii": radii}).write_to(path)
    focused, lens = (meta_of(*MODES[k]).meta for k in (0, 1))
    assert [float(Tsophot.from_file(path, meta).radius) for meta in (focused, lens)] == [3.0, 70.0]
    asdf.AsdfFile({"radii": radii[:1]}).write_to(path)
    with pytest.raises(InputError, match="no radii for pupil CLEAR"):
        Tsophot.from_file(path, focused)


@pytest.mark.parametrize(("mode", "subarray"), MODES)
def test_the_header_tells_where_the_star_is(mode, subarray):
    observation = meta_of(mode, subarray)
    target, image = Target.from_meta(observation.meta), observation.mode.image
    assert (float(target.x_px), float(target.y_px)) == pytest.approx(image.centre_px)
    assert image.throughput.x[0] < float(target.wavelength_um) < image.throughput.x[-1]
    assert target.radii_px.tolist() == ([71.0, 74.0, 86.0] if image.defocus_diameter_px else [3.0, 4.0, 5.0])
    assert float(target.integration_s) == pytest.approx(observation.cadence_s, rel=0.5)
