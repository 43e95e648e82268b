"""What an effect is.

`mean` is what the effect does on average (differentiable, no keys), `draw` one realisation of it, `covariance` what it
adds to the covariance of neighbouring frame differences. `absent` is what happens when the effect is switched off.
One model so serves three uses: the noise-free twin, the random exposure, the limits.

Random keys are folded from the name of the effect, the integration's number in the exposure and the frame, never
from the chunk that is rendered: switching an effect off or cutting the exposure otherwise changes no other draw.
"""

import zlib
from typing import Any

import jax
from jaxtyping import Array, Float, Int, Key


class Effect:
    """One thing that happens to light, charge or numbers. `refs` are the detector's maps, `params` the exposure's."""

    name: str = ""
    random: bool = False

    def mean(self, state: Any, refs: Any, params: Any) -> Any:
        """Return the state after the effect, averaged over its realisations; the identity by default."""
        return state

    def absent(self, state: Any, refs: Any, params: Any) -> Any:
        """Return the state without the effect: the identity, or the mean where the effect also converts the state."""
        return state

    def draw(self, key: Key[Array, ""], state: Any, refs: Any, params: Any) -> tuple[Any, dict[str, Array]]:
        """One realisation and its truth; the mean for effects that are not random."""
        return self.mean(state, refs, params), {}

    def covariance(self, state: Any, refs: Any, params: Any) -> tuple[Float[Array, "..."], Float[Array, "..."]] | None:
        """Variance of the frame differences and covariance of adjoining ones, in the state's unit squared, or None."""
        return None


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
