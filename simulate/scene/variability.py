"""A user's light curve of the star: any change with time and wavelength that is no planet's."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.times import DAY_S

COLUMN = "flux_"  # and the wavelength in micron


class Variability(eqx.Module):
    """Relative flux at times from the start of the exposure, linear between, constant beyond."""

    time_s: Float[Array, "knot"]
    flux: Float[Array, "knot wavelength"]

    def __call__(self, time_s: Float[Array, "time wavelength"]) -> Float[Array, "time wavelength"]:
        """Return the factor of the star's light."""
        return jax.vmap(lambda t, f: jnp.interp(t, self.time_s, f), in_axes=1, out_axes=1)(time_s, self.flux)


def read(path: Path, start_bjd_tdb: float, wavelength_um: Float[np.ndarray, "wavelength"]) -> Variability:
    """Read an ECSV table: `time` (BJD_TDB - 2400000.5 d), and `flux`, or columns `flux_<micron>` between which to go.

    Raises
    ------
    InputError
        For a file that cannot be read, lacks the columns, is not sorted in time, or holds what is no positive number.
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
    except Exception as error:
        raise InputError(f"{path}: not a table of a light curve ({' '.join(str(error).split())[:80]})") from None
    names = [n for n in table.colnames if n == "flux" or n.startswith(COLUMN)]
    if "time" not in table.colnames or not names:
        raise InputError(f"{path}: needs the columns time and flux (or flux_<micron>), has {', '.join(table.colnames)}")
    time = np.asarray(table["time"], float)
    flux = np.stack([np.asarray(table[n], float) for n in names], axis=1)
    if not (np.isfinite(time).all() and np.isfinite(flux).all() and (flux > 0).all() and (np.diff(time) > 0).all()):
        raise InputError(f"{path}: times must rise and fluxes be positive numbers")
    at = [float(n.removeprefix(COLUMN)) if n != "flux" else 0.0 for n in names]
    order = np.argsort(at)
    on_grid = np.stack([np.interp(wavelength_um, np.array(at)[order], row[order]) for row in flux])
    return Variability((time - start_bjd_tdb) * DAY_S, on_grid)
