"""The noise-free twin: the mean exposure, reduced with the noisy one's masks, weights and learned references."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.reduce import CHUNK_MB
from uptheramp.calibrate.series import rebin
from uptheramp.calibrate.settings import Recipe
from uptheramp.calibrate.state import LightCurves, Ramps, Rates, Spectra, join
from uptheramp.calibrate.stream import chunk_size, detector, local, masked, split
from uptheramp.scenarios.reduced import Reduced
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants, mean_chunk

DECISIONS = ("saturation", "jump", "outlier_detection")  # steps that only set flags, which the twin is given


Rendering = Callable[[int, int], np.ndarray]  # (first integration, count) -> ramps, DN


def mean_rendering(observation: Observation, constants: Constants, nonlinearity: bool = True) -> Rendering:
    """The noise-free twin; chunks must be asked for in order."""
    memory: list[Any] = [None]

    def render(first: int, count: int) -> np.ndarray:
        data, memory[0] = mean_chunk(observation, constants, first, count, memory[0], nonlinearity=nonlinearity)
        return np.asarray(data)

    return render


def rendered_spectra(
    render: Rendering,
    exposure: Exposure,
    recipe: Recipe,
    library: Mapping[str, Any],
    groupdq: np.ndarray,
    outliers: Exposure | None,
) -> Spectra:
    """Spectra of another rendering of an exposure through the same linear operations.

    `exposure` is the noisy one (for its read-out and times), `groupdq` the flags its slopes were fitted with,
    `outliers` its crfints product (None: none flagged), `library` its references with what was learned from it.
    """
    size = chunk_size(exposure.meta.ngroups, exposure.meta.shape, exposure.nints, CHUNK_MB)
    stage1 = tuple(step for step in recipe.stage1 if step.name not in DECISIONS)
    on_images, _ = split(recipe.stage2, Spectra)
    _, on_spectra = split(recipe.stage3, Spectra)

    def ramps() -> Iterator[tuple[int, int, Ramps]]:
        for first in range(0, exposure.nints, size):
            count = min(size, exposure.nints - first)
            data = render(first, size)
            yield first, count, exposure.ramps(data, np.arange(first, first + size), np.arange(size) < count)

    def given(first: int, count: int) -> jax.Array:
        return jnp.asarray(groupdq[first : first + count])

    spectra = []
    for chunk in detector(stage1, masked(ramps(), given), library, recipe.params):
        ((_, _, rates),) = local(on_images, [(chunk.first, chunk.count, chunk.rates)], library, recipe.params)
        if outliers is not None:
            rates = _with_outliers(rates, outliers.rates(chunk.first, chunk.count).dq)
        spectra += local(on_spectra, [(chunk.first, chunk.count, rates)], library, recipe.params)
    return join(spectra)


def rendered_curves(render: Rendering, reduced: Reduced) -> LightCurves:
    """Light curves of another rendering, in the channels and with the errors (so the weights) of the noisy ones."""
    spectra = rendered_spectra(
        render, reduced.exposure, reduced.recipe, reduced.library, reduced.groupdq, reduced.outliers
    )
    return replace(rebin(spectra, reduced.when, reduced.binning), err=reduced.curves.err)


def _with_outliers(rates: Rates, dq: Any) -> Rates:
    """The flags of the noisy exposure beside the twin's own."""
    padding = jnp.full((len(rates.dq) - len(dq), *dq.shape[1:]), flags.DO_NOT_USE, dq.dtype)
    return replace(rates, dq=rates.dq | jnp.concatenate([dq, padding]))
