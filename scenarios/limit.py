"""What 1/f noise must cost: the part of L_all that no use of the reference pixels can take away.

1/f noise alone, but seen with the noise that the reference pixels have, goes through the same linear operations as the
exposure; only the drift of the lines comes from the estimator that knows the true covariances. So the limit is that of
METRICS (generalised least squares under the true covariance, for the pixels and groups taken): it asks nothing that
reference pixels of that noise cannot tell, and does not depend on how well a reduction used them. A reduction that also
takes levels from pixels of the image (one_over_f) can stay below it; on 1/f noise alone, without the noise of those
pixels, that step would take out more than it ever can, so the limit goes without it.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1 import side_kriging
from uptheramp.calibrate.stage1.one_over_f import one_over_f
from uptheramp.calibrate.stage1.refpix import RefpixParams, refpix, side_window
from uptheramp.calibrate.state import LightCurves
from uptheramp.scenarios.reduced import Reduced
from uptheramp.scenarios.twin import pink_rendering, rendered_curves
from uptheramp.simulate.detector.one_over_f import line_covariance
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants


def pink_covariance(
    mean: LightCurves, reduced: Reduced, observation: Observation, constants: Constants
) -> Float[np.ndarray, "channel channel"]:
    """Covariance over time that 1/f noise adds to the channels, relative to their light; `mean` is the twin's."""
    with_references = informed(by_references_alone(reduced), observation, constants)
    pink = rendered_curves(pink_rendering(observation, constants), with_references)
    difference = (np.asarray(pink.flux) - np.asarray(mean.flux)) / np.nanmedian(np.asarray(mean.flux), axis=1)[:, None]
    return np.atleast_2d(np.cov(np.where(np.isfinite(difference), difference, 0.0)))


def by_references_alone(reduced: Reduced) -> Reduced:
    """The reduction without the step that takes levels from pixels of the image."""
    steps = tuple(step for step in reduced.recipe.stage1 if step.name != one_over_f.name)
    return replace(reduced, recipe=replace(reduced.recipe, stage1=steps))


def informed(reduced: Reduced, observation: Observation, constants: Constants) -> Reduced:
    """The reduction with the best estimator of the drift in its refpix step, if it has one and its sides are used."""
    r = observation.readout
    turned = abs(r.fast_axis) == 2
    window = side_window(r, observation.shape[::-1] if turned else observation.shape)
    on = "one_over_f" in observation.effects and any(step.name == refpix.name for step in reduced.recipe.stage1)
    if window is None or not on:
        return reduced
    gain, noise = np.asarray(constants.maps.gain, float), observation.detector.one_over_f
    variance = (np.asarray(constants.maps.read_noise_e) / gain) ** 2 / r.nframes
    usable = (np.asarray(reduced.library["mask"].dq) & flags.DO_NOT_USE) == 0
    variance, usable = (variance.T, usable.T) if turned else (variance, usable)
    unit = line_covariance(constants.own["one_over_f"].layout, r.nframes) / gain.mean() ** 2
    predictor = side_kriging.known(
        noise.common_e**2 * unit,
        noise.independent_e**2 * unit,
        [usable[:, side] for side in window.sides],
        [np.where(usable[:, side], variance[:, side], 0) for side in window.sides],
        window,
    )
    params = {**reduced.recipe.params, refpix.name: RefpixParams(side_estimator="kriging")}
    return replace(
        reduced,
        recipe=replace(reduced.recipe, params=params),
        library={**reduced.library, refpix.learned: predictor},
    )
