"""Makes stage2_flux.npz: small inputs and what the official functions of jwst 3.0.0 make of them (extra `peer`).

python tests/golden/make_stage2_flux.py
"""

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np

Y, X = 6, 14
LAWS = {
    "linear": {"t0": 59700.0, "lossperyear": 0.1},
    "exponential": {"t0": 59800.0, "amplitude": 0.2, "tau": 100.0, "const": 0.8},
    "powerlaw": {"t0": 59635.0, "year1value": 0.9, "tsoft": 1.0, "alpha": -0.05},
}
MJD = (59810.5, 60211.0, 61500.25)


def fading() -> dict[str, np.ndarray]:
    """The product of the three laws at three times."""
    from jwst.photom import time_dependence

    model = SimpleNamespace(phot_table=np.zeros(1), hasattr=lambda name: True)
    for name, values in LAWS.items():
        setattr(model, f"timecoeff_{name}", {c: np.array([v]) for c, v in values.items()})
    return {"fading": np.array([time_dependence.get_correction_table(model, mjd)[0] for mjd in MJD])}


def soss(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Conversion of a spectrum that runs to shorter wavelengths."""
    from jwst.photom.photom import DataSet

    wavelength, knots = np.linspace(2.9, 0.9, 9), np.linspace(0.6, 2.8, 6)
    response = rng.uniform(1, 2, 6)
    spec = SimpleNamespace(spec_table={"WAVELENGTH": wavelength[None].copy()})
    factor, _ = DataSet.create_1d_conversion(None, spec, 2e-3, knots, response, 0)
    return {"soss_um": wavelength, "soss_knots": knots, "soss_response": response, "soss_factor": np.array(factor)}


def flats(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The product of three components at tilted wavelengths."""
    from jwst.flatfield.flat_field import create_flat_field

    row, column = np.mgrid[:Y, :X]
    wavelength = 0.6 + 0.05 * column + 0.01 * column**1.5 + 0.004 * row
    knots = np.linspace(0.5, 3, 60)
    made: dict[str, np.ndarray] = {
        "flat_um": wavelength,
        "flat_knots": knots,
        "flat_planes": np.array([0.55, 1.2, 2.2]),
    }
    models = []
    for name, planes in (("f", 0), ("s", 1), ("d", 3)):
        fast, fast_err = 1 + 0.2 * np.sin(knots * rng.uniform(5, 20)), rng.uniform(1e-3, 5e-3, 60)
        model = SimpleNamespace(flat_table={"wavelength": knots[None], "data": fast[None], "error": fast_err[None]})
        made |= {f"{name}_fast": fast, f"{name}_fast_err": fast_err}
        if planes:
            data, err = rng.uniform(0.8, 1.2, (planes, Y, X)), rng.uniform(1e-3, 1e-2, (planes, Y, X))
            dq = np.zeros(data.shape, np.uint32)
            data[0, 2, 5], dq[-1, 3, 7] = np.nan, 1
            made |= {f"{name}_data": data.copy(), f"{name}_err": err.copy(), f"{name}_dq": dq.copy()}
            model.data, model.err, model.dq = (p[0] if planes == 1 else p for p in (data, err, dq))
            model.wavelength = {"wavelength": made["flat_planes"]}
        models.append(model)
    data, dq, err = create_flat_field(wavelength.copy(), *models, 0, X, 0, Y, "NRS_BRIGHTOBJ", 1, "S1600A1")
    return made | {"flat": data, "flat_dq": dq, "flat_err": err}


def filled(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A trace along x with four bad pixels, filled in both ways."""
    from jwst.pixel_replace.pixel_replace import PixelReplaceArrays, PixelReplacement

    cross, along = np.mgrid[:9, :10]
    data = 900 * np.exp(-0.5 * ((cross - 4 - 0.03 * along) / 1.5) ** 2) + 20 + rng.normal(size=(9, 10))
    dq = np.zeros(data.shape, np.uint32)
    for y, x in ((3, 4), (5, 5), (4, 8), (2, 2)):
        dq[y, x] = 1
    planes = {"data": data, **{f"var_{n}": rng.uniform(1, 3, data.shape) for n in ("poisson", "rnoise", "flat")}}
    for plane in planes.values():
        plane[dq == 1] = np.nan
    made = {f"fill_{name}": plane.copy() for name, plane in planes.items()} | {"fill_dq": dq}
    for algorithm in ("mingrad", "fit_profile"):
        copies = {name: plane.copy() for name, plane in planes.items()}
        err = np.sqrt(copies["var_poisson"] + copies["var_rnoise"] + copies["var_flat"])
        arrays = PixelReplaceArrays(**copies, dq=dq.copy(), err=err, trace_model=None, dispersion_direction=1)
        out = PixelReplacement(None, algorithm).algorithm(arrays)
        made |= {f"{algorithm}_{n}": getattr(out, n) for n in ("data", "dq", "var_poisson", "var_rnoise", "var_flat")}
    return made


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    draws = np.random.default_rng(11)
    np.savez_compressed(
        Path(__file__).with_name("stage2_flux.npz"), **fading(), **soss(draws), **flats(draws), **filled(draws)
    )
