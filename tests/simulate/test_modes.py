"""Every mode of the tables: where its light falls, how much of it there is, and that it is written as it should be."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import h
from astropy.io import fits
from astropy.modeling.physical_models import BlackBody
from scipy.integrate import cumulative_trapezoid
from scipy.stats import norm

from uptheramp.calibrate.instruments import lookup
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics import point_spread, sources, trace
from uptheramp.simulate.optics.readout_time import offsets_s
from uptheramp.simulate.optics.spectrograph import TELESCOPE_AREA_M2, line_sigma_px
from uptheramp.simulate.ramps import level1b
from uptheramp.simulate.scene.star import K_WAVELENGTH_UM, K_ZERO_JY, Star
from uptheramp.simulate.state import Pointing

STAR = Star(9.0, 5500.0)
HALVES = ("nrs1", "nrs2")
FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
# one of each kind of detector, read-out and optics; the others differ in numbers
KINDS = {
    "niriss_soss": {},
    "nircam_f322w2": {"outputs": 4},
    "nircam_f444w": {"outputs": 1},
    "nircam_wlp8_f210m_nrca3": {},
    "nircam_image_f277w": {},
    "nirspec_prism": {},
    "nirspec_g395h_nrs2": {},
    "miri_lrs": {},
    "miri_image_f1500w": {},
}


WRITTEN = ("nircam_image_f277w", "miri_image_f1500w")  # others elsewhere: the whole chain takes long to compile


def of(chosen, always=tuple(KINDS)):
    """Modes as parameters: one of each kind always, the others with `-m slow`."""
    names = [m.name for m in lookup.modes() if chosen(m)]
    return [pytest.param(n, marks=() if n in always else pytest.mark.slow) for n in names]


def smallest(name, planet, **changes):
    """The mode in the smallest window that holds most orders, one integration of two groups."""
    instrument, mode = lookup.find_mode(name)
    windows = [lookup.window(instrument, mode, w, changes.get("outputs")) for w in mode.subarrays]
    orders = {w: len(lookup.placed(instrument, mode, w).orders) for w in windows}
    chosen = min((w for w in windows if orders[w] == max(orders.values())), key=lambda w: w.size[0] * w.size[1])
    return observe(name, subarray=chosen.name, ngroups=2, nints=1, star=STAR, planet=planet, **changes)


def photons(lam):
    """Photons / s / m2 / um of the star: Planck's law through the K magnitude, by astropy."""
    law = BlackBody(temperature=STAR.teff_k * u.K)
    relative = law(lam * u.um) / law(K_WAVELENGTH_UM * u.um)
    density = relative * K_ZERO_JY * 10 ** (-0.4 * STAR.k_mag) * u.Jy
    return (density / (h * lam * u.um)).to_value(1 / (u.s * u.m**2 * u.um))


def shines(source):
    """Image of a source half a day before the transit, e-/s, and the light of its elements."""
    rate, elements = source.light(np.full(1, -4e4), np.float64(1.0), Pointing.at_rest(1, np.int64(0), {}))
    return np.asarray(rate, float)[0], np.asarray(elements, float)


@pytest.mark.parametrize("name", of(lambda m: m.orders))
def test_spectra_lie_on_their_traces_and_hold_the_light(name, planet):
    o = smallest(name, planet)
    turn = np.asarray if o.mode.dispersion_axis == 1 else np.transpose
    for order, source in zip(o.mode.orders, sources.of_target(o), strict=True):
        image, elements = shines(source)
        image = turn(image)
        across, along = image.shape
        x = np.arange(along, dtype=float)
        # what a pixel should hold: the integral over its wavelengths, then what the line spread takes over the ends
        edge = np.arange(along * 16 + 1) / 16 - 0.5
        lam = trace.wavelength(order, edge)
        efficiency = np.interp(lam, order.throughput.x, order.throughput.y, left=0, right=0)
        inside = trace.covered(order, (edge[1:] + edge[:-1]) / 2)
        summed = cumulative_trapezoid(photons(lam) * efficiency * TELESCOPE_AREA_M2, lam, initial=0)
        each = np.abs(np.diff(summed) * inside).reshape(along, 16).sum(1)
        lit = np.flatnonzero(each)
        spread = line_sigma_px(order, x[lit[[0, -1]]])
        slack = 2e-3 * each.sum() + (each[lit[[0, -1]]] * spread).sum()
        assert elements.sum() == pytest.approx(each.sum(), abs=slack)
        # across: the share of the profile within the window
        centre = np.interp(x, order.trace_px.x, order.trace_px.y)
        fwhm = np.interp(trace.wavelength(order, x), order.fwhm_px.x, order.fwhm_px.y)
        ends = np.array([[-0.5], [across - 0.5]]) - centre
        if order.horns is None:
            below = norm.cdf(ends * FWHM_PER_SIGMA / fwhm)
        else:
            below = trace.horned(ends, fwhm, order.horns, trace.wavelength(order, x))
        share = below[1] - below[0]
        assert image.sum() == pytest.approx((elements * share).sum(), rel=1e-4)
        # half of a column's light lies below the trace, where the whole profile is in the window
        whole = lit[(centre[lit] > fwhm[lit]) & (centre[lit] < across - fwhm[lit]) & (each[lit] > 0.05 * each.max())]
        half = [np.interp(0.5, np.cumsum(image[:, i]) / image[:, i].sum(), np.arange(across) + 0.5) for i in whole]
        # a defocused profile leans towards its higher horn
        assert np.abs(half - centre[whole]).max() < (0.1 if order.horns is None else 2.5)


