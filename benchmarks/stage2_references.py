"""References with structure in place of those that the peer harness leaves at 1, in official formats.

A flat of ones and a conversion of one would agree whatever a step did. `enrich` takes the harness's files and writes
uneven flats with errors, unknown and zero pixels, and conversions that bend with wavelength and fade with time.
"""

from pathlib import Path

import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

DAY = 59700.0  # MJD from which the throughput fades


def enrich(mode: str, made: Path, out: Path, meta: ExposureMeta) -> None:
    """Write richer versions of the flat and the conversion of a mode from the files in `made` into `out`."""
    rng = np.random.default_rng(sum(map(ord, mode)))
    out.mkdir(parents=True)
    for path in sorted(made.iterdir()):
        reftype = path.name.split("_")[2]
        if reftype in WRITERS:
            WRITERS[reftype](path, out / path.name, rng)
    if meta.instrument == "NIRSPEC":
        for reftype in ("fflat", "sflat", "dflat"):
            nirspec_flat(out / f"jwst_nirspec_{reftype}_{mode.replace('_', '-')}.fits", reftype, meta, rng)


def flat(path: Path, out: Path, rng: np.random.Generator) -> None:
    """An uneven flat with errors; some pixels are NaN, zero or flagged."""
    from stdatamodels.jwst import datamodels

    with datamodels.open(path) as model:
        shape = model.data.shape
        data = rng.normal(1, 0.02, shape).astype(np.float32)
        dq = np.zeros(shape, np.uint32)
        what = rng.random(shape)
        data[what < 5e-4] = np.nan
        data[(what >= 5e-4) & (what < 1e-3)] = 0
        dq[(what >= 1e-3) & (what < 2e-3)] = flags.NO_FLAT_FIELD
        dq[(what >= 2e-3) & (what < 3e-3)] = flags.DO_NOT_USE
        dq[(what >= 3e-3) & (what < 4e-3)] = flags.UNRELIABLE_FLAT
        model.data, model.dq = data, dq
        model.err = rng.uniform(1e-4, 2e-3, shape).astype(np.float32)
        model.save(out)


def photom(path: Path, out: Path, rng: np.random.Generator) -> None:
    """A conversion that bends with wavelength and fades by a line, an exponential and a power of time."""
    from stdatamodels.jwst import datamodels

    with datamodels.open(path) as model:
        rows = model.phot_table
        scale = "photmj" if "photmj" in rows.names else "photmjsr"
        rows[scale] = rng.uniform(0.2, 0.4, len(rows))
        if "relresponse" in rows.names:
            wavelength = np.asarray(rows["wavelength"], float)
            rows["relresponse"] = 1 + 0.5 * np.sin(wavelength * 2.5) + 0.1 * wavelength
        keys = [name for name in rows.names if name not in NUMBERS]
        for kind, columns in FADES.items():
            table = [(*(row[key] for key in keys), *columns.values()) for row in rows]
            dtype = [(key, rows.dtype[key]) for key in keys] + [(name, "f4") for name in columns]
            setattr(model, f"timecoeff_{kind}", np.array(table, dtype=dtype))
        model.save(out)


def nirspec_flat(path: Path, reftype: str, meta: ExposureMeta, rng: np.random.Generator) -> None:
    """A component of NIRSpec's flat: a wavy table and, but for the fore optics, uneven images of the whole detector."""
    from stdatamodels.jwst import datamodels

    knots = np.linspace(0.4, 5.8, 500).astype(np.float32)
    kinds = [("slit_name", "S15"), ("nelem", "i4"), *((c, "f4", (500,)) for c in ("wavelength", "data", "error"))]
    wave = 1 + 0.2 * np.sin(knots * rng.uniform(5, 20))
    table = np.array([("ANY", 500, knots, wave, rng.uniform(1e-3, 3e-3, 500))], kinds)
    planes = {"fflat": 0, "sflat": 1, "dflat": 2}[reftype]
    content = {"flat_table": table}
    if planes:
        shape = (planes, *DETECTOR)
        what = rng.random(shape)
        data = rng.normal(1, 0.02, shape).astype(np.float32)
        data[what < 5e-4] = np.nan
        content |= {"data": data, "err": rng.uniform(1e-4, 2e-3, shape).astype(np.float32)}
        content["dq"] = np.where(what > 0.999, flags.NO_FLAT_FIELD, 0).astype(np.uint32)
        if planes == 1:
            content = {name: value if name == "flat_table" else value[0] for name, value in content.items()}
        else:
            content["wavelength"] = np.array([(0.5,), (5.5,)], [("wavelength", "f4")])
    with datamodels.NirspecFlatModel(**content) as model:
        base.save(base.describe(model, meta, reftype.upper(), window=False), path)


DETECTOR = (2048, 2048)
NUMBERS = ("photmj", "photmjsr", "uncertainty", "nelem", "wavelength", "relresponse", "reluncertainty")
FADES = {
    "linear": {"t0": DAY, "lossperyear": 0.03},
    "exponential": {"t0": DAY, "amplitude": 0.1, "tau": 200.0, "const": 0.9},
    "powerlaw": {"t0": DAY, "year1value": 0.95, "tsoft": 30.0, "alpha": -0.02},
}
WRITERS = {"flat": flat, "photom": photom}
