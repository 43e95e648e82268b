"""How far depths move with references and step parameters: one reverse pass through the chain for each bin.

The derivative of a depth by anything that the calibration uses is d(depth)/d(light curve), that of the fit, pulled back
through channels, extraction, Stages 2 and 1 and summed over the exposure chunk by chunk. Held are all decisions (flags,
outliers), what steps learned on a sample, the weights of the channels, the orbit of the white light. `gradient`
of the ramp fit says whether its weights move ("exact") or are held too ("frozen"). Everything is float64.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.pipeline import run
from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.state import Photometry, Ramps, Spectra
from uptheramp.calibrate.stream import split
from uptheramp.scenarios.reduced import Reduced
from uptheramp.scenarios.systematics.directions import Known, moved
from uptheramp.scenarios.twin import DECISIONS

CHUNK_MB = 100.0  # float64 ramps taken at once; a reverse pass holds some ten times as much
Directions = Mapping[str, tuple[str, float, float]]  # name -> (of, relative, absolute), as `directions.moved` takes it
Amounts = dict[str, Array]  # how far along each direction
Curves = Callable[[Amounts, Known, Ramps, Array], Float[Array, "channel integration"]]


class Chunk(NamedTuple):
    """Integrations with the flags they were reduced with; the last chunk repeats earlier ones, at no weight."""

    ramps: Ramps
    outliers: Array  # DQ of the images, (integration, y, x)
    first: int
    count: int


def known(reduced: Reduced, gradient: str) -> Known:
    """References and parameters of a reduction in float64, the ramp fit in the given mode of gradients."""
    params = dict(reduced.recipe.params)
    params["ramp_fit"] = replace(params["ramp_fit"], gradient=gradient)
    return jax.tree.map(_double, (dict(reduced.library), params))


def _double(x):
    floating = isinstance(x, float) or (hasattr(x, "dtype") and np.issubdtype(x.dtype, np.floating))
    return np.asarray(x, float) if floating else x


def chunk_length(reduced: Reduced) -> int:
    """Integrations that are taken at once."""
    meta = reduced.exposure.meta
    each = 8 * meta.ngroups * meta.shape[0] * meta.shape[1] / 2**20
    return max(1, min(reduced.exposure.nints, int(CHUNK_MB / each)))


def chunks(reduced: Reduced, size: int) -> Iterator[Chunk]:
    """The raw exposure in float64 with its final flags."""
    exposure = reduced.exposure
    assert reduced.outliers is not None  # a reduction from files
    for first in range(0, exposure.nints, size):
        number = np.minimum(np.arange(first, first + size), exposure.nints - 1)
        count = min(size, exposure.nints - first)
        read, frames = exposure.read(first, count), exposure.read_zeroframe(first, count)
        at = number - first
        ramps = exposure.ramps(
            read[at].astype(float),
            number + exposure.segments[0].first,
            np.ones(size, bool),
            None if frames is None else frames[at].astype(float),
        )
        ramps = replace(ramps, groupdq=jnp.asarray(np.asarray(reduced.groupdq)[number]))
        yield Chunk(ramps, jnp.asarray(np.asarray(reduced.outliers.rates(first, count).dq)[at]), first, count)


def curves_of(reduced: Reduced, directions: Directions) -> Curves:
    """The chain: (amounts, known, ramps, outliers) -> light of each channel, with the flags that it is given.

    Raises
    ------
    InputError
        If a step remembers earlier integrations, or if the exposure is of images.
    """
    stage1 = tuple(step for step in reduced.recipe.stage1 if step.name not in DECISIONS)
    remembers = [step.name for step in stage1 if step.carry is not None]
    if remembers:
        raise InputError(f"sensitivity: {remembers[0]} remembers earlier integrations; skip it")
    if isinstance(reduced.spectra, Photometry):
        raise InputError("sensitivity: of spectra only; this mode takes images")
    on_images, _ = split(reduced.recipe.stage2, Spectra)
    _, on_spectra = split(reduced.recipe.stage3, Spectra)
    when, weights, edges = reduced.when, jnp.asarray(reduced.binning.weights), jnp.asarray(reduced.binning.edges_um)
    typical = points(reduced.spectra).typical_flux

    def curves(amounts: Amounts, known: Known, ramps: Ramps, outliers: Array) -> Array:
        library, params = moved(known, directions, amounts)
        rates, _ = run(stage1, ramps, library, params)
        rates, _ = run(on_images, rates, library, params)
        rates = replace(rates, dq=rates.dq | (outliers & flags.DO_NOT_USE))
        spectra, _ = run(on_spectra, rates, library, params)
        seen = points(spectra)._replace(typical_flux=typical)
        time = jnp.zeros(len(ramps.integration))
        return combine(seen, weights, edges, time, when.exposure_s, when.offset_s).flux

    return curves


def derivatives(
    reduced: Reduced,
    response: Float[np.ndarray, "channel time"],
    directions: Directions,
    sizes: Mapping[str, tuple[int, ...]],
    gradient: str = "exact",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Float[np.ndarray, "channel ..."]]:
    """d(depth)/d(amount along each direction), by channel and, where the direction has pixels, by pixel.

    `response` is d(depth)/d(flux) of the fits (`channels.depth_derivative`), `sizes` the shape of each amount
    (`directions.size`).
    """
    size = chunk_length(reduced)
    nothing = {name: np.zeros(sizes[name]) for name in directions}
    pull = eqx.filter_jit(pulled(curves_of(reduced, directions)))
    held, bins = known(reduced, gradient), np.arange(len(response))
    total = None
    for chunk in chunks(reduced, size):
        cotangent = np.zeros((len(response), size))
        cotangent[:, : chunk.count] = response[:, chunk.first : chunk.first + chunk.count]
        part = pull(nothing, held, chunk.ramps, chunk.outliers, cotangent, bins)
        total = part if total is None else jax.tree.map(jnp.add, total, part)
        progress(chunk.first + chunk.count, reduced.exposure.nints)
    return {name: np.asarray(slope) for name, slope in (total or {}).items()}


def pulled(curves: Curves) -> Callable[..., Amounts]:
    """Reverse passes through one forward pass: one for each of the `bins`, of its row of `cotangent`."""

    def pull(
        amounts: Amounts, known: Known, ramps: Ramps, outliers: Array, cotangent: Array, bins: Int[Array, "bin"]
    ) -> Amounts:
        light, back = jax.vjp(lambda a: curves(a, known, ramps, outliers), amounts)
        used = jnp.where(jnp.isfinite(light), cotangent, 0)

        def channel(n: Array) -> Amounts:
            return back(jnp.zeros_like(used).at[n].set(used[n]))[0]

        return jax.lax.map(channel, bins)

    return pull


def depth_shift(slope: Float[np.ndarray, "channel ..."], errs: str) -> Float[np.ndarray, "channel"]:
    """By how much depths move by one standard error, ppm: signed if all pixels err alike, else their quadrature sum."""
    ppm = 1e6 * slope.reshape(len(slope), -1)
    return np.sqrt((ppm**2).sum(1)) if errs == "pixel" else ppm.sum(1)
