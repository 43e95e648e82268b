"""From an observation to ramps, chunk by chunk: one draw, or the mean.

    constants = build(observation)
    data, memory, truth = draw_chunk(observation, constants, first, count, memory)
    twin = mean_chunk(observation, constants, first, count)

The integrations of a chunk run one after the other through one compiled program, so memory is bounded by one
integration and the result does not depend on how the exposure is cut.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt16

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels.readout import CLOCK_S, read_offset_s
from uptheramp.simulate.detector import maps, one_over_f
from uptheramp.simulate.detector.cosmic_rays import HitParams, hit_params
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import background, spectrograph, trace
from uptheramp.simulate.ramps import chain, multiaccum
from uptheramp.simulate.scene import planet, star
from uptheramp.simulate.scene.light_curve import Transit, mean_flux
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class Recipe:
    """What picks the program: counts and switches."""

    readout: Readout
    reads: int
    dispersion_axis: int
    effects: tuple[str, ...]


class Spectrum(eqx.Module):
    """One order: the transit and the star on its fine grid, the matrix R, the profile across the dispersion."""

    transit: Transit
    photons: Float[Array, "wavelength"]  # / s / m2 / um
    response: spectrograph.Response
    profile: Float[Array, "y x"]
    wavelength_um: Float[Array, "wavelength"]
    along_um: Float[Array, "along"]  # wavelength at the middle of each dispersion element, NaN without light


class Exposure(eqx.Module):
    """The parameters of the effects."""

    frame_time_s: Float[Array, ""]
    cadence_s: Float[Array, ""]
    hits: HitParams
    pink: one_over_f.Pink
    mirror: Float[Array, ""]  # 1, or -1 for the antithesis of every normal deviate


class Constants(eqx.Module):
    """All that a rendering depends on but its seed: a pytree, differentiable in every floating leaf."""

    spectra: tuple[Spectrum, ...]
    background: Float[Array, "y x"]
    maps: maps.Maps
    exposure: Exposure
    recipe: Recipe = eqx.field(static=True)


def build(observation: Observation) -> Constants:
    """Everything that stays the same through the exposure, made in numpy."""
    o, shape = observation, observation.shape
    frame_s, readout = o.subarray.frame_time_s, o.readout
    clocks = o.subarray.row_overhead_clocks, round(frame_s / CLOCK_S)
    plan = one_over_f.layout(o.detector, readout, shape, (*clocks, clocks[1] * o.pattern.reset_frames))
    reads = o.reads_per_integration
    return Constants(
        spectra=tuple(_spectrum(o, order) for order in o.mode.orders),
        background=background.uniform(shape, o.mode.background_e_per_s, o.background_scale),
        maps=maps.draw(o.detector, shape, readout, o.interleaved, o.detector_seed),
        exposure=Exposure(
            frame_time_s=np.float64(frame_s),
            cadence_s=np.float64(o.cadence_s),
            hits=hit_params(o.detector.cosmic_rays, o.detector.pixel_um, shape[0] * shape[1], reads, frame_s),
            pink=one_over_f.pink(o.detector, readout, plan),
            mirror=np.float32(-1 if o.antithetic else 1),
        ),
        recipe=Recipe(readout, reads, o.mode.dispersion_axis, o.effects),
    )


def draw_chunk(
    observation: Observation, constants: Constants, first: int, count: int, memory: dict[str, Array] | None = None
) -> tuple[UInt16[np.ndarray, "integration group y x"], dict[str, Array], dict[str, Any]]:
    """Integrations first ... first + count - 1 (0-based) as read: (uint16 DN, memory for the next chunk, truth).

    `memory` is what the chunk before returned, None for the first. Truth holds `spectra` (mean rate of each order and
    dispersion element, e-/s (integration, order, along)) and, with cosmic rays on, `cosmic_rays` (Deposits).

    Raises
    ------
    ValueError
        If a later chunk comes without the memory of the one before.
    """
    key = np.asarray(jax.random.key_data(jax.random.key(observation.seed)))
    if memory is None and first > 0:
        raise ValueError(f"the chunk at integration {first} needs the memory of the one before it")
    if memory is None:
        memory = _initial(key, constants)
    data, memory, truth = _draw(constants, key, np.int64(first), memory, count)
    return np.asarray(data), memory, jax.tree.map(np.asarray, truth)


def mean_chunk(
    observation: Observation, constants: Constants, first: int, count: int, nonlinearity: bool = True
) -> Float[Array, "integration group y x"]:
    """Return the noise-free twin of the integrations, DN; `nonlinearity=False` is an ideal linear detector."""
    on = tuple(n for n in observation.effects if nonlinearity or n != "nonlinearity")
    return mean_ramps(constants, np.int64(first), count, on)


def illumination(constants: Constants, integration: Int[Array, ""]) -> tuple[Illumination, Float[Array, "order along"]]:
    """Light on the detector in each frame of an integration, e-/s, and the mean rate of each order's elements."""
    exposure = constants.exposure
    frames = jnp.arange(constants.recipe.reads)
    # read r ends at start + r * frame + offset (r from 0), having begun one frame earlier
    start_s = integration * exposure.cadence_s + (frames - 1) * exposure.frame_time_s
    rate = constants.background
    means = []
    for order in constants.spectra:
        flux = mean_flux(order.transit, start_s, exposure.frame_time_s)
        elements = order.response(flux * order.photons)
        means.append(elements.mean(0))
        elements = elements.astype(order.profile.dtype)
        spread = elements[:, None, :] if constants.recipe.dispersion_axis == 1 else elements[:, :, None]
        rate = rate + order.profile * spread
    return Illumination(rate, integration), jnp.stack(means)


