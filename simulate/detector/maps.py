"""What this sensor is, pixel by pixel: drawn once from the detector seed, the same for every noise seed."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.instruments.core import Detector, Readout
from uptheramp.simulate.detector import nonlinearity

GAIN_SCATTER = 0.005  # between outputs; guess
NOISE_SCATTER = 0.05


class Maps(eqx.Module):
    """True maps of a window of a detector."""

    flat: Float[Array, "y x"]
    dark_e_per_s: Float[Array, "y x"]
    gain: Float[Array, "y x"]
    bias_dn: Float[Array, "y x"]
    read_noise_e: Float[Array, "y x"]
    ktc_e: Float[Array, ""]
    well_e: Float[Array, ""]
    deficit_scale: Float[Array, "y x"]
    charge_physics: nonlinearity.Physics
    light: Float[Array, "y x"]  # 1 for pixels that see light, 0 for reference pixels
    hot: Bool[Array, "y x"]
    dead: Bool[Array, "y x"]


def reference_pixels(shape: tuple[int, int], readout: Readout) -> Bool[np.ndarray, "y x"]:
    """Mark the reference pixels of a window."""
    left, right = readout.reference_columns
    bottom, top = readout.reference_rows
    mask = np.ones(shape, bool)
    mask[bottom : shape[0] - top, left : shape[1] - right] = False
    return mask


def output_number(shape: tuple[int, int], readout: Readout, interleaved: bool) -> np.ndarray:
    """Which output reads each pixel: stripes along the fast axis, or every n-th pixel (MIRI)."""
    length = shape[1] if abs(readout.fast_axis) == 1 else shape[0]
    number = np.arange(length)
    number = number % readout.outputs if interleaved else number // (length // readout.outputs)
    return np.broadcast_to(number if abs(readout.fast_axis) == 1 else number[:, None], shape)


def draw(detector: Detector, shape: tuple[int, int], readout: Readout, interleaved: bool, seed: int) -> Maps:
    """Draw the maps of a window (float32)."""
    rng = np.random.default_rng([seed, 0x6D617073])
    reference = reference_pixels(shape, readout)
    unit = rng.random(shape)
    defects = detector.defects
    hot = (unit < defects.hot_fraction) & ~reference
    dead = (unit > 1 - defects.dead_fraction) & ~reference

    def normal() -> np.ndarray:
        return rng.standard_normal(shape)

    flat = np.where(dead, 0.0, np.maximum(1 + detector.flat_scatter * normal(), 0.3))
    scatter = defects.dark_scatter
    dark = detector.dark_e_per_s * np.exp(scatter * normal() - scatter**2 / 2)
    dark = np.where(hot, defects.hot_e_per_s * np.exp(defects.hot_scatter * normal()), dark)
    outputs = detector.gain_e_per_dn * (1 + GAIN_SCATTER * rng.standard_normal(readout.outputs))
    noise = detector.read_noise_e * np.exp(NOISE_SCATTER * normal())
    values = {
        "flat": np.where(reference, 1.0, flat),
        "dark_e_per_s": np.where(reference, 0.0, dark),
        "gain": outputs[output_number(shape, readout, interleaved)],
        "bias_dn": detector.bias_dn + detector.bias_scatter_dn * normal(),
        "read_noise_e": np.where(reference, detector.reference_noise_ratio, 1.0) * noise,
        "ktc_e": np.asarray(detector.ktc_e),
        "well_e": np.asarray(detector.full_well_e),
        "deficit_scale": np.maximum(1 + detector.nonlinearity.pixel_scatter * normal(), 0.0),
        "light": np.where(reference, 0.0, 1.0),
    }
    physics = nonlinearity.physics(detector.nonlinearity, detector.full_well_e)
    return Maps(
        **{name: np.asarray(value, np.float32) for name, value in values.items()},
        charge_physics=physics,
        hot=hot,
        dead=dead,
    )
