"""Depth and time from light curve to spectrum, without noise: what the algorithms alone get wrong."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.exposure import Exposure, Segment
from uptheramp.calibrate.io.times import DAY_S
from uptheramp.calibrate.reduce import reftypes
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.series import aperture_of, bin_channels, timing
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.sink import mean_used_s
from uptheramp.calibrate.state import Spectra
from uptheramp.calibrate.stream import learned, split
from uptheramp.scenarios.judge import true_channels
from uptheramp.scenarios.reduced import Reduced, fit_planet
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.scenarios.twin import DECISIONS, mean_rendering, rendered_spectra
from uptheramp.simulate import truth
from uptheramp.simulate.ramps import clock, references
from uptheramp.simulate.ramps.render import build

# a transit of few integrations would show that the slope weighs the groups of faint pixels unevenly: 1 ppm at 30
SHORT = {"nints": 110, "integrations_in_transit": 52.0}
MODES = {
    "nirspec_prism": {},
    "nircam_f322w2": {"ngroups": 5},
    "nircam_f322w2 averaged": {"ngroups": 3, "pattern": "BRIGHT2"},
    # no default step takes out what the integration before leaves behind, and the tones of the EMI are fitted, not
    # known: each moves depths by a few ppm
    # faint channels weigh the groups of an integration unevenly, which the fit's exposure does not know: an error that
    # falls as the square of the integrations in transit: 1.5 ppm at 52, 1.2 at 70; a visit as observed has 400
    "miri_lrs": {"ngroups": 8, "nints": 190, "integrations_in_transit": 90.0, "effects_off": ("rscd", "emi")},
    "nircam_image_f210m": {},
    # the wings of the image are faint: 1.3 ppm at 52 integrations in transit
    "miri_image_f1500w": {"ngroups": 8, "nints": 190, "integrations_in_transit": 90.0, "effects_off": ("rscd", "emi")},
}


def setup_of(name):
    scenario = find("imaging" if "image" in name else "quickstart")
    block = next(b for b in scenario.mode if b.label == name.split()[0])
    return scenario, replace(block, **(SHORT | MODES[name]))


def double(tree):
    """In float64: a float32 sample of 11 000 DN is rounded to 0.001 DN, which costs faint channels a ppm or two."""
    return jax.tree.map(lambda x: np.asarray(x, float) if np.asarray(x).dtype == np.float32 else x, tree)


def recovered(scenario, block, nonlinearity):
    """The planet's spectrum of the mean exposure with oracle references, and its truth."""
    observation = observation_of(scenario, block)
    constants = double(build(observation))
    meta = observation.meta
    instrument, mode, subarray = lookup.match(meta)
    chosen = recipe("recommended", instrument.step_family, meta.exp_type)
    taken = reftypes(chosen.stage1 + chosen.stage2 + chosen.stage3)
    library = {name: kind.from_meta(meta) for name, kind in taken.items() if hasattr(kind, "from_meta")}
    library |= {name: r for name, r in references.make(observation, constants, "oracle").items() if name in taken}
    if not nonlinearity:
        library["linearity"] = Linearity.neutral(meta)
    library = double(library)
    times = clock.int_times(observation)
    exposure = Exposure((Segment(Path("memory_uncal.fits"), meta, "uncal", times),), instrument, mode, subarray)
    render = mean_rendering(observation, constants, nonlinearity)
    picks = (np.array([0, 30, 60, 90]) * min(1, observation.nints / 110)).astype(int)
    sample = exposure.ramps(np.concatenate([render(int(i), 1) for i in picks]), picks, np.ones(4, bool))
    steps = chosen.stage1 + split(chosen.stage2, Spectra)[0] + split(chosen.stage3, Spectra)[1]
    library = learned(tuple(s for s in steps if s.name not in DECISIONS), sample, library, chosen.params)
    groupdq = np.zeros((observation.nints, meta.ngroups, *meta.shape), np.uint8)
    spectra = rendered_spectra(render, exposure, chosen, library, groupdq, None)
    # the last group of MIRI is dropped by a step; times follow the groups that are used
    dropped = "lastframe" in {s.name for s in chosen.stage1}
    if dropped:
        groupdq[:, -1] = flags.DO_NOT_USE
        meta = replace(meta, mean_group_s=mean_used_s(groupdq[:1], meta))
        exposure = replace(exposure, segments=(replace(exposure.segments[0], meta=meta),))
    when = timing(exposure, aperture_of(library))
    range_um = block.range_um or mode.useful_range_um
    power = block.resolving_power or scenario.reduction.resolving_power
    curves, binning = bin_channels(spectra, when, power, range_um, mode.orders)
    dq = [np.asarray(library[name].dq) for name in ("mask", "flat", "dflat") if name in library]
    lost = np.bitwise_or.reduce([d.reshape(-1, *meta.shape)[0] for d in dq]) & flags.DO_NOT_USE > 0
    reduced = Reduced(exposure, chosen, library, groupdq, None, lost, spectra, when, binning, curves)
    nothing = np.zeros((observation.nints, 1, 1))
    true = true_channels(
        reduced, observation, truth.of(observation, constants, nothing, nothing, truth.no_cosmic_rays())
    )
    return fit_planet(curves, true.system, "fixed", 1), true


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize(("nonlinearity", "limit_ppm"), [(False, 1.0), (True, 5.0)], ids=["linear", "charge physics"])
def test_depth_and_time_are_recovered_without_noise(name, nonlinearity, limit_ppm):
    fitted, true = recovered(*setup_of(name), nonlinearity)
    bias = (np.asarray(fitted.planet.depth) - true.depth) * 1e6
    late_s = (float(fitted.white.t0) - true.system.t0_bjd_tdb) * DAY_S
    print(f"{name}: bias {bias.min():.2f} .. {bias.max():.2f} ppm, {late_s:.4f} s")  # noqa: T201
    assert np.abs(bias).max() < limit_ppm
    assert abs(late_s) < 0.1


def test_both_orders_of_soss_are_recovered_without_noise():
    """Every R = 100 bin of order 2 (0.6 to 0.85 micron) and of order 1 (0.85 to 2.8) within 10 ppm.

    No step knows the steps of the converter (inl), which move single bins.
    """
    scenario = find("wasp-39b-niriss-soss-quick")
    small = {"ngroups": 3, "nints": 16, "integrations_in_transit": 7.0, "effects_off": ("inl",)}
    fitted, true = recovered(scenario, replace(scenario.mode[0], resolving_power=100.0, **small), nonlinearity=False)
    wavelength = np.asarray(fitted.planet.wavelength_um)
    bias = (np.asarray(fitted.planet.depth) - true.depth) * 1e6
    blue = wavelength < 0.85
    print(f"order 2: {np.abs(bias[blue]).max():.2f} ppm, order 1: {np.abs(bias[~blue]).max():.2f} ppm")  # noqa: T201
    assert blue.sum() > 30
    assert (~blue).sum() > 110
    assert (wavelength[0], wavelength[-1]) == pytest.approx((0.603, 2.806), abs=0.01)
    assert np.abs(bias).max() < 10
