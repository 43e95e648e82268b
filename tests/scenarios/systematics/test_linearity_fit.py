"""`uptheramp fit` of non-linearity: recovered, as an independent fit finds it, and taken by both pipelines."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.scenarios.systematics import exposures, fit_file, forward, linearity, run
from uptheramp.simulate.ramps import covariance, lamp, render

PAGE = Path(__file__).parents[3] / "docs" / "systematics.md"


def example():
    """The fit file that the page shows."""
    page = PAGE.read_text()
    shown = page[page.index("<!-- fit file -->") : page.index("<!-- end -->")]
    return shown[shown.index("```toml") + len("```toml") : shown.rindex("```")]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    (folder / "small.toml").write_text(example())
    return run.fit_file(str(folder / "small.toml"), folder / "out")


def test_truth_is_recovered_with_honest_errors(fitted):
    figures = json.loads((fitted / "fit.json").read_text())
    assert figures["converged"] > 0.995
    # 1/f noise is common to the pixels of a line, so the mean of all pulls is that of some hundred independent ones
    assert np.abs(figures["truth"]["pull_mean"]).max() < 0.2
    assert figures["truth"]["pull_scatter"] == pytest.approx(np.ones(4), abs=0.06)
    assert abs(figures["checks"]["chi_square"]["sigma"]) < 5
    assert figures["laplace_over_fisher"] == pytest.approx(1, abs=0.05)
    assert "does not describe" not in (fitted / "report.html").read_text()


def test_the_reference_is_read_back_and_makes_true_ramps_linear(fitted):
    file, _ = fit_file.find(str(fitted.parent / "small.toml"))
    o = exposures.observed(file, 6, 1, 0)
    found = Linearity.from_file(fitted / "references" / "fitted" / "nirspec_nrs1_linearity.fits", o.meta)
    ramps = lamp.build(o, lamp.rate_to_fill(o, 0.9))
    on = ("flat", "poisson", "nonlinearity", "reference_pixels")
    raw = np.asarray(render.mean_ramps(ramps, np.int64(0), 1, on, {})[0][0], float)
    good = (np.asarray(found.dq) == 0) & ~np.asarray(ramps.maps.dead)
    straight = np.polynomial.polynomial.polyval(raw, np.asarray(found.coeffs, float), tensor=False)
    # the last difference over the first, 1 when linear; single pixels scatter, the mean does not
    before, after = (np.diff(r, axis=0)[-1][good] / np.diff(r, axis=0)[0][good] for r in (raw, straight))
    assert np.median(before) < 0.9
    assert np.median(after) == pytest.approx(1, abs=0.005)
    assert np.array_equal(np.asarray(found.dq) == 0, np.asarray(found.coeffs)[2] != 0)


@pytest.mark.peer
def test_the_official_function_takes_the_reference(fitted):
    pytest.importorskip("jwst")
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import LinearityModel, dqflags

    with LinearityModel(fitted / "references" / "fitted" / "nirspec_nrs1_linearity.fits") as model:
        assert model.meta.reftype == "LINEARITY"
        coeffs, dq = np.array(model.coeffs), np.array(model.dq)
    data = np.full((1, 2, *dq.shape), 20000.0, np.float32)
    out = linearity_correction(data.copy(), np.zeros(data.shape, np.uint8), 0 * dq, coeffs.copy(), dq, dqflags.pixel)
    ours = np.polynomial.polynomial.polyval(data.astype(float), coeffs.astype(float), tensor=False)
    known = dq == 0
    np.testing.assert_allclose(np.asarray(out[0])[..., known], ours[..., known], rtol=1e-6)


def independent(mean, count, model, groups, x0, prior_sd, terms):
    """The same fit written out in numpy: times of reads, series, Poisson walk through its slope, scipy's search."""
    t = np.arange(1, groups + 1) * float(model.params.frame_time_s)
    gain, sigma, well = float(model.maps.gain[0, 0]), float(model.maps.read_noise_e[0, 0]), float(model.maps.well_e)
    powers = np.arange(1, terms + 1)

    def signal(a, rate):
        q = rate * t
        return q * (1 - (a[:, None] * (q / well) ** powers[:, None]).sum(0)) / gain

    def slope(a, rate):
        q = rate * t / well
        return (1 - ((powers + 1)[:, None] * a[:, None] * q ** powers[:, None]).sum(0)) / gain

    def factors(x):
        out = []
        for n, rate in zip(count, np.exp(x[terms:]), strict=True):
            s = slope(x[:terms], rate)
            reads = s[:, None] * s * np.minimum.outer(rate * t, rate * t) + np.eye(groups) * (sigma / gain) ** 2
            d = np.diff(np.eye(groups), axis=0)
            out.append(np.linalg.inv(np.linalg.cholesky(d @ reads @ d.T / n)))
        return out

    def residuals(x, white):
        parts = [
            w @ (m - np.diff(signal(x[:terms], r))) for w, m, r in zip(white, mean, np.exp(x[terms:]), strict=True)
        ]
        return np.concatenate([*parts, x[:terms] / prior_sd])

    x = x0
    for _ in range(linearity.WEIGHINGS):
        x = least_squares(residuals, x, args=(factors(x),), xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    return x


def test_a_pixel_is_fitted_as_an_independent_program_fits_it():
    file = fit_file.FitFile("x", "linearity", "nirspec_prism", (fit_file.RampsBlock(fill=0.5, ngroups=6, nints=5),))
    o = exposures.observed(file, 6, 5, 0)
    model = forward.nominal(o, ("poisson", "nonlinearity", "read_noise"))
    rng = np.random.default_rng(3)
    law = linearity.Series(jnp.asarray([0.1, 0.05, 0.0])[:, None, None], model.maps.well_e)
    rates = [lamp.rate_to_fill(o, f) for f in (0.4, 0.9)]
    lit = [forward.under(forward.with_physics(model, law), jnp.full((1, 1), r)) for r in rates]
    mean = np.stack([np.asarray(forward.differences(c, 0))[:, 0, 0] for c in lit])
    mean = mean + 3 * rng.standard_normal(mean.shape)
    count = np.array([20.0, 30.0])
    block = fit_file.LinearityBlock(terms=3, prior_sd=1.0)
    found = linearity.fit(model, mean[..., None], count[:, None], np.zeros(1), block, 0)
    start = np.concatenate([np.zeros(3), np.log(rates)])
    other = independent(mean, count, model, 6, start, 1.0, 3)
    error = found.error[:, 0]
    assert np.abs(found.value[:3, 0] - other[:3]).max() < 2e-3 * error[:3].min()
    np.testing.assert_allclose(found.value[3:, 0], np.exp(other[3:]), rtol=1e-6)


def test_a_window_larger_than_the_modes_takes_longer_to_read():
    """In a frame that ends before its lines do 1/f noise would grow without bounds."""

    def seen(window):
        blocks = (fit_file.RampsBlock(fill=0.5, ngroups=4, nints=2),)
        o = exposures.observed(fit_file.FitFile("x", "linearity", "nirspec_prism", blocks, window=window), 4, 1, 1)
        return o.subarray.frame_time_s, lamp.build(o, lamp.rate_to_fill(o, 0.5)).own["one_over_f"].decay

    (short, small), (long, large) = seen((16, 16)), seen((512, 128))
    assert short < 512 * 128 * CLOCK_S < long
    assert (np.asarray(small) <= 1).all()
    assert (np.asarray(large) <= 1).all()


@pytest.mark.parametrize("pattern", ["SHALLOW4", "RAPID"])
def test_the_covariance_is_that_of_the_simulators_faces(pattern):
    file = fit_file.FitFile("x", "linearity", "nircam_f322w2", (fit_file.RampsBlock(fill=0.5, ngroups=4, nints=5),))
    o = exposures.observed(file, 4, 5, 0)
    o = replace(o, pattern=lookup.pattern(o.instrument, pattern))
    on = ("poisson", "nonlinearity", "read_noise", "one_over_f", "adc")
    model = forward.under(forward.nominal(o, on, (2, 2)), jnp.full((2, 2), 5e3))
    pointing, shine = render.expected_pointing(model), partial(render.illumination, model)
    reads = covariance.of_reads(pointing, shine, model.maps, model.params, model.own, on)
    found = np.asarray(jax.jit(forward.spread, static_argnums=1)(model, 1))
    for lag in (0, 1):
        theirs = np.asarray(covariance.group_differences(reads, o.readout, lag))[1:]
        np.testing.assert_allclose(np.stack([found[i, i + lag] for i in range(len(theirs))]), theirs, rtol=1e-6)
