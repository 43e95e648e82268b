"""The depth that summed light shows, without any reduction: what the simulator alone does to a transit.

A planet in the middle of a star without limb darkening hides k^2 of its light. So the exposure is as short as can be:
`INTEGRATIONS` of them under an orbit compressed to half of their time, the middle one wholly in transit, the second and
the last but one wholly out of it. Light is the difference of the last and the first group, summed over pixels.
"""

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.kernels.polynomial import horner
from uptheramp.simulate.calibration import linearity, programme
from uptheramp.simulate.observation import Observation, observe
from uptheramp.simulate.optics.dispersed import Spectrum
from uptheramp.simulate.ramps import clock, render
from uptheramp.simulate.ramps.render import Constants
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

INTEGRATIONS = 9
OUT, IN = (1, 7), 4
DARK = Curve((0.5, 30.0), (0.0, 0.0))  # limb darkening of a uniform disc

Groups = Float[np.ndarray, "integration group y x"]


def short(mode: str, star: Star, planet: Planet, effects: tuple[str, ...], **keywords) -> Observation:
    """The exposure; keywords as of `observe`."""
    uniform = replace(planet, u1=DARK, u2=DARK, t0_bjd_tdb=None)
    return observe(
        mode,
        star=replace(star, limb_darkening=None),
        planet=uniform,
        nints=INTEGRATIONS,
        compression=None,
        background_scale=0.0,
        effects=effects,
        **keywords,
    )


def double(constants: Constants) -> Constants:
    """In float64: a float32 sum of a million electrons is rounded to a part in ten million, a ppm of a depth of 2 %."""
    return jax.tree.map(lambda x: np.asarray(x, float) if np.asarray(x).dtype == np.float32 else x, constants)


def alone(constants: Constants, index: int) -> Constants:
    """Return the same with one order of the star only."""
    return eqx.tree_at(lambda c: c.spectra, constants, (constants.spectra[index],))


def filled(observation: Observation, constants: Constants, fill: float) -> Constants:
    """Return the same under a star as bright as leaves the brightest pixel `fill` of its well at the last group."""
    light, _ = render.illumination(constants, render.expected_pointing(constants))
    held = float(np.asarray(light.rate).max()) * clock.group_end_s(observation)[-1]
    factor = fill * float(constants.maps.well_e) / held
    return eqx.tree_at(lambda c: [s.photons for s in c.spectra], constants, replace_fn=lambda p: p * factor)


def groups(observation: Observation, constants: Constants) -> Groups:
    """Groups of the mean exposure, DN, pedestal included where the effect is on."""
    return np.asarray(render.mean_chunk(observation, constants, 0, observation.nints)[0])


def depth(data: Groups, constants: Constants, columns: slice = slice(None)) -> float:
    """1 - light in transit / light out of it, in electrons: outputs differ in gain."""
    gain = np.asarray(constants.maps.gain, float)[:, columns]
    light = ((np.asarray(data[:, -1], float) - data[:, 0]) * gain).sum((1, 2))
    return float(1 - light[IN] / light[list(OUT)].mean())


def true_depth(constants: Constants, columns: slice = slice(None)) -> float:
    """Return sum w L * (T F k^2) / sum w L * (T F) over all orders, w the share of an element's light in the window."""
    light, lost = 0.0, 0.0
    for s in constants.spectra:
        k = s.curve.bodies[0].radius_ratio
        spread = isinstance(s, Spectrum)
        share = np.asarray(s.profile).sum(s.dispersion_axis - 1) if spread else np.sum(s.images.at_rest(), (1, 2))
        own, hidden = (np.asarray(s.response(p)) * share for p in (s.photons, s.photons * k**2))
        light, lost = light + own[columns].sum(), lost + hidden[columns].sum()
    return float(lost / light)


def straightened(
    constants: Constants, columns: slice = slice(None), *, within_groups: bool = True
) -> Callable[[Groups], Groups]:
    """Return the correction by the polynomial that fits noise-free flat ramps (oracle), for groups without pedestal.

    The polynomial p of an average of n frames is not the average of the p of the frames, which is larger by
    p'' v / 2 with v = (signal a frame)^2 (n^2 - 1) / 12; `within_groups` adds that.
    """
    ramp = programme.flat_ramp(constants, None)
    part = replace(ramp, signal=ramp.signal[..., columns])
    well_e, readout = float(constants.maps.well_e), constants.recipe.readout
    gain = np.asarray(constants.maps.gain, float)[:, columns]
    first = linearity.in_dn(linearity.fit(part, well_e), well_e / gain)
    degree = np.arange(len(first))[:, None, None]
    second = (degree * (degree - 1) * first)[2:]

    def correct(data: Groups) -> Groups:
        seen = data[..., columns]
        straight = np.asarray(horner(first, seen))
        if not within_groups or readout.nframes == 1:
            return straight
        step = np.gradient(seen, axis=1) / readout.frames_per_group
        return straight + np.asarray(horner(second, seen)) * step**2 * (readout.nframes**2 - 1) / 24

    return correct