def mean_integration(
    constants: Constants, integration: Int[Array, ""], effects: tuple[str, ...]
) -> Float[Array, "group y x"]:
    """Noise-free groups of one integration: a pure function of `constants`, to be differentiated."""
    light, _ = illumination(constants, integration)
    frames = chain.mean(light, {}, constants.maps, constants.exposure, effects)
    return multiaccum.mean(frames.dn, constants.recipe.readout)


@eqx.filter_jit
def mean_ramps(
    constants: Constants, first: Int[Array, ""], count: int, effects: tuple[str, ...]
) -> Float[Array, "integration group y x"]:
    """Noise-free groups of `count` integrations."""
    return jax.lax.map(lambda i: mean_integration(constants, i, effects), first + jnp.arange(count))


@eqx.filter_jit
def _draw(constants: Constants, key_data: Array, first: Int[Array, ""], memory: dict[str, Array], count: int):
    key = jax.random.wrap_key_data(key_data)

    def one(memory: dict[str, Array], integration: Array) -> tuple[dict[str, Array], tuple]:
        light, spectra = illumination(constants, integration)
        recipe = constants.recipe
        frames, truth = chain.draw(key, light, memory, constants.maps, constants.exposure, recipe.effects)
        groups = multiaccum.averaged(frames.dn, recipe.readout)
        return frames.memory, (groups, truth | {"spectra": spectra})

    memory, (data, truth) = jax.lax.scan(one, memory, first + jnp.arange(count))
    return data, memory, truth


@eqx.filter_jit
def _initial(key_data: Array, constants: Constants) -> dict[str, Array]:
    key: Key[Array, ""] = jax.random.wrap_key_data(key_data)
    key = jax.random.fold_in(key, zlib.crc32(b"one_over_f initial"))
    return {"one_over_f": one_over_f.initial(key, constants.exposure.pink)}


def _spectrum(observation: Observation, order: Any) -> Spectrum:
    o, shape, axis = observation, observation.shape, observation.mode.dispersion_axis
    along = shape[1] if axis == 1 else shape[0]
    fine = spectrograph.grid(order, along)
    lam = fine.wavelength_um
    transit = Transit(
        orbit=planet.orbit(o.orbit_planet, o.start_bjd_tdb),
        radius_ratio=planet.on_grid(o.planet.radius_ratio, lam),
        u1=planet.on_grid(o.planet.u1, lam),
        u2=planet.on_grid(o.planet.u2, lam),
        read_offset_s=np.interp(fine.position_px, np.arange(along), _trace_offset_s(o, order)),
    )
    position = np.arange(along, dtype=float)
    return Spectrum(
        transit=transit,
        photons=star.photon_rate(o.star, lam),
        response=spectrograph.response(order, fine, along),
        profile=trace.profile(order, shape, axis).astype(np.float32),
        wavelength_um=lam,
        along_um=np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan),
    )


def _trace_offset_s(observation: Observation, order: Any) -> Float[np.ndarray, "along"]:
    """When the pixel at the middle of the trace is read in its frame, for each dispersion element."""
    o, r = observation, observation.readout
    offset = read_offset_s(
        o.shape,
        r.fast_axis,
        r.slow_axis,
        r.outputs,
        o.subarray.row_overhead_clocks,
        o.subarray.frame_time_s,
        o.interleaved,
    )
    along_first = offset if o.mode.dispersion_axis == 2 else offset.T
    count, across = along_first.shape
    centre = np.interp(np.arange(count), order.trace_px.x, order.trace_px.y)
    return along_first[np.arange(count), np.clip(np.round(centre).astype(int), 0, across - 1)]
