"""The effects in the order of the physics (physics sheet, section 1), and how a state runs through them."""

import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from uptheramp.simulate.detector.adc import Adc, convert
from uptheramp.simulate.detector.charge_migration import ChargeMigration
from uptheramp.simulate.detector.cosmic_rays import CosmicRays
from uptheramp.simulate.detector.crosstalk import Crosstalk
from uptheramp.simulate.detector.cruciform import Cruciform
from uptheramp.simulate.detector.dark import Dark
from uptheramp.simulate.detector.emi import Emi
from uptheramp.simulate.detector.flat import Flat
from uptheramp.simulate.detector.glow import Glow
from uptheramp.simulate.detector.inl import Inl
from uptheramp.simulate.detector.ipc import Ipc, IpcAfterNonlinearity
from uptheramp.simulate.detector.large_hits import Showers, Snowballs
from uptheramp.simulate.detector.last_frame import LastFrame
from uptheramp.simulate.detector.nonlinearity import Nonlinearity
from uptheramp.simulate.detector.one_over_f import OneOverF
from uptheramp.simulate.detector.persistence import Persistence
from uptheramp.simulate.detector.picture_frame import PictureFrame
from uptheramp.simulate.detector.poisson import Poisson
from uptheramp.simulate.detector.post_pixel import PostPixel
from uptheramp.simulate.detector.read_noise import ReadNoise
from uptheramp.simulate.detector.reference_pixels import ReferencePixels
from uptheramp.simulate.detector.reset_anomaly import ResetAnomaly
from uptheramp.simulate.detector.response_drift import ResponseDrift
from uptheramp.simulate.detector.rscd import Rscd
from uptheramp.simulate.detector.saturation import Saturation
from uptheramp.simulate.detector.superbias import Ktc, Superbias
from uptheramp.simulate.detector.telegraph import Telegraph
from uptheramp.simulate.effect import Effect, Params, key_of
from uptheramp.simulate.optics.pointing import MovingTelescope
from uptheramp.simulate.state import Frames, Illumination, Pointing

Shine = Callable[[Pointing], tuple[Illumination, dict[str, Array]]]  # what the optics do, and its truth

POINTING: tuple[Effect, ...] = (MovingTelescope(),)
LIGHT_AND_CHARGE: tuple[Effect, ...] = (
    Cruciform(),
    Flat(),
    ResponseDrift(),
    Dark(),
    Glow(),
    ReferencePixels(),
    Persistence(),
    ChargeMigration(),
    Poisson(),
    CosmicRays(),
    Snowballs(),
    Showers(),
    Ipc(),
    Saturation(),
    Nonlinearity(),
    IpcAfterNonlinearity(),
)
NUMBERS: tuple[Effect, ...] = (
    Crosstalk(),  # of signals: what levels leave in each other is part of the superbias
    PostPixel(),
    Rscd(),
    Superbias(),
    ResetAnomaly(),
    LastFrame(),
    Ktc(),
    ReadNoise(),
    Telegraph(),
    OneOverF(),
    PictureFrame(),
    Emi(),
    Inl(),
    Adc(),
)
EFFECTS = {effect.name: effect for effect in POINTING + LIGHT_AND_CHARGE + NUMBERS}
DEFAULT = tuple(name for name, effect in EFFECTS.items() if effect.default)

Own = dict[str, Any]  # constants, or memory, by the name of the effect


def constants(observation: Any, maps: Any, on: tuple[str, ...]) -> Own:
    """What each effect that is on needs for itself; no effect's draws depend on which others are on."""
    seed = observation.detector_seed
    rngs = {name: np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in on}
    made = {name: EFFECTS[name].constants(observation, maps, rngs[name]) for name in on}
    return {name: own for name, own in made.items() if own is not None}


def start(key: Key[Array, ""], own: Own, on: tuple[str, ...]) -> Own:
    """State of each effect that carries one, before the first integration."""
    keys = {name: jax.random.fold_in(key, zlib.crc32(f"{name} initial".encode())) for name in on}
    states = {name: EFFECTS[name].start(keys[name], own.get(name)) for name in on}
    return {name: state for name, state in states.items() if state is not None}


def remembering(on: tuple[str, ...]) -> tuple[str, ...]:
    """Effects whose mean depends on the integrations before."""
    return tuple(name for name in on if EFFECTS[name].remembers)


def steer(pointing: Pointing, apply: Callable[[Effect, Any], Any]) -> Pointing:
    """Pointing effects, each by `apply`."""
    for effect in POINTING:
        pointing = apply(effect, pointing)
    return pointing


def run(
    pointing: Pointing, shine: Shine, refs: Any, apply: Callable[[Effect, Any], Any]
) -> tuple[Frames, dict[str, Array]]:
    """Pointing to light to charge to numbers, each effect by `apply`; also the truth of the light."""
    state: Any
    state, seen = shine(steer(pointing, apply))
    for effect in LIGHT_AND_CHARGE:
        state = apply(effect, state)
    frames = convert(state, refs)
    for effect in NUMBERS:
        frames = apply(effect, frames)
    return frames, seen


def averaging(refs: Any, params: Params, own: Own, on: tuple[str, ...]) -> Callable[[Effect, Any], Any]:
    """Return how an effect acts on average: its mean where it is on, else its absence."""

    def apply(effect: Effect, state: Any) -> Any:
        given = params.of(own.get(effect.name))
        return (effect.mean if effect.name in on else effect.absent)(state, refs, given)

    return apply


def mean(pointing: Pointing, shine: Shine, refs: Any, params: Params, own: Own, on: tuple[str, ...]) -> Frames:
    """Return the noise-free frames with the effects named in `on`; their `memory` is for the next integration."""
    return run(pointing, shine, refs, averaging(refs, params, own, on))[0]


def draw(
    key: Key[Array, ""],
    pointing: Pointing,
    shine: Shine,
    refs: Any,
    params: Params,
    own: Own,
    on: tuple[str, ...],
) -> tuple[Frames, dict]:
    """One realisation of the frames and the truth of what was drawn."""
    truth = {}

    def apply(effect: Effect, state: Any) -> Any:
        given = params.of(own.get(effect.name))
        if effect.name not in on:
            return effect.absent(state, refs, given)
        state, drawn = effect.draw(key_of(key, effect.name, state.integration), state, refs, given)
        truth.update(drawn)
        return state

    frames, seen = run(pointing, shine, refs, apply)
    return frames, seen | truth
