"""From an observation to ramps, chunk by chunk: one draw, or the mean.

    constants = build(observation)
    data, memory, truth = draw_chunk(observation, constants, first, count, memory)
    twin, memory = mean_chunk(observation, constants, first, count, memory)

The integrations of a chunk run one after the other through one compiled program, so memory is bounded by one
integration and the result does not depend on how the exposure is cut.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt16

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.simulate.detector import maps
from uptheramp.simulate.effect import Params
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import background, sources
from uptheramp.simulate.optics.sources import Source
from uptheramp.simulate.ramps import chain, multiaccum
from uptheramp.simulate.state import Illumination, Pointing

Memory = dict[str, Any]  # states that effects carry from one integration to the next, by their names


@dataclass(frozen=True)
class Recipe:
    """What picks the program: counts and switches."""

    readout: Readout
    reads: int
    effects: tuple[str, ...]


class Constants(eqx.Module):
    """All that a rendering depends on but its seed: a pytree, differentiable in every floating leaf."""

    spectra: tuple[Source, ...]  # of the target: its orders, or its one image
    field: tuple[Source, ...]  # of other stars
    background: Float[Array, "y x"]
    maps: maps.Maps
    params: Params
    own: dict[str, Any]  # constants of the single effects
    recipe: Recipe = eqx.field(static=True)


def build(observation: Observation) -> Constants:
    """Everything that stays the same through the exposure, made in numpy."""
    o = observation
    sky = background.image(o.mode, o.shape, o.background_scale)
    return lit(o, sources.of_target(o), sources.of_field(o), sky)


def lit(
    observation: Observation, spectra: tuple[Any, ...], field: tuple[Any, ...], background: Float[np.ndarray, "y x"]
) -> Constants:
    """Return the constants of an observation's sensor under the light that is given."""
    o = observation
    sensor = maps.draw(o.detector, o.shape, o.readout, o.interleaved, o.detector_seed)
    return Constants(
        spectra=spectra,
        field=field,
        background=background,
        maps=sensor,
        params=Params(
            frame_time_s=np.float64(o.subarray.frame_time_s),
            cadence_s=np.float64(o.cadence_s),
            mirror=np.float32(-1 if o.antithetic else 1),
        ),
        own=chain.constants(o, sensor, o.effects),
        recipe=Recipe(o.readout, o.reads_per_integration, o.effects),
    )


def draw_chunk(
    observation: Observation, constants: Constants, first: int, count: int, memory: Memory | None = None
) -> tuple[UInt16[np.ndarray, "integration group y x"], Memory, dict[str, Any]]:
    """Integrations first ... first + count - 1 (0-based) as read: (uint16 DN, memory for the next chunk, truth).

    `memory` is what the chunk before returned, None for the first. Truth holds what `illumination` says of the light
    and, with cosmic rays on, `cosmic_rays` (Deposits), by integration.

    Raises
    ------
    ValueError
        If a later chunk comes without the memory of the one before.
    """
    key = np.asarray(jax.random.key_data(jax.random.key(observation.seed)))
    if memory is None and first > 0:
        raise ValueError(f"the chunk at integration {first} needs the memory of the one before it")
    if memory is None:
        memory = initial(key, constants, constants.recipe.effects)
    data, memory, truth = _draw(constants, key, np.int64(first), memory, count)
    return np.asarray(data), memory, jax.tree.map(np.asarray, truth)


def mean_chunk(
    observation: Observation,
    constants: Constants,
    first: int,
    count: int,
    memory: Memory | None = None,
    *,
    nonlinearity: bool = True,
) -> tuple[Float[Array, "integration group y x"], Memory]:
    """Return the noise-free twin of the integrations, DN, and the memory for the next chunk.

    `nonlinearity=False` is an ideal linear detector. `memory` is needed where effects are on whose mean depends on
    the integrations before.

    Raises
    ------
    ValueError
        If it is needed for a later chunk and missing.
    """
    on = tuple(n for n in observation.effects if nonlinearity or n != "nonlinearity")
    carried = chain.remembering(on)
    if memory is None and first > 0 and carried:
        raise ValueError(f"the chunk at integration {first} needs the memory of the one before it")
    if memory is None:
        memory = initial(np.asarray(jax.random.key_data(jax.random.key(0))), constants, carried)
    return mean_ramps(constants, np.int64(first), count, on, memory)


