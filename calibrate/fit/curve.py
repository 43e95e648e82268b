"""One light curve: the parameters, the model around a signal, and the fit with its linear response.

The parameter vector is `NAMES` followed by the coefficients of the baseline polynomial. Which entries are free is
static; the others keep their start values. Times are relative to the expected mid-transit, in days.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.fit.least_squares import Evaluation, from_bounded, minimise, to_bounded

NAMES = ("depth", "t0_offset_d", "a_rs", "impact", "u1", "u2")
DEPTH, T0, A_RS, IMPACT, U1, U2 = range(6)
LOWER = (-1.0, -jnp.inf, 1.0, 0.0, 0.0, 0.0)  # of u1, u2: bounds of q1, q2
UPPER = (1.0, jnp.inf, 1000.0, 2.0, 1.0, 1.0)


class CurveFit(eqx.Module):
    """The best fit of one light curve, in units of its median flux.

    `response` is d(free parameters)/d(flux at each time): the linear operator that the fit is near its optimum.
    `error_scale` is the factor by which given errors were multiplied to match the residuals, sqrt(chi2 / (n - p)).
    """

    parameters: Float[Array, "parameter"]
    covariance: Float[Array, "free free"]
    response: Float[Array, "free time"]
    jacobian: Float[Array, "time free"]
    model: Float[Array, "time"]
    residuals: Float[Array, "time"]
    used: Bool[Array, "time"]
    chi2: Float[Array, ""]
    error_scale: Float[Array, ""]
    converged: Bool[Array, ""]


def to_physical(
    x: Float[Array, "free"], start: Float[Array, "parameter"], free: tuple[int, ...]
) -> Float[Array, "parameter"]:
    """Turn the unbounded coordinates of the free parameters into the whole vector.

    Limb darkening goes through q1 = (u1 + u2)^2, q2 = u1 / (2 (u1 + u2)) in (0, 1), which admits just the monotonic,
    positive intensity profiles (Kipping 2013).
    """
    index = jnp.asarray(free)
    lower, upper = bounds(start.shape[0])
    values = start.at[index].set(to_bounded(x, lower[index], upper[index]))
    if U1 not in free:
        return values
    root, q2 = jnp.sqrt(values[U1]), values[U2]
    return values.at[U1].set(2 * root * q2).at[U2].set(root * (1 - 2 * q2))


def from_physical(start: Float[Array, "parameter"], free: tuple[int, ...]) -> Float[Array, "free"]:
    """Invert `to_physical`."""
    index = jnp.asarray(free)
    lower, upper = bounds(start.shape[0])
    total = jnp.maximum(start[U1] + start[U2], 1e-3)
    q = start.at[U1].set(total**2).at[U2].set(start[U1] / (2 * total))
    return from_bounded((q if U1 in free else start)[index], lower[index], upper[index])


def bounds(size: int) -> tuple[Float[Array, "parameter"], Float[Array, "parameter"]]:
    """Return the bounds of the whole vector; the baseline has none."""
    none = (jnp.inf,) * (size - len(NAMES))
    return jnp.asarray(LOWER + tuple(-v for v in none)), jnp.asarray(UPPER + none)


def baseline(coefficients: Float[Array, "degree"], x: Float[Array, "time"]) -> Float[Array, "time"]:
    """Evaluate the polynomial in x (time scaled to -1..1), lowest power first."""
    return jnp.polyval(coefficients[::-1], x)


def scaled_time(time: Float[Array, "time"]) -> Float[Array, "time"]:
    """Map time linearly onto -1..1."""
    low, high = jnp.min(time), jnp.max(time)
    return (2 * time - low - high) / (high - low)


def scatter_scale(flux: Float[Array, "time"], err: Float[Array, "time"], used: Bool[Array, "time"]) -> Array:
    """Measure the point-to-point scatter in units of the errors.

    Median |y_i - (y_i-1 + y_i+1) / 2| / 0.6745: blind to the slopes of ingress and egress.
    """
    triple = used[:-2] & used[1:-1] & used[2:]
    sigma = jnp.sqrt(err[1:-1] ** 2 + 0.25 * (err[:-2] ** 2 + err[2:] ** 2))
    bend = jnp.abs(flux[1:-1] - 0.5 * (flux[:-2] + flux[2:])) / sigma
    median = jnp.nanmedian(jnp.where(triple, bend, jnp.nan))
    return jnp.where(median > 0, median / 0.6745, 1.0)


def fit_curve(
    model: Callable[[Array], Array],
    flux: Float[Array, "time"],
    err: Float[Array, "time"],
    start: Float[Array, "parameter"],
    prior_sigma: Float[Array, "parameter"],
    free: tuple[int, ...],
) -> CurveFit:
    """Fit `model(parameters)` to one curve; NaN flux has weight 0, missing errors are taken equal.

    Priors are Gaussian about `start`. The errors set only the relative weights: their scale follows the residuals, so
    the covariance is (J^T W J / s^2 + P)^-1 with s^2 = chi2 / (n - p).
    """
    used = jnp.isfinite(flux)
    err = complete_errors(used, err)
    y = jnp.where(used, flux, 0.0)
    weight = used / (err * scatter_scale(y, err, used))
    index = jnp.asarray(free)
    precision = 1 / prior_sigma[index]

    def evaluate(x):
        p, chain = with_jacobian(lambda x: to_physical(x, start, free), x)
        fitted, slope = with_jacobian(lambda values: model(p.at[index].set(values)), p[index])
        residuals = jnp.concatenate([weight * (fitted - y), precision * (p - start)[index]])
        jacobian = jnp.concatenate([weight[:, None] * slope, jnp.diag(precision)]) @ chain[index]
        return Evaluation(residuals, jacobian, (p, fitted, slope))

    solution = minimise(evaluate, from_physical(start, free))
    best, fitted, jacobian = solution.extra
    off = y - fitted
    chi2 = jnp.sum((used * off / err) ** 2)
    scale2 = chi2 / jnp.maximum(jnp.sum(used) - len(free), 1)
    weighted = jacobian * (used / (err**2 * scale2))[:, None]
    covariance = symmetric_inverse(jacobian.T @ weighted + jnp.diag(precision**2))
    return CurveFit(
        parameters=best,
        covariance=covariance,
        response=covariance @ weighted.T,
        jacobian=jacobian,
        model=fitted,
        residuals=jnp.where(used, off, jnp.nan),
        used=used,
        chi2=chi2,
        error_scale=jnp.sqrt(scale2),
        converged=solution.converged & jnp.all(jnp.isfinite(covariance)) & (jnp.sum(used) > len(free)),
    )


def complete_errors(used: Bool[Array, "time"], err: Float[Array, "time"]) -> Float[Array, "time"]:
    """Take missing errors as the median of the others, 1 where there is none."""
    usable = used & jnp.isfinite(err) & (err > 0)
    typical = jnp.nanmedian(jnp.where(usable, err, jnp.nan))
    return jnp.where(usable, err, jnp.where(jnp.isfinite(typical), typical, 1.0))


def exact_response(
    model: Callable[[Array], Array], fit: CurveFit, err: Float[Array, "time"], free: tuple[int, ...]
) -> Float[Array, "free time"]:
    """d(free parameters)/d(flux at each time) of the fit itself, by the theorem of implicit functions.

    `(C^-1 - sum_t w_t r_t m_t'')^-1 J^T W`: what `CurveFit.response` leaves out, as Gauss and Newton do, is how the
    residuals r pull on the curvature m'' of the model. C is the covariance, w = 1 / (err^2 s^2).
    """
    index = jnp.asarray(free)
    pull = jnp.where(fit.used, fit.residuals, 0.0) / (complete_errors(fit.used, err) * fit.error_scale) ** 2

    def pulled(values: Array) -> Array:
        return jnp.sum(pull * model(fit.parameters.at[index].set(values)))

    curvature = jax.jacfwd(jax.jacfwd(pulled))(fit.parameters[index])
    # both sides times C: its inverse is not needed
    return jnp.linalg.solve(jnp.eye(len(free)) - fit.covariance @ curvature, fit.response)


def with_jacobian(function: Callable[[Array], Array], x: Float[Array, "n"]) -> tuple[Array, Array]:
    """Return value and forward-mode Jacobian of a vector function, traced once."""
    columns, value = jax.vmap(lambda e: jax.jvp(function, (x,), (e,))[::-1], out_axes=(-1, None))(jnp.eye(x.shape[0]))
    return value, columns


def symmetric_inverse(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Invert a positive matrix after scaling it to a unit diagonal."""
    root = jnp.sqrt(jnp.diagonal(matrix))
    scale = jnp.outer(root, root)
    return jnp.linalg.inv(matrix / scale) / scale
