"""1/f noise over pixel noise in flight images of NIRISS SOSS, from pixels far from every order.

    python benchmarks/flight_one_over_f.py ../shared/realdata

The images are stacks of many integrations, so absolute levels mean nothing; but what is drawn afresh in every frame, as
white noise and the modes of 1/f noise within a line both are, averages alike, and their ratio stays. Fixed patterns
(flat field times background) and background light add to the pixel noise, so the ratio is a lower limit.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.scenarios.systematics import modes
from uptheramp.simulate.detector.one_over_f import poles
from uptheramp.simulate.observation import observe
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

ROWS, COLUMNS = slice(150, 246), slice(1750, 2040)
LOWEST = 4  # modes along a line below are of the background
SMOOTH = 3  # degree of the background along a column, and columns' own polynomials
CLIP = 5.0


def window(image: np.ndarray) -> np.ndarray:
    """Pixels less a polynomial of each column; outliers are replaced by what a pixel two columns on has."""
    part = image[ROWS, COLUMNS].astype(float)
    y = np.linspace(-1, 1, len(part))
    basis = np.polynomial.legendre.legvander(y, SMOOTH)
    weight = np.ones(part.shape, bool)
    for _ in range(3):
        rest = np.empty_like(part)
        for column in range(part.shape[1]):
            good = weight[:, column]
            fitted = np.linalg.lstsq(basis[good], part[good, column], rcond=None)[0]
            rest[:, column] = part[:, column] - basis @ fitted
        sigma = 1.4826 * np.median(np.abs(rest))
        weight = np.abs(rest) < CLIP * sigma
    donor = np.roll(rest, 2, axis=1)
    return np.where(weight, rest, np.where(np.abs(donor) < CLIP * sigma, donor, 0))


def fitted(rest: np.ndarray, pink: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of pixel noise and 1/f amplitude, their Fisher covariance, and chi-square by mode along a line."""
    power = jnp.asarray(modes.transformed(rest)[LOWEST:] ** 2)
    unit = jnp.asarray(pink[LOWEST:])

    def cost(x: jax.Array) -> jax.Array:
        model = jnp.exp(2 * x[0]) + jnp.exp(2 * x[1]) * unit
        return jnp.sum(jnp.log(model) + power / model) / 2

    start = jnp.log(jnp.array([rest.std(), 0.2 * rest.std()]))
    x = optimistix.minimise(lambda x, _: cost(x), optimistix.BFGS(1e-9, 1e-9), start, max_steps=200).value
    model = jnp.exp(2 * x[0]) + jnp.exp(2 * x[1]) * unit
    lean = jnp.stack([2 * jnp.exp(2 * x[0]) / model, 2 * jnp.exp(2 * x[1]) * unit / model])
    return np.asarray(x), np.linalg.inv(np.einsum("akl,bkl->ab", lean, lean) / 2), np.asarray((power / model).mean(1))


def main() -> None:
    flat = Curve((0.5, 6.0), (0.1, 0.1))
    planet = Planet(1.0, 10.0, 90.0, flat, flat, flat, t0_bjd_tdb=0.0)
    o = observe("niriss_soss", ngroups=2, nints=1, star=Star(11.0), planet=planet)
    lines, pixels = COLUMNS.stop - COLUMNS.start, ROWS.stop - ROWS.start
    clocks = o.shape[0] + o.subarray.row_overhead_clocks
    frame = round(o.subarray.frame_time_s / 1e-5)
    pink = np.einsum("p,plk->kl", poles()[1], modes.pink(lines, np.eye(pixels)[None], clocks, frame, 1)[:, 0])
    noise = o.detector.one_over_f
    table = np.hypot(noise.common_e, noise.independent_e) / o.detector.read_noise_e
    print(f"table: 1/f amplitude over read noise {table:.3f}")
    for path in sorted((Path(sys.argv[1]) / "niriss_soss" / "flight_images").glob("*.npy")):
        x, covariance, chi = fitted(window(np.load(path)), pink)
        error = np.sqrt(np.array([-1, 1]) @ covariance @ np.array([-1, 1]))
        ratio = np.exp(x[1] - x[0])
        bands = ", ".join(f"{c.mean():.2f}" for c in np.array_split(chi, 6))
        print(f"{path.name}: {ratio:.3f} +- {ratio * error:.3f}; power over model by frequency along the line: {bands}")


if __name__ == "__main__":
    main()
