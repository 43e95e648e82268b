"""What an effect is.

`mean` is what the effect does on average (differentiable, no keys), `draw` one realisation of it, `covariance` what it
adds to the covariance of two reads of a pixel. `absent` is what happens when the effect is switched off.
One model so serves three uses: the noise-free twin, the random exposure, the limits.

Random keys are folded from the name of the effect, the integration's number in the exposure and the frame, never
from the chunk that is rendered: switching an effect off or cutting the exposure otherwise changes no other draw.

What an effect alone needs it makes itself: `constants` (numbers and pixel maps, drawn from the sensor's seed under the
effect's own name), `settings` (the knobs a scenario may turn), and, if it carries a state through the exposure,
`start`; the state is `memory[name]` of what flows through the chain.
"""

import zlib
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

if TYPE_CHECKING:
    from uptheramp.calibrate.instruments.core import Detector
    from uptheramp.simulate.detector.maps import Maps
    from uptheramp.simulate.observation import Observation


class Params(eqx.Module):
    """What an effect is given beside the sensor's maps: the clock, the sign of its normal deviates, its constants."""

    frame_time_s: Float[Array, ""]
    cadence_s: Float[Array, ""]
    mirror: Float[Array, ""]  # 1, or -1 for the antithesis of every normal deviate
    own: Any = None  # what the effect's `constants` returned

    def of(self, own: Any) -> "Params":
        """Return the same for another effect."""
        return Params(self.frame_time_s, self.cadence_s, self.mirror, own)


class Effect:
    """One thing that happens to light, charge or numbers. `refs` are the sensor's maps, `params` the exposure's.

    `default` says whether it is on unless switched off, `remembers` whether its mean depends on the integrations
    before, `settings` is a frozen dataclass of its knobs with their defaults, or None.
    """

    name: str = ""
    random: bool = False
    default: bool = True
    remembers: bool = False
    settings: type | None = None

    def exists(self, detector: "Detector") -> bool:
        """Whether the detector has the effect: not if its table could hold a block of that name and does not."""
        return getattr(detector, self.name, self) is not None

    def table(self, detector: "Detector") -> Any:
        """Return the block of the detector's table that describes the effect."""
        return getattr(detector, self.name)

    def constants(self, observation: "Observation", maps: "Maps", rng: np.random.Generator) -> Any:
        """Return what this effect alone needs, made in numpy; `rng` belongs to the sensor and to this effect."""
        return None

    def start(self, key: Key[Array, ""], own: Any) -> Any:
        """Return the state before the first integration, None where nothing is carried."""
        return None

    def mean(self, state: Any, refs: Any, params: Any) -> Any:
        """Return the state after the effect, averaged over its realisations; the identity by default."""
        return state

    def absent(self, state: Any, refs: Any, params: Any) -> Any:
        """Return the state without the effect: the identity, or the mean where the effect also converts the state."""
        return state

    def draw(self, key: Key[Array, ""], state: Any, refs: Any, params: Any) -> tuple[Any, dict[str, Array]]:
        """One realisation and its truth; the mean for effects that are not random."""
        return self.mean(state, refs, params), {}

    def covariance(
        self, state: Any, refs: Any, params: Any, i: Int[Array, ""], j: Int[Array, ""]
    ) -> Float[Array, "y x"] | float:
        """Return the covariance that is added to reads i and j of each pixel, in the unit of the state after, squared.

        `state` is the mean before the effect. Of effects on the pointing: the covariance of the shifts in frames i and
        j by axis, px^2.
        """
        return 0.0

    def shared(self, covariance: Float[Array, "y x"], state: Any, refs: Any, params: Any) -> Float[Array, "y x"]:
        """Return what is left of a covariance of two reads where pixels mix with their neighbours: all of it."""
        return covariance


def key_of(base: Key[Array, ""], name: str, integration: Int[Array, ""]) -> Key[Array, ""]:
    """Return the key of an effect in an integration: fold_in(fold_in(base, crc32(name)), integration)."""
    return jax.random.fold_in(jax.random.fold_in(base, zlib.crc32(name.encode())), integration)


def frame_keys(key: Key[Array, ""], frames: int) -> Key[Array, "frame"]:
    """One key for each frame of an integration: more groups leave the earlier draws as they were."""
    return jax.vmap(lambda frame: jax.random.fold_in(key, frame))(jax.numpy.arange(frames))


def normals(key: Key[Array, ""], shape: tuple[int, int, int]) -> Float[Array, "frame y x"]:
    """Return unit normals (float32), a key a frame."""
    draw = jax.vmap(lambda k: jax.random.normal(k, shape[1:], jax.numpy.float32))
    return draw(frame_keys(key, shape[0]))
