"""The ramps of an exposure layer by layer: what each stage of the detector would have shown without the ones behind it.

Every random effect draws from a key of its own, `fold_in(key(seed), name of the effect)` and then the integration and
the frame (`effect.key_of`), so leaving effects out changes no draw of those that stay. Any layer can therefore be drawn
again from the observation alone (DN, of integrations first ... first + count - 1):

    noise(observation, constants, "read_noise", first, count)                  one noise layer
    draw(observation, constants, (*COLLECTED, "poisson"), first, count)        the Poisson-only ramp

`truth/ramps.npz` keeps some layers of the first integrations, where a knob asks for them.
"""

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import chain, multiaccum, render
from uptheramp.simulate.ramps.render import Constants, Memory
from uptheramp.simulate.state import Pointing

# effects up to the mean charge that a pixel of unlimited depth would collect
COLLECTED = ("pointing", "cruciform", "flat", "response_drift", "dark", "reference_pixels")


@dataclass(frozen=True, kw_only=True)
class RampTruth:
    """Layers of the first integrations. Averaged groups are means of their frames, without rounding.

    `groupdq` holds SATURATED where charge and hits together exceed the well, and JUMP_DET where a cosmic ray left
    charge between this group and the one before; `pixeldq` what is wrong with the pixel for good.
    """

    charge_e: Float[np.ndarray, "integration group y x"]  # mean charge: light, flat and dark alone
    poisson_e: Float[np.ndarray, "integration group y x"]  # the same as it was drawn
    noiseless_dn: Float[np.ndarray, "integration group y x"]  # mean of the whole chain
    groupdq: UInt8[np.ndarray, "integration group y x"]
    pixeldq: UInt32[np.ndarray, "y x"]

    def save(self, directory: Path) -> None:
        """Write `ramps.npz` into the folder."""
        with whole(Path(directory) / "ramps.npz") as path, path.open("wb") as stream:
            np.savez_compressed(stream, **{f.name: getattr(self, f.name) for f in fields(self)})


def load(directory: Path) -> RampTruth:
    """Return the layers in a truth folder.

    Raises
    ------
    InputError
        If it holds none.
    """
    path = Path(directory) / "ramps.npz"
    try:
        with np.load(path) as arrays:
            return RampTruth(**dict(arrays))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: no layers ({error}); simulate with truth_integrations of at least 1") from error


def of(observation: Observation, constants: Constants, count: int, cosmic_rays: np.ndarray) -> RampTruth:
    """Return the layers of integrations 0 ... count - 1; `cosmic_rays` is the list of `truth.py`."""
    o, c = observation, constants
    collected = tuple(name for name in o.effects if name in COLLECTED)
    light = (*collected, "poisson")
    gain = np.asarray(c.maps.gain)
    mean, _ = render.mean_ramps(c, np.int64(0), count, collected, {})
    noiseless, _ = render.mean_chunk(o, c, 0, count)
    filled, drawn = draw(o, c, (*light, "cosmic_rays"), 0, count), draw(o, c, light, 0, count)
    saturated = filled * gain >= float(c.maps.well_e) if "saturation" in o.effects else np.zeros(filled.shape, bool)
    return RampTruth(
        charge_e=np.asarray(mean * gain, np.float32),
        poisson_e=np.asarray(drawn * gain, np.float32),
        noiseless_dn=np.asarray(noiseless, np.float32),
        groupdq=np.where(saturated, flags.SATURATED, 0).astype(np.uint8) | jumps(o, count, cosmic_rays),
        pixeldq=pixel_flags(c),
    )


def pixel_flags(constants: Constants) -> UInt32[np.ndarray, "y x"]:
    """Flags of hot, dead and reference pixels."""
    maps = constants.maps
    dq = np.where(maps.light > 0, 0, flags.REFERENCE_PIXEL)
    dq = dq | np.where(maps.hot, flags.HOT | flags.DO_NOT_USE, 0)
    dq = dq | np.where(maps.dead, flags.DEAD | flags.DO_NOT_USE, 0)
    return dq.astype(np.uint32)


def draw(
    observation: Observation, constants: Constants, effects: tuple[str, ...], first: int, count: int
) -> Float[np.ndarray, "integration group y x"]:
    """Groups (DN, not rounded) of integrations first ... first + count - 1 with only these effects, as they were drawn.

    Effects that the exposure does not have stay out. One that carries a state is run from the exposure's start.
    """
    effects = tuple(name for name in observation.effects if name in effects)
    key = np.asarray(jax.random.key_data(jax.random.key(observation.seed)))
    memory = render.initial(key, constants, effects)
    begin = 0 if memory else first
    data = _drawn(constants, key, np.int64(begin), memory, first - begin + count, effects)
    return np.asarray(data[first - begin :])


def noise(
    observation: Observation, constants: Constants, effect: str, first: int, count: int
) -> Float[np.ndarray, "integration group y x"]:
    """What one effect adds to the bare light (DN), as it was drawn."""
    lit, bare = (draw(observation, constants, effects, first, count) for effects in ((effect,), ()))
    return lit - bare


@eqx.filter_jit
def _drawn(
    constants: Constants,
    key_data: Array,
    first: Int[Array, ""],
    memory: Memory,
    count: int,
    effects: tuple[str, ...],
) -> Float[Array, "integration group y x"]:
    key, c, recipe = jax.random.wrap_key_data(key_data), constants, constants.recipe

    def one(memory: Memory, integration: Array) -> tuple[Memory, Array]:
        pointing = Pointing.at_rest(recipe.reads, integration, memory)
        frames, _ = chain.draw(key, pointing, partial(render.illumination, c), c.maps, c.params, c.own, effects)
        return frames.memory, multiaccum.mean(frames.dn, recipe.readout)

    return jax.lax.scan(one, memory, first + jnp.arange(count))[1]


def jumps(observation: Observation, count: int, hits: np.ndarray) -> UInt8[np.ndarray, "integration group y x"]:
    """JUMP_DET in the first group that a hit raises, unless that is the first of the ramp."""
    o, readout = observation, observation.readout
    out = np.zeros((count, o.ngroups, *o.shape), np.uint8)
    group = -(-(hits["frame"].astype(int) - readout.nframes + 1) // readout.frames_per_group)
    seen = (hits["integration"] < count) & (group > 0) & (group < o.ngroups)
    index = tuple(array[seen] for array in (hits["integration"], group, hits["y"], hits["x"]))
    out[index] = flags.JUMP_DET
    return out
