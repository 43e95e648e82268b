"""What the report shows of one mode."""

from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.times import group_times_s
from uptheramp.calibrate.state import Photometry
from uptheramp.scenarios.scenario import Scenario
from uptheramp.validate import report_types as types
from uptheramp.validate.metrics.lightcurve import beta

if TYPE_CHECKING:
    from uptheramp.scenarios.run import ModeRun

HOUR = 24.0


def mode_report(scenario: Scenario, done: "ModeRun") -> types.ModeReport:
    """Fill the report's record of a mode."""
    o, reduced = done.observation, done.reduced
    return types.ModeReport(
        name=done.block.label,
        title=f"{o.instrument.name} {o.mode.filter or ''} {o.mode.grating or o.mode.pupil} {o.subarray.name}".replace(
            "  ", " "
        ),
        scenario=(
            ("star", f"{o.star.teff_k:.0f} K, K = {o.star.k_mag:.1f}"),
            ("exposure", f"{o.nints} integrations of {o.ngroups} groups, {o.pattern.name}, {o.cadence_s:.3f} s each"),
            ("orbit", f"{o.compression:.1f} times faster than the real one" if o.compression != 1 else "real"),
            ("transit", f"{o.orbit_planet.duration_d * HOUR * 60:.1f} minutes from first to last contact"),
            ("channels", f"{len(done.fitted.planet.depth)}"),
            ("step table", reduced.recipe.table),
            ("limb darkening", scenario.reduction.limb_darkening),
            ("time taken", f"{done.seconds:.0f} s"),
        ),
        effects=tuple((name.replace("_", " "), "on") for name in o.effects),
        steps=tuple(step.name for step in reduced.recipe.stage1 + reduced.recipe.stage2 + reduced.recipe.stage3),
        references=scenario.reduction.references,
        approximate=o.mode.approximate,
        frames=_frames(done),
        ramps=_ramps(done),
        light_curve_map=_map(done),
        white_light=_white(done),
        spectrum=types.DepthSpectrum(
            wavelength_um=np.asarray(done.fitted.planet.wavelength_um),
            half_width_um=np.asarray(done.fitted.planet.half_width_um),
            depth=np.asarray(done.fitted.planet.depth),
            covariance=np.asarray(done.fitted.planet.covariance),
            truth=np.asarray(done.true_depth),
        ),
        metrics=done.metrics,
    )


def _middle(done: "ModeRun") -> int:
    return done.reduced.exposure.nints // 4  # out of transit


def _outliers(done: "ModeRun") -> Exposure:
    images = done.reduced.outliers
    assert images is not None  # the run of a mode writes its crfints
    return images


def _frames(done: "ModeRun") -> types.Frames:
    reduced, index = done.reduced, _middle(done)
    raw = reduced.exposure.read(index, 1)[0]
    rates = _outliers(done).rates(index, 1)
    return types.Frames(
        first_group_dn=raw[0],
        last_group_dn=raw[-1],
        rate=np.asarray(rates.data[0], float),
        saturated=(reduced.groupdq[index, -1] & flags.SATURATED) > 0,
        flagged=(np.asarray(rates.dq[0]) & flags.DO_NOT_USE) > 0,
        dispersion_axis=done.observation.mode.dispersion_axis,
        rate_unit=rates.unit,
    )


def _ramps(done: "ModeRun") -> tuple[types.RampExample, ...]:
    """The brightest usable pixel, and one hit by a cosmic ray in that integration where there is one."""
    reduced, index = done.reduced, _middle(done)
    folder = _outliers(done).segments[0].path
    with fits.open(folder.with_name(folder.name.replace("_crfints", "_rateints"))) as hdus:
        slope = np.asarray(hdus["SCI"].section[index], float)
    raw = reduced.exposure.read(index, 1)[0].astype(float)
    groupdq = reduced.groupdq[index]
    time_s = group_times_s(reduced.exposure.meta)
    light = done.truth.star_e_per_s * np.isfinite(slope)
    picks = [("brightest pixel", np.unravel_index(np.argmax(light), light.shape))]
    hit = ((groupdq & flags.JUMP_DET) > 0).any(0) & np.isfinite(slope)
    if hit.any():
        worst = np.where(hit, np.abs(np.diff(raw, axis=0)).max(0), -1)
        picks.append(("a pixel with a jump", np.unravel_index(np.argmax(worst), worst.shape)))
    bad = flags.DO_NOT_USE | flags.SATURATED | flags.JUMP_DET
    return tuple(
        types.RampExample(
            title=f"{what}: y {y}, x {x}, integration {index + 1}",
            time_s=time_s,
            raw_dn=raw[:, y, x],
            linear_dn=None,
            slope_dn_per_s=float(slope[y, x]),
            usable=(groupdq[:, y, x] & bad) == 0,
        )
        for what, (y, x) in picks
    )


def _map(done: "ModeRun") -> types.LightCurveMap | None:
    spectra = done.reduced.spectra
    if isinstance(spectra, Photometry):
        return None
    good = (np.asarray(spectra.dq) & flags.DO_NOT_USE) == 0
    time = done.reduced.when.time
    lit = np.isfinite(np.asarray(spectra.wavelength_um))
    return types.LightCurveMap(
        time_h=(time - done.observation.orbit_planet.t0_bjd_tdb) * HOUR,
        wavelength_um=np.asarray(spectra.wavelength_um, float)[lit],
        flux=np.where(good, np.asarray(spectra.flux, float), np.nan).T[lit],
    )


def _white(done: "ModeRun") -> types.WhiteLight:
    fit, o = done.fitted.white, done.observation
    residuals = np.asarray(fit.curve.residuals)
    clean = residuals[np.isfinite(residuals)]
    points = max(1, round(done.block.integrations_in_transit / 4)) if done.block.integrations_in_transit else 10
    expected = next((r.value for r in done.metrics.records if r.name == "scatter_ratio_pr"), None)
    rms = next((r.value for r in done.metrics.records if r.name == "out_of_transit_rms"), None)
    scale = float(np.asarray(fit.curve.error_scale))
    flux = np.asarray(fit.flux)
    return types.WhiteLight(
        time_h=(np.asarray(fit.time) - o.orbit_planet.t0_bjd_tdb) * HOUR,
        flux=flux,
        error=np.full(len(flux), np.nanstd(clean)) if not np.isfinite(scale) else np.full(len(flux), np.std(clean)),
        model=np.asarray(fit.curve.model),
        beta={f"{points} points (T14/4)": float(beta(clean, points))},
        expected_ppm=None if not expected or not rms else rms / expected,
    )