def illumination(constants: Constants, pointing: Pointing) -> tuple[Illumination, dict[str, Array]]:
    """Light on the detector in each frame of an integration, e-/s, and its truth.

    Truth holds `spectra`, the mean rate (e-/s) of each order's elements, and `pointing`: the shift x, y (px), relative
    width and relative flux in each frame.
    """
    params, integration = constants.params, pointing.integration
    frames = jnp.arange(constants.recipe.reads)
    # read r ends at start + r * frame + offset (r from 0), having begun one frame earlier
    start_s = integration * params.cadence_s + (frames - 1) * params.frame_time_s
    rate = constants.background
    means = []
    for order in constants.spectra:
        image, elements = order.light(start_s, params.frame_time_s, pointing)
        rate = rate + image
        means.append(elements)
    for other in constants.field:
        rate = rate + other.light(start_s, params.frame_time_s, pointing)[0]
    moved = jnp.concatenate([pointing.shift_px, pointing.width[:, None], pointing.flux[:, None]], axis=1)
    return Illumination(rate, integration, pointing.memory), {"spectra": jnp.stack(means), "pointing": moved}


def expected_pointing(constants: Constants) -> Pointing:
    """Return the pointing of the first integration without what is random."""
    c = constants
    at_rest = Pointing.at_rest(c.recipe.reads, jnp.asarray(0), {})
    return chain.steer(at_rest, chain.averaging(c.maps, c.params, c.own, c.recipe.effects))


def mean_integration(
    constants: Constants, integration: Int[Array, ""], effects: tuple[str, ...], memory: Memory
) -> tuple[Float[Array, "group y x"], Memory]:
    """Noise-free groups of one integration: a pure function of `constants`, to be differentiated."""
    recipe = constants.recipe
    pointing = Pointing.at_rest(recipe.reads, integration, memory)
    shine = partial(illumination, constants)
    frames = chain.mean(pointing, shine, constants.maps, constants.params, constants.own, effects)
    return multiaccum.mean(frames.dn, recipe.readout), frames.memory


@eqx.filter_jit
def mean_ramps(
    constants: Constants, first: Int[Array, ""], count: int, effects: tuple[str, ...], memory: Memory
) -> tuple[Float[Array, "integration group y x"], Memory]:
    """Noise-free groups of `count` integrations, one after the other."""

    def one(memory: Memory, integration: Array) -> tuple[Memory, Array]:
        groups, memory = mean_integration(constants, integration, effects, memory)
        return memory, groups

    memory, data = jax.lax.scan(one, memory, first + jnp.arange(count))
    return data, memory


@eqx.filter_jit
def _draw(constants: Constants, key_data: Array, first: Int[Array, ""], memory: Memory, count: int):
    key = jax.random.wrap_key_data(key_data)

    def one(memory: Memory, integration: Array) -> tuple[Memory, tuple]:
        c, recipe = constants, constants.recipe
        pointing = Pointing.at_rest(recipe.reads, integration, memory)
        frames, truth = chain.draw(key, pointing, partial(illumination, c), c.maps, c.params, c.own, recipe.effects)
        return frames.memory, (multiaccum.averaged(frames.dn, recipe.readout), truth)

    memory, (data, truth) = jax.lax.scan(one, memory, first + jnp.arange(count))
    return data, memory, truth


@eqx.filter_jit
def initial(key_data: Array, constants: Constants, on: tuple[str, ...]) -> Memory:
    """State of the effects that are on before the first integration."""
    key: Key[Array, ""] = jax.random.wrap_key_data(key_data)
    return chain.start(key, constants.own, on)
