"""Photometry of an imaged star (`_phot.ecsv`), columns, units and meta as the official step writes them.

Our own columns come last: what is needed to go on from the file. BJD_TDB is at the mean time of the groups used, as in
all our light curves; MJD is the middle of the integration.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from astropy import units
from astropy.io import ascii as tables
from astropy.table import QTable, Table

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.geometry import Geometry
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import mean_group_time
from uptheramp.calibrate.state import Photometry, single_order

SUMS = ("aperture_sum", "aperture_sum_err", "annulus_sum", "annulus_sum_err")
PLACES = ("aperture_x", "aperture_y")
FITTED = ("centroid_x", "centroid_y", "psf_width_x", "psf_width_y")
VARIANCES = ("var_poisson", "var_rnoise", "var_flat")
OWN = ("aperture_area", "annulus_area", "light_seen")


def write(path: Path, photometry: Photometry, meta: ExposureMeta, int_times: np.ndarray, steps: dict[str, str]) -> None:
    """Write one row for each integration; `steps` are the S_<STEP> cards of what ran."""
    p = photometry
    column = {name: np.asarray(p.column(name)) for name in p.columns}
    # NaN, as officially, where the annulus lies outside the window
    area = np.where(column["annulus_area"] > 0, column["annulus_area"], np.nan)
    mean, mean_err = column["annulus_sum"] / area, column["annulus_sum_err"] / area
    bkg, bkg_err = mean * column["aperture_area"], mean_err * column["aperture_area"]
    net_err = np.hypot(column["aperture_sum_err"], np.nan_to_num(bkg_err)) / column["light_seen"]
    right_ascension, declination = sky_deg(meta, *(column[name].astype(float) for name in PLACES))
    unit, px = units.Unit(p.unit), units.pix
    table = QTable(meta=_meta(p, meta) | {"steps": dict(steps)})
    table["MJD"] = int_times["int_mid_MJD_UTC"]
    table["BJD_TDB"] = mean_group_time(int_times, meta)
    sums = {name: column[name] for name in SUMS}
    sums |= {"annulus_mean": mean, "annulus_mean_err": mean_err, "aperture_bkg": bkg, "aperture_bkg_err": bkg_err}
    sums |= {"net_aperture_sum": np.asarray(p.flux[:, 0]), "net_aperture_sum_err": net_err}
    for name, values in sums.items():
        table[name] = values << unit
    for name in PLACES:
        table[name] = column[name] << px
    table["aperture_ra_icrs"], table["aperture_dec_icrs"] = right_ascension << units.deg, declination << units.deg
    for name in FITTED:
        table[name] = column[name] << px
    table["psf_flux"] = column["psf_flux"] << unit
    for name in OWN:
        table[name] = column[name]
    for name in VARIANCES:
        table[f"net_aperture_{name}"] = np.asarray(getattr(p, name)[:, 0])
    table["background"] = np.asarray(p.background[:, 0])
    table["dq"] = np.asarray(p.dq[:, 0])
    table["integration"] = np.asarray(p.integration)
    with whole(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)


def _meta(photometry: Photometry, meta: ExposureMeta) -> dict:
    named = {name: getattr(meta, name) or None for name in ("instrument", "detector", "channel", "subarray")}
    named |= {"filter": meta.filter, "pupil": meta.pupil or None, "target_name": meta.target}
    radius, inner, outer = (float(r) for r in photometry.radii_px)
    return named | {
        "apertures": f"Photometry measured in a circular aperture of r={radius} pixels.  Background calculated as the "
        f"mean in a circular annulus with r_inner={inner} pixels and r_outer={outer} pixels.",
        "number_of_integrations": len(photometry.flux),
        "time": "BJD_TDB - 2400000.5, at the mean time of the groups used",
        "exposure_s": max(meta.ngroups - 1, 1) * meta.group_time_s,
        "flux_unit": photometry.unit,
        "wavelength_um": float(photometry.wavelength_um[0]),
        "band_um": [float(end) for end in photometry.band_um],
        "circle_px2": float(photometry.npixels[0]),
        "radii_px": [float(radius) for radius in photometry.radii_px],
    }


def sky_deg(meta: ExposureMeta, x_px: np.ndarray, y_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination of pixels near the reference point, NaN where the header does not place it.

    Plain scales of the detector about (XREF_SCI, YREF_SCI), turned to V2, V3 by V3I_YANG and VPARITY and to the sky by
    ROLL_REF; distortion is left out, over the few pixels of a star's image.
    """
    g = meta.geometry or Geometry()
    told = np.array([g.x_ref, g.y_ref, g.ra_ref_deg, g.dec_ref_deg, g.roll_ref_deg], float)  # NaN where None
    x_ref, y_ref, ra_deg, dec_deg, roll_deg = told
    scale = lookup.detector(lookup.instrument(meta.instrument), meta.detector).pixel_scale_arcsec
    x, y = (x_px - (x_ref - 1)) * scale[0] * (g.v_parity or 1), (y_px - (y_ref - 1)) * scale[1]
    ideal, roll = np.radians([g.v3_ideal_angle_deg or 0.0, roll_deg])
    v2, v3 = x * np.cos(ideal) + y * np.sin(ideal), y * np.cos(ideal) - x * np.sin(ideal)
    east, north = v2 * np.cos(roll) + v3 * np.sin(roll), v3 * np.cos(roll) - v2 * np.sin(roll)
    return ra_deg + east / 3600 / np.cos(np.radians(dec_deg)), dec_deg + north / 3600


def read(path: Path) -> Photometry:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        If the file is not of ours: the official one does not tell the variances apart.
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
        known = {name: np.asarray(table[name], np.float32) for name in (*Photometry.columns, "net_aperture_sum")}
        plain = {name: np.asarray(table[f"net_aperture_{name}"], np.float32)[:, None] for name in VARIANCES}
        plain["background"] = np.asarray(table["background"], np.float32)[:, None]
        dq, integration, told = np.asarray(table["dq"], np.uint32), np.asarray(table["integration"]), table.meta
        band, middle, circle, radii = (told[name] for name in ("band_um", "wavelength_um", "circle_px2", "radii_px"))
        unit = told["flux_unit"]
    except (OSError, ValueError, KeyError, TypeError, tables.InconsistentTableError) as error:
        raise InputError(f"{path}: not a photometry table of ours ({' '.join(str(error).split())})") from error
    return Photometry(
        flux=jnp.asarray(known["net_aperture_sum"][:, None]),
        **{name: jnp.asarray(value) for name, value in plain.items()},
        dq=jnp.asarray(dq[:, None]),
        npixels=jnp.asarray([circle], jnp.float32),
        wavelength_um=jnp.asarray([middle], jnp.float32),
        integration=jnp.asarray(integration),
        unit=unit,
        **single_order(len(dq), 1),
        measured=jnp.asarray(np.stack([known[name] for name in Photometry.columns], 1)),
        band_um=jnp.asarray(band, jnp.float32),
        radii_px=jnp.asarray(radii, jnp.float32),
    )
