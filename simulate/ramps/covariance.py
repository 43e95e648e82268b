"""Covariance of the group differences of each pixel: the covariance faces of all effects, through chain and MULTIACCUM.

Each effect adds C(i, j) to the covariance of reads i and j, and every later one multiplies it by its derivatives at
both reads: the chain is linearised about its mean. Groups are weighted sums of reads, so

    cov(D_a, D_b) = sum_ij w_ai w_bj C(i, j),    D_a = group a + 1 - group a

For Poisson and read noise alone these are alpha and beta of Brandt (2024, PASP 136, 045004), without his division by
the time between groups; 1/f and telegraph noise reach further than neighbours. Motion of the images is followed from
the shift of each frame to the reads: sum_fg dDN_i/ds_f C(f, g) dDN_j/ds_g. Covariances between pixels are not followed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.simulate.effect import Effect, Params
from uptheramp.simulate.ramps import chain, multiaccum
from uptheramp.simulate.state import Charge, Frames, Illumination, Pointing

Reads = Callable[[Int[Array, ""], Int[Array, ""]], Float[Array, "y x"]]


class Link(NamedTuple):
    """An effect, the mean state before it, what it is given, and the derivative of what comes out, read by read."""

    effect: Effect
    before: Any
    given: Params
    slope: Float[Array, "frame y x"] | float


def of_reads(
    pointing: Pointing, shine: chain.Shine, refs: Any, params: Params, own: chain.Own, on: tuple[str, ...]
) -> Reads:
    """Return the function (i, j) -> covariance of reads i and j of each pixel, DN^2, with the effects named in `on`."""
    links = []

    def apply(effect: Effect, state: Any) -> Any:
        given = params.of(own.get(effect.name))
        if effect.name not in on:
            return effect.absent(state, refs, given)
        if not isinstance(state, Pointing):
            links.append(Link(effect, state, given, _slope(effect, state, refs, given)))
        return effect.mean(state, refs, given)

    frames, _ = chain.run(pointing, shine, refs, apply)
    shape = frames.dn.shape[1:]
    moved = _motion(pointing, shine, refs, params, own, on)

    def covariance(i: Array, j: Array) -> Array:
        total, electrons = jnp.zeros(shape), True
        for effect, before, given, slope in links:
            if electrons and isinstance(before, Frames):
                total, electrons = total / refs.gain**2, False
            if not isinstance(slope, float):
                total = effect.shared(total, before, refs, given) * slope[i] * slope[j]
            total = total + effect.covariance(before, refs, given, i, j)
        total = total / refs.gain**2 if electrons else total
        return total + moved(i, j)

    return covariance


def group_differences(reads: Reads, readout: Readout, lag: int = 0) -> Float[Array, "difference y x"]:
    """Covariance of each group difference with the one `lag` later, DN^2; groups cut to whole DN as on board."""
    n, step = readout.nframes, readout.frames_per_group
    frame = jnp.concatenate([jnp.arange(n), step + jnp.arange(n)])
    weight = jnp.repeat(jnp.array([-1.0, 1.0]), n) / readout.frame_divisor
    pairs = jnp.repeat(jnp.arange(2 * n), 2 * n), jnp.tile(jnp.arange(2 * n), 2 * n)

    def one(first: Array) -> Array:
        def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
            p, q = pair
            i, j = first * step + frame[p], (first + lag) * step + frame[q]
            return total + weight[p] * weight[q] * reads(i, j), None

        nothing = jnp.zeros_like(reads(jnp.asarray(0), jnp.asarray(0)))
        return jax.lax.scan(add, nothing, pairs)[0]

    cut = {0: 2.0, 1: -1.0}.get(lag, 0.0) * multiaccum.truncation_variance(readout)
    return jax.lax.map(one, jnp.arange(readout.ngroups - 1 - lag)) + cut


def _slope(effect: Effect, state: Any, refs: Any, given: Params) -> Float[Array, "frame y x"] | float:
    """Derivative of the effect's output by its input, pixel by pixel; 1.0 for what comes before the charge."""
    if isinstance(state, Illumination):
        return 1.0
    name = "electrons" if isinstance(state, Charge) else "dn"

    def output(values: Array) -> Array:
        return getattr(effect.mean(replace(state, **{name: values}), refs, given), name)

    values = getattr(state, name)
    return jax.jvp(output, (values,), (jnp.ones_like(values),))[1]


def _motion(pointing: Pointing, shine: chain.Shine, refs: Any, params: Params, own: chain.Own, on: tuple[str, ...]):
    """Return the function (i, j) -> covariance of reads that random motion of the images adds, DN^2."""
    steered = [effect for effect in chain.POINTING if effect.name in on]
    if not steered:
        return lambda i, j: 0.0
    frame = jnp.arange(pointing.width.shape[0])

    def between(f: Array, g: Array) -> Array:
        given = [(effect, params.of(own.get(effect.name))) for effect in steered]
        return jnp.stack([jnp.asarray(effect.covariance(pointing, refs, p, f, g)) for effect, p in given]).sum(0)

    shifts = jax.vmap(lambda f: jax.vmap(lambda g: between(f, g))(frame))(frame)  # (frame, frame, axis)

    def numbers(shift_px: Array) -> Array:
        return chain.mean(replace(pointing, shift_px=shift_px), shine, refs, params, own, on).dn

    def response(n: Array) -> Array:
        one = jnp.zeros(pointing.shift_px.size).at[n].set(1.0).reshape(pointing.shift_px.shape)
        return jax.jvp(numbers, (pointing.shift_px,), (one,))[1]

    reads = jax.lax.map(response, jnp.arange(pointing.shift_px.size))
    reads = reads.reshape(*pointing.shift_px.shape, *reads.shape[1:])  # (frame, axis, read, y, x)
    return lambda i, j: jnp.einsum("fayx,fga,gayx->yx", reads[:, :, i], shifts, reads[:, :, j])