@pytest.mark.parametrize("name", of(lambda m: m.image))
def test_images_stand_at_their_targets_and_hold_the_light(name, planet):
    o = smallest(name, planet)
    star = o.mode.image
    image, elements = shines(sources.of_target(o)[0])
    lam = np.linspace(star.throughput.x[0], star.throughput.x[-1], 20001)
    seen = photons(lam) * np.interp(lam, star.throughput.x, star.throughput.y) * TELESCOPE_AREA_M2
    assert elements.sum() == pytest.approx(np.trapezoid(seen, lam), rel=2e-3)
    held = image.sum() / elements.sum()
    height, width = o.shape
    if star.defocus_diameter_px:
        outer = star.defocus_diameter_px / 2
        offset = np.arange(-outer, outer, 0.05)
        ring = np.hypot(offset[:, None], offset)
        ring = (ring < outer) & (ring > outer * point_spread.HOLE)
        rows, columns = offset + star.centre_px[1], offset + star.centre_px[0]
        within = (
            (rows > -0.5) & (rows < height - 0.5),
            (columns > -0.5) & (columns < width - 0.5),
        )
        assert held == pytest.approx((ring & within[0][:, None] & within[1]).sum() / ring.sum(), abs=5e-3)
        return
    # wider images lose more light: between those of the shortest and the longest wavelength
    middle = np.average(lam, weights=seen)

    def share(wavelength):
        total = 0.0
        for part, wider in point_spread.GAUSSIANS:
            sigma = star.fwhm_px * wider * wavelength / middle / FWHM_PER_SIGMA
            inside = 1.0
            for c, size in zip(star.centre_px, (width, height), strict=True):
                ends = np.clip([-0.5 - c, size - 0.5 - c], -100.5, 101.5)  # of the box that is drawn
                inside *= np.diff(norm.cdf(ends / sigma))[0]
            total += part * inside
        return total

    assert share(lam[-1]) - 2e-3 < held < share(lam[0]) + 2e-3
    peak = np.unravel_index(image.argmax(), image.shape)
    assert np.abs(np.array(peak[::-1]) - star.centre_px).max() <= 0.5 + 1e-6


@pytest.mark.filterwarnings("ignore:.*full before the second group")
@pytest.mark.parametrize("name", of(lambda m: True, WRITTEN))
def test_a_bright_star_is_written_without_wrapping(name, planet, tmp_path):
    o = replace(smallest(name, planet, **KINDS.get(name, {})), star=Star(4.0, 5500.0))
    (path,) = level1b.write(o, tmp_path)
    with fits.open(path) as file:
        data = file["SCI"].data.astype(int)
    assert data.shape == (1, 2, *o.shape)
    # charge only grows; what falls is noise, kTC and bias apart, and a wrap falls by far
    assert np.diff(data, axis=1).min() > -2000
    assert data[0, -1].max() > data[0, 0].max() - 2000
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    with datamodels.open(path) as model:
        assert type(model).__name__ == "Level1bModel"
        assert model.data.shape == data.shape
        assert (model.meta.instrument.detector, model.meta.subarray.name) == (o.detector.name, o.subarray.name)


GAPS_UM = {  # JDox, BOTS wavelength ranges and gaps
    "nirspec_g140h_f100lp": (1.31435, 1.35133),
    "nirspec_g235h": (2.203, 2.26508),
    "nirspec_g395h": (3.72013, 3.82446),
}


@pytest.mark.parametrize("name", GAPS_UM)
def test_no_wavelength_is_on_both_detectors_and_the_gap_is_there(name, planet):
    first, second = (observe(f"{name}_{half}", ngroups=2, nints=1, star=STAR, planet=planet) for half in HALVES)
    found = []
    for o, at in ((first, -1), (second, 0)):
        order = o.mode.orders[0]
        edge = np.arange(o.shape[1] + 1) - 0.5
        lam = trace.wavelength(order, edge[trace.covered(order, edge)])
        assert (np.diff(lam) > 0).all()
        low, high = o.mode.useful_range_um
        pixel = np.diff(lam).max()
        assert lam[0] - pixel < low < high < lam[-1] + pixel
        found.append((lam[at], 10 * np.diff(lam).mean()))  # tables are sure to 10 pixels
    for (end, slack), gap in zip(found, GAPS_UM[name], strict=True):
        assert end == pytest.approx(gap, abs=slack)


@pytest.mark.parametrize("name", ["nircam_f322w2", "nircam_f444w"])
def test_grism_with_one_and_four_outputs(name, planet):
    four, one = (smallest(name, planet, outputs=n) for n in (4, 1))
    assert four.shape == one.shape == (64, 2048)
    assert one.subarray.frame_time_s / four.subarray.frame_time_s == pytest.approx(4, rel=0.03)
    stripes = offsets_s(four)
    assert stripes[:, :512] == pytest.approx(stripes[:, 512:1024])
    line = offsets_s(one)[5]
    assert np.unique(line).size == 2048
    assert np.ptp(line) == pytest.approx(2047e-5)
    images = [shines(sources.of_target(o)[0])[0] for o in (four, one)]
    assert images[0] == pytest.approx(images[1], rel=1e-6)
