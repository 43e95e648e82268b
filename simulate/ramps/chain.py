"""The effects in the order of the physics (physics sheet, section 1), and how a state runs through them."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Key

from uptheramp.simulate.detector.adc import Adc, convert
from uptheramp.simulate.detector.cosmic_rays import CosmicRays
from uptheramp.simulate.detector.dark import Dark
from uptheramp.simulate.detector.flat import Flat
from uptheramp.simulate.detector.ipc import Ipc
from uptheramp.simulate.detector.nonlinearity import Nonlinearity
from uptheramp.simulate.detector.one_over_f import OneOverF
from uptheramp.simulate.detector.poisson import Poisson
from uptheramp.simulate.detector.read_noise import ReadNoise
from uptheramp.simulate.detector.reference_pixels import ReferencePixels
from uptheramp.simulate.detector.reset_anomaly import ResetAnomaly
from uptheramp.simulate.detector.saturation import Saturation
from uptheramp.simulate.detector.superbias import Ktc, Superbias
from uptheramp.simulate.effect import Effect, key_of
from uptheramp.simulate.state import Frames, Illumination

LIGHT_AND_CHARGE: tuple[Effect, ...] = (
    Flat(),
    Dark(),
    ReferencePixels(),
    Poisson(),
    CosmicRays(),
    Ipc(),
    Saturation(),
    Nonlinearity(),
)
NUMBERS: tuple[Effect, ...] = (Superbias(), ResetAnomaly(), Ktc(), ReadNoise(), OneOverF(), Adc())
NAMES = tuple(effect.name for effect in LIGHT_AND_CHARGE + NUMBERS)
OFF_BY_DEFAULT = ("ipc",)  # as the official correction is

Run = Callable[[Effect, Any], Any]


def run(light: Illumination, memory: dict[str, Array], refs: Any, apply: Run) -> Frames:
    """Light to charge to numbers, each effect by `apply`."""
    state: Any = light
    for effect in LIGHT_AND_CHARGE:
        state = apply(effect, state)
    frames = convert(state, refs, memory)
    for effect in NUMBERS:
        frames = apply(effect, frames)
    return frames


def mean(light: Illumination, memory: dict[str, Array], refs: Any, params: Any, on: tuple[str, ...]) -> Frames:
    """Return the noise-free frames with the effects named in `on`."""

    def apply(effect: Effect, state: Any) -> Any:
        return (effect.mean if effect.name in on else effect.absent)(state, refs, params)

    return run(light, memory, refs, apply)


def draw(
    key: Key[Array, ""], light: Illumination, memory: dict[str, Array], refs: Any, params: Any, on: tuple[str, ...]
) -> tuple[Frames, dict]:
    """One realisation of the frames and the truth of what was drawn."""
    truth = {}

    def apply(effect: Effect, state: Any) -> Any:
        if effect.name not in on:
            return effect.absent(state, refs, params)
        state, drawn = effect.draw(key_of(key, effect.name, state.integration), state, refs, params)
        truth.update(drawn)
        return state

    return run(light, memory, refs, apply), truth
