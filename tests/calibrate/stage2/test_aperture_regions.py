"""Apertures whose edges follow the wavelength, and apertures of several regions."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from miri_lrs import META
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d
from uptheramp.scenarios.systematics.directions import aperture as moved_edges

OFFICIAL = Extract1dParams(background="subtract", missing="omit", trace=False)
# wavelengths of the made-up spectra run from 1 to 2.8 um over ten elements
EDGES = {
    "wavelength": [[2.3, 0.4, 0.11], [5.7, 0.41, 0.1], [6.85, 0.7], [10.4, 0.3, 0.1]],
    "pixel": [[2.3, 0.04, 0.011], [5.7, 0.041, 0.01], [6.85, 0.07], [10.37, 0.03, 0.01]],
}
WINDOWS = {"wavelength": [[-0.5], [1.5], [12.5, 0.0], [15.5, 0.0]], "pixel": [[-0.5], [1.5], [12.5, 0.0], [15.5, 0.0]]}


def tilted(made):
    """Wavelengths that are not the same along a dispersion element; none at one of its ends."""
    along, across = np.mgrid[:10, :16].astype(float)
    lam = 1 + 0.2 * along + 0.01 * (across - 8)
    lam[-1] = np.nan
    return np.float32(lam if made.axis == 2 else lam.T)


def content(made, variable):
    aperture = {"id": "ANY", "dispaxis": made.axis, "independent_var": variable, "src_coeff": EDGES[variable]}
    letter = "x" if made.axis == 1 else "y"
    return aperture | {"bkg_coeff": WINDOWS[variable], "bkg_order": 1, f"{letter}start": 1}


def read(folder, made, variable):
    path = folder / "extract1d.json"
    path.write_text(json.dumps({"apertures": [content(made, variable)]}))
    y, x = made.state.data.shape[-2:]
    return Extract1d.from_file(path, replace(META, x_size=x, y_size=y))


@pytest.mark.peer
@pytest.mark.parametrize("variable", EDGES)
def test_official_profile_and_sums(tmp_path, made, variable):
    profiles = pytest.importorskip("jwst.extract_1d.extract")
    sums = pytest.importorskip("jwst.extract_1d.extract1d")
    reference, lam = read(tmp_path, made, variable), tilted(made)
    assert len(reference.regions) == 2
    assert reference.of_wavelength == (variable == "wavelength")
    shape = made.state.data.shape[-2:]
    y, x = shape
    stops = {"xstart": 0, "xstop": x - 1, "ystart": 0, "ystop": y - 1, "bkg_fit": "poly"}
    asked = stops | content(made, variable)
    theirs = profiles.box_profile(shape, asked, lam)
    theirs[np.isnan(lam)] = 0
    beside = profiles.box_profile(shape, asked, lam, coefficients="bkg_coeff")
    between = np.asarray(reference.between(shape)) & np.isfinite(lam)
    np.testing.assert_allclose(np.where(between, reference.inside(shape, lam), 0), theirs, atol=2e-6)
    assert ((theirs > 0) & (theirs < 1)).any() and theirs.max() == 1
    state = replace(made.state, wavelength_um=jnp.asarray(lam))
    ours, _ = jax.jit(lambda s: extract_1d(s, Extract1dRefs(reference, None), OFFICIAL))(state)
    turn = (lambda a: a) if made.axis == 1 else (lambda a: a.T)
    image = turn(state.data[2]).astype(np.float64)
    variance = [turn(v[2]).astype(np.float64) for v in (state.var_rnoise, state.var_poisson, state.var_flat)]
    how = {"bg_smooth_length": 0, "fit_bkg": True, "bkg_fit_type": "poly", "bkg_order": 1}
    found = sums.extract1d(image, [turn(theirs)], *variance, profile_bg=turn(beside), **how)
    flux, rnoise, poisson, _, background = (np.asarray(a[0]) for a in found[:5])
    used = turn(theirs).sum(0) > 0
    assert used.sum() == 8
    np.testing.assert_allclose(ours.flux[2][used], flux[used], rtol=3e-6, atol=1e-3)
    np.testing.assert_allclose(ours.var_rnoise[2][used], rnoise[used], rtol=1e-5)
    np.testing.assert_allclose(ours.var_poisson[2][used], poisson[used], rtol=1e-5)
    np.testing.assert_allclose(ours.background[2][used], background[used], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("variable", EDGES)
def test_derivatives_to_the_edges_and_the_wavelengths(tmp_path, made64, variable):
    made = made64
    reference, lam = read(tmp_path, made, variable), tilted(made).astype(float)
    rng = np.random.default_rng(2)
    tilt = 1 + rng.uniform(size=(6, 10))
    starts = (reference.lower, reference.upper, reference.more, np.where(np.isfinite(lam), lam, 0))
    # across is what edges tell: the wavelengths carry them along where they are functions of it
    steps = [rng.normal(size=start.shape) for start in starts]
    steps[3] *= 0.01

    def total(t):
        lower, upper, more, shifted = (x + s * d for x, s, d in zip(starts, t, steps, strict=True))
        state = replace(made.state, wavelength_um=jnp.where(np.isfinite(lam), shifted, jnp.nan))
        refs = Extract1dRefs(replace(reference, lower=lower, upper=upper, more=more), None)
        spectra, _ = extract_1d(state, refs, OFFICIAL)
        return jnp.nansum(spectra.flux * tilt) + jnp.nansum(spectra.var_poisson * tilt)

    total, slopes = jax.jit(total), jax.jit(jax.grad(total))(jnp.zeros(4))
    for k in range(4 if variable == "wavelength" else 3):
        h = 1e-7 * np.eye(4)[k]
        numerical = float(total(h) - total(-h)) / 2e-7
        assert abs(numerical) > 1e-3
        assert float(slopes[k]) == pytest.approx(numerical, rel=1e-5)


@pytest.mark.parametrize("variable", EDGES)
def test_what_is_written_is_read_and_moves(tmp_path, made, variable):
    reference, lam = read(tmp_path, made, variable), tilted(made)
    meta = replace(META, x_size=lam.shape[1], y_size=lam.shape[0])
    further = reference.moved(3, 1.25)
    path = tmp_path / "again.json"
    further.to_file(path, meta)
    again = Extract1d.from_file(path, meta)
    for name in ("lower", "upper", "more", "background"):
        np.testing.assert_allclose(getattr(again, name), getattr(further, name), rtol=1e-12)
    assert (again.of_wavelength, again.first) == (variable == "wavelength", 4)
    pad = [(0, 0), (3, 0)] if made.axis == 1 else [(3, 0), (0, 0)]
    wide = np.pad(lam, pad, constant_values=np.nan)
    along = (slice(None), slice(3, None)) if made.axis == 1 else (slice(3, None), slice(None))
    by_hand = replace(
        reference, **{side: getattr(reference, side) + [1.25, 0, 0] for side in ("lower", "upper")},
        more=reference.more + np.array([1.25, 0, 0]),
    )  # fmt: skip
    found, expected = further.inside(wide.shape, wide)[along], by_hand.inside(lam.shape, lam)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_middle_of_the_regions_by_their_width(tmp_path, made):
    reference, lam = read(tmp_path, made, "wavelength"), np.float64(tilted(made))
    with pytest.raises(InputError, match="functions of wavelength"):
        reference.middle_px(10)
    known = replace(reference, wavelength_um=lam)
    taken = np.asarray(known.inside(lam.shape, lam))
    pixel = np.arange(16)
    taken, pixel = (taken, pixel[:, None]) if made.axis == 1 else (taken.T, pixel[:, None])
    expected = ((taken * pixel).sum(0) / np.maximum(taken.sum(0), 1e-9))[:-1]
    np.testing.assert_allclose(known.middle_px(10)[:-1], expected, atol=0.1)  # parts of pixels
    assert np.isfinite(known.middle_px(10)).all()


def test_all_regions_move_in_a_sensitivity(tmp_path, made):
    reference = read(tmp_path, made, "pixel")
    moved = moved_edges(reference, 0.0, 0.5, jnp.ones(()))
    for (lower, upper), (low, high) in zip(moved.regions, reference.regions, strict=True):
        np.testing.assert_allclose([lower[0] - low[0], upper[0] - high[0]], 0.5)
        np.testing.assert_allclose(lower[1:], low[1:])
