"""Posterior samples of the white light curve: emcee's ensemble, started at the least-squares optimum."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.fit import curve
from uptheramp.calibrate.fit.orbit import orbit_of
from uptheramp.calibrate.fit.system import System
from uptheramp.calibrate.fit.white import WhiteFit, prior_vector, white_curve, white_model
from uptheramp.calibrate.state import LightCurves

BURN = 0.4  # fraction of the steps thrown away


class Samples(NamedTuple):
    """Draws of the free parameters and, last, of the factor on the errors; how many are independent of each other."""

    names: tuple[str, ...]
    draws: Float[np.ndarray, "draw parameter"]
    effective: float
    acceptance: float


def parameter_names(free: tuple[int, ...]) -> tuple[str, ...]:
    """Name the free parameters: those of the curve, then baseline_0, baseline_1, ..."""
    count = len(curve.NAMES)
    return tuple(curve.NAMES[i] if i < count else f"baseline_{i - count}" for i in free)


def sample_white(
    light_curves: LightCurves,
    system: System,
    white: WhiteFit,
    *,
    steps: int = 1500,
    seed: int = 0,
) -> Samples:
    """Sample depth, mid-time, baseline (and what else was free) with the scale of the errors.

    Flat priors inside the bounds (limb darkening in the triangle of physical profiles), Gaussian ones of the system's
    table, and 1 / scale. Four walkers for each parameter.
    """
    import emcee

    _, err = white_curve(light_curves, np.asarray(white.weight))
    best = np.append(np.asarray(white.curve.parameters)[list(white.free)], np.log(float(white.curve.error_scale)))
    spread = np.append(np.sqrt(np.diag(np.asarray(white.curve.covariance))), 0.05)
    log_density = _log_density(white, err, system, light_curves.exposure_s)
    rng = np.random.default_rng(seed)
    start = best + 0.1 * spread * rng.standard_normal((4 * len(best), len(best)))
    sampler = emcee.EnsembleSampler(len(start), len(best), lambda p: np.asarray(log_density(p)), vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()  # noqa: NPY002  (emcee takes no Generator)
    sampler.run_mcmc(start, steps)
    draws = np.asarray(sampler.get_chain(discard=int(BURN * steps), flat=True))
    draws[:, -1] = np.exp(draws[:, -1])
    length = float(np.max(sampler.get_autocorr_time(discard=int(BURN * steps), quiet=True, tol=0)))
    names = (*parameter_names(white.free), "error_scale")
    return Samples(names, draws, len(draws) / length, float(np.mean(sampler.acceptance_fraction)))


def _log_density(white: WhiteFit, err: Float[np.ndarray, "time"], system: System, exposure_s: Array):
    used = np.asarray(white.curve.used)
    usable = np.isfinite(err) & (err > 0)
    err = np.where(usable, err, np.median(err[usable]) if usable.any() else 1.0)
    flux = np.where(used, white.flux, 1.0)
    time = np.asarray(white.time) - float(white.reference_time)
    index = jnp.asarray(white.free)
    centre, sigma = white.start, jnp.asarray(prior_vector(system, len(white.start) - len(curve.NAMES) - 1))
    lower, upper = curve.bounds(len(white.curve.parameters))
    orbit, rp_rs = orbit_of(system, 0.0), jnp.asarray(system.rp_rs)

    @eqx.filter_jit
    @jax.vmap
    def log_density(values: Float[Array, "parameter"]) -> Float[Array, ""]:
        p = white.curve.parameters.at[index].set(values[:-1])
        u1, u2 = p[curve.U1], p[curve.U2]
        shape = (u1 >= 0) & (u1 + u2 <= 1) & (u1 + 2 * u2 >= 0) if curve.U1 in white.free else True
        others = jnp.asarray([i for i in white.free if i not in (curve.U1, curve.U2)])
        inside = shape & jnp.all((p[others] >= lower[others]) & (p[others] <= upper[others]))
        off = jnp.where(used, flux - white_model(p, time, exposure_s, orbit, rp_rs, white.kind), 0.0)
        log_scale = values[-1]
        chi2 = jnp.sum((off / err) ** 2) * jnp.exp(-2 * log_scale)
        prior = jnp.sum((((p - centre) / sigma)[index]) ** 2)
        density = -0.5 * (chi2 + prior) - jnp.sum(used) * log_scale
        return jnp.where(inside & jnp.isfinite(density), density, -jnp.inf)

    return log_density
