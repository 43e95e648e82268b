"""What can be known before rendering: how much of the light falls into pixels that are full too early."""

import warnings

import jax
import numpy as np

from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock
from uptheramp.simulate.ramps.render import Constants, expected_pointing, illumination

HOPELESS = 0.5  # of the light: beyond, there is nothing to reduce in most of the spectrum or image


def lost_share(observation: Observation, constants: Constants) -> float:
    """Share of the light in pixels whose well is full before the end of the second group: no slope can be fitted.

    The light is that of the first integration, all sources less the background, without noise.
    """
    light, _ = jax.jit(illumination)(constants, expected_pointing(constants))
    rate = np.asarray(light.rate, float).mean(0)
    star = np.maximum(rate - np.asarray(constants.background), 0)
    second = clock.group_end_s(observation)[min(1, observation.ngroups - 1)]
    full = rate * second >= float(constants.maps.well_e)
    return float(star[full].sum() / max(star.sum(), 1e-30))


def warn(observation: Observation, constants: Constants) -> None:
    """Warn of an exposure most of whose light is lost to saturation."""
    share = lost_share(observation, constants)
    if share > HOPELESS:
        o = observation
        text = f"{o.root}: {share:.0%} of the light falls into pixels that are full before the second group"
        remedy = "take a fainter star, a smaller subarray or a faster pattern"
        warnings.warn(f"{text}; {remedy}", stacklevel=2)
