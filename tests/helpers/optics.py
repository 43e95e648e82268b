"""Optical references, made up but in every official format, and the official wavelengths from them.

The optics are unlike any instrument's in scale, but every term that the official models have is there and not zero.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.modeling.models import Mapping, Polynomial1D, Polynomial2D, Scale, Shift, Tabular2D

from uptheramp.calibrate.io.geometry import Geometry
from uptheramp.calibrate.io.meta import ExposureMeta

COUNTS = {
    "nints": 2,
    "ngroups": 4,
    "nframes": 1,
    "groupgap": 0,
    "frame_divisor": 1,
    "outputs": 1,
    "frame_time_s": 1.0,
    "group_time_s": 1.0,
    "start_mjd": 6e4,
}
POINTING = Geometry(
    ra_ref_deg=10.0, dec_ref_deg=20.0, roll_ref_deg=30.0, v2_ref_arcsec=80.0, v3_ref_arcsec=-500.0, v_parity=-1,
    v3_ideal_angle_deg=0.6, x_offset_arcsec=0.0, y_offset_arcsec=0.0, va_scale=1.0, velocity_m_s=-21000.0,
)  # fmt: skip


def described(model, meta: ExposureMeta):
    """What every reference file says of itself."""
    model.meta.telescope = "JWST"
    model.meta.instrument.name, model.meta.instrument.detector = meta.instrument, meta.detector
    for name in ("filter", "pupil", "grating", "module"):
        if getattr(meta, name):
            setattr(model.meta.instrument, name, getattr(meta, name))
    model.meta.exposure.type = meta.exp_type
    model.meta.author, model.meta.pedigree, model.meta.description = "tests", "DUMMY", "made up"
    model.meta.useafter = "2000-01-01T00:00:00"
    return model


def write(model, meta: ExposureMeta, path: Path, **attributes) -> Path:
    described(model, meta)
    for name, value in attributes.items():
        setattr(model.meta, name, value)
    model.save(path)
    return path


def distortion(folder: Path, meta: ExposureMeta) -> Path:
    from stdatamodels.jwst import datamodels

    model = Shift(-300.0) & Shift(-200.0) | Scale(0.1) & Scale(0.11) | Shift(80.0) & Shift(-500.0)
    made = datamodels.DistortionModel(model=model, input_units=u.pix, output_units=u.arcsec)
    made.meta.reftype = "distortion"
    return write(made, meta, folder / "distortion.asdf")


GRISM = ExposureMeta(
    instrument="NIRCAM", detector="NRCALONG", exp_type="NRC_TSGRISM", subarray="SUBGRISM64", x_start=1, y_start=1,
    x_size=2048, y_size=64, fast_axis=-1, slow_axis=2, pattern="RAPID", filter="F322W2", pupil="GRISMR",
    channel="LONG", module="A", geometry=replace(POINTING, x_ref=468.3, y_ref=35.2), **COUNTS,
)  # fmt: skip


def grism(folder: Path, meta: ExposureMeta, inverse: bool) -> dict[str, Path]:
    """SPECWCS of a grism: with inverse models, or without, and wavelengths that depend on the field point."""
    from stdatamodels.jwst import datamodels

    span, start = 1900.0, -470.0
    lam = Polynomial1D(3, c0=2.31, c1=1.9, c2=0.04, c3=-0.01)
    flat = Polynomial1D(1, c0=0.1, c1=0.2)
    if inverse:
        models = {
            "displ": [lam, lam],
            "dispx": [Polynomial1D(1, c0=start, c1=span)] * 2,
            "invdispl": [Polynomial1D(1, c0=-1.2, c1=0.5)] * 2,
            "invdispx": [Polynomial1D(2, c0=-start / span, c1=1 / span, c2=1e-9)] * 2,
            "invdispy": [flat] * 2,
        }
    else:
        of_place = lambda c, x, y: Polynomial2D(1, c0_0=c, c1_0=x, c0_1=y)  # noqa: E731
        models = {
            "displ": [[of_place(2.3, 1e-5, -2e-5), of_place(1.9, 3e-5, 1e-5)]] * 2,
            "dispx": [[Polynomial1D(1, c0=start, c1=span)]] * 2,
        }
    models |= {"dispy": [flat if inverse else [flat]] * 2, "orders": [1, 2]}
    made = datamodels.NIRCAMGrismModel(**models)
    made.meta.reftype = "specwcs"
    units = {"input_units": u.micron, "output_units": u.pix}
    return {
        "specwcs": write(made, meta, folder / "specwcs.asdf", **units),
        "distortion": distortion(folder, meta),
    }


LRS = ExposureMeta(
    instrument="MIRI", detector="MIRIMAGE", exp_type="MIR_LRS-SLITLESS", subarray="SLITLESSPRISM", x_start=1,
    y_start=529, x_size=72, y_size=416, fast_axis=1, slow_axis=2, pattern="FASTR1", filter="P750L",
    geometry=POINTING, **COUNTS,
)  # fmt: skip
LRS_SLIT = replace(
    LRS, exp_type="MIR_LRS-FIXEDSLIT", subarray="FULL", y_start=1, x_size=1032, y_size=1024
)  # fmt: skip


def rows(folder: Path, meta: ExposureMeta) -> dict[str, Path]:
    """SPECWCS of the prism: rows that are no whole pixels, and corners inside the table at its lower end."""
    from stdatamodels.jwst import datamodels

    y = np.linspace(81.3, -306.1, 388)
    x = 0.2 * np.sin(y / 90)
    lam = 14.1 - 10.2 * ((y + 306.1) / 387.4) ** 1.7
    columns = {"x_center": x, "y_center": y, "wavelength": lam, "x0": x - 4, "y0": y + 0.5, "x1": x + 4, "y1": y + 0.5}
    columns |= {"x2": x + 4, "y2": y + 2.5, "x3": x - 4, "y3": y - 0.5}
    table = np.rec.fromarrays(list(columns.values()), dtype=[(name, "f8") for name in columns])
    made = datamodels.MiriLRSSpecwcsModel(
        wavetable=np.asarray(table), x_ref=326.13, y_ref=340.7, x_ref_slitless=37.5, y_ref_slitless=829.3
    )
    made.meta.reftype = "SPECWCS"
    return {"specwcs": write(made, meta, folder / "specwcs.fits"), "distortion": distortion(folder, meta)}


BOTS = ExposureMeta(
    instrument="NIRSPEC", detector="NRS1", exp_type="NRS_BRIGHTOBJ", subarray="SUB2048", x_start=1, y_start=1016,
    x_size=2048, y_size=32, fast_axis=2, slow_axis=1, pattern="NRSRAPID", filter="F290LP", grating="G395H",
    geometry=replace(
        POINTING, slit="S1600A1", grating_wheel_k=37.06, grating_wheel_x=0.359, grating_wheel_y=0.134,
        x_offset_arcsec=0.21, y_offset_arcsec=-0.1,
    ), **COUNTS,
)  # fmt: skip
BOTS_NRS2 = replace(BOTS, detector="NRS2", y_start=1020)
BOTS_PRISM = replace(
    BOTS, subarray="SUB512", x_start=593, y_start=1002, x_size=512, filter="CLEAR", grating="PRISM"
)  # fmt: skip
FIXED_SLIT = replace(
    BOTS, exp_type="NRS_FIXEDSLIT", subarray="FULL", y_start=1, y_size=2048,
    geometry=replace(BOTS.geometry, slit="S400A1"),
)  # fmt: skip
HALF = 0.55  # of the slit's height, that is followed
PIXEL_M, CAMERA_M, COLLIMATOR_M, ROW = 18e-6, 0.2687, 0.6, 1038.0
PLANE_M = PIXEL_M / CAMERA_M * COLLIMATOR_M  # one pixel, at the plane of the slits


def _bent(scale: float, bend: float):
    """A scale with a little of everything, and an inverse that is not quite its inverse, as those of the references."""

    def polynomials(a: float, b: float):
        x = Polynomial2D(2, c1_0=a, c0_1=1e-3 * a, c2_0=b * a, c1_1=-b * a, c0_2=0.5 * b * a)
        y = Polynomial2D(2, c1_0=-1e-3 * a, c0_1=a, c2_0=-b * a, c1_1=b * a, c0_2=b * a)
        return Mapping((0, 1, 0, 1)) | x & y

    model = polynomials(scale, bend)
    # to first order: x -> x / a, with the terms of second order in units of x
    back = polynomials(1 / scale, -bend / scale)
    back[1].c0_1, back[2].c1_0 = -1e-3 / scale, 1e-3 / scale
    model.inverse = back
    return model


def slit(folder: Path, meta: ExposureMeta) -> dict[str, Path]:
    """The optics of slit spectra, and the correction for where the source stands in the slit."""
    from stdatamodels.jwst import datamodels

    prism = meta.grating == "PRISM"
    middle_px = 325.0 if prism else 1024.0

    def chip(x: float, y: float, pixel_m: float):
        return Shift(-x) & Shift(-y) | Scale(pixel_m) & Scale(pixel_m)

    tilt_x, tilt_y = ({"temperatures": [39.5], "unit": "arcsec", "zeroreadings": [reading],
                       "tilt_model": Polynomial1D(1, c0=3.0, c1=slope)}
                      for reading, slope in ((0.2, 70.0), (0.1, -50.0)))  # fmt: skip
    disperser = {"theta_x": 0.02, "theta_y": -0.03, "theta_z": 0.2, "gwa_tiltx": tilt_x, "gwa_tilty": tilt_y}
    if prism:
        glass = {"kcoef": [0.5675888, 0.4710914, 3.8484723], "lcoef": [0.0025264, 0.0100783, 1200.556]}
        disperser |= glass | {"angle": -16.5, "tcoef": [-2.66e-5, 0.0, 0.0, 0.0, 0.0, 0.0], "tref": 35.0, "pref": 0.0}
    else:
        disperser |= {"groovedensity": 1.0e5}
    made = datamodels.DisperserModel(**disperser)
    made.tilt_x, made.tilt_y = 0.0, 2.0 if prism else -8.8
    slope = -1.117 if prism else 0.0447
    number = np.arange(5)
    table = np.zeros(5, [("NO", "i4"), ("XC", "f8"), ("YC", "f8"), ("SIZEX", "f8"), ("SIZEY", "f8")])
    table["NO"], table["SIZEX"], table["SIZEY"] = number, 16 * PLANE_M, 16 * PLANE_M
    table["XC"] = slope * COLLIMATOR_M + (number - 3) * 30 * PLANE_M
    table["YC"] = (number - 3) * 25 * PLANE_M
    quadrant = Shift(1e-6) & Shift(-2e-6)
    quadrants = [f"Q{n}" for n in range(1, 6)]
    shutters = datamodels.MSAModel(models=dict.fromkeys(quadrants, quadrant), data=dict.fromkeys(quadrants, table))
    fore = Mapping((0, 1), n_inputs=3) | Shift(1e-5) & Scale(1.01)
    fore.inverse = Mapping((0, 1), n_inputs=3) | Shift(-1e-5) & Scale(1 / 1.01)
    to_arcsec = 0.1 / PLANE_M
    telescope = Shift(-slope * COLLIMATOR_M) & Scale(1.0) | Scale(to_arcsec) & Scale(to_arcsec)
    telescope = telescope | Shift(80.0) & Shift(-500.0)
    keyword = f"{meta.filter}_{meta.grating}"
    ranges = {"wrange_selector": ["F100LP_G140H", keyword], "order": [-1, -1], "wunits": u.m}
    ranges["wrange"] = [[1e-6, 2e-6], [0.7e-6, 5.2e-6] if prism else [2.95e-6, 4.1e-6]]
    lam, place = np.linspace(0.6e-6, 5.3e-6, 11), np.linspace(-0.5, 0.5, 5)
    offset = Tabular2D(points=(lam, place), lookup_table=-place * (0.8 + 1e5 * lam[:, None]), bounds_error=False)
    aperture = {"aperture_name": "S1600A1", "zero_point_offset": offset, "width": 1e-3,
                "variance": np.zeros((11, 5), np.float32)}  # fmt: skip
    models = {
        "fpa": datamodels.FPAModel(
            nrs1_model=chip(middle_px, ROW, PIXEL_M), nrs2_model=chip(middle_px + 90, ROW - 27, -PIXEL_M)
        ),
        "camera": datamodels.CameraModel(model=_bent(1 / CAMERA_M, 0.03)),
        "collimator": datamodels.CollimatorModel(model=_bent(COLLIMATOR_M, -0.001)),
        "disperser": made,
        "msa": shutters,
        "fore": datamodels.FOREModel(model=fore),
        "ote": datamodels.OTEModel(model=telescope),
        "wavelengthrange": datamodels.WavelengthrangeModel(**ranges),
        "wavecorr": datamodels.WaveCorrModel(apertures=[aperture]),
    }
    units = {"input_units": u.m, "output_units": u.m}
    no_units = ("wavelengthrange", "disperser", "wavecorr")
    for name, model in models.items():
        model.meta.reftype = name
        write(model, meta, folder / f"{name}.asdf", **({} if name in no_units else units))
    return {name: folder / f"{name}.asdf" for name in models}


@dataclass(frozen=True)
class Case:
    """An exposure and the references it is given."""

    meta: ExposureMeta
    write: Callable[[Path, ExposureMeta], dict[str, Path]]


CASES = {
    "grism": Case(GRISM, lambda folder, meta: grism(folder, meta, inverse=True)),
    "grism_by_field": Case(GRISM, lambda folder, meta: grism(folder, meta, inverse=False)),
    "prism_rows": Case(LRS, rows),
    "prism_rows_slit": Case(LRS_SLIT, rows),
    "slit_grating": Case(BOTS, slit),
    "slit_grating_nrs2": Case(BOTS_NRS2, slit),
    "slit_prism": Case(BOTS_PRISM, slit),
    "fixed_slit": Case(FIXED_SLIT, slit),
}


def exposure(meta: ExposureMeta):
    """The official data model of an empty exposure."""
    from stdatamodels.jwst import datamodels

    model = datamodels.CubeModel(data=np.zeros((meta.nints, *meta.shape), np.float32))
    model.err, model.var_rnoise, model.var_poisson = (np.zeros_like(model.data) for _ in range(3))
    model.int_times = np.zeros(meta.nints, model.get_dtype("int_times"))
    m, g = model.meta, meta.geometry
    m.telescope, m.exposure.type, m.target.source_type_apt = "JWST", meta.exp_type, meta.source_type or None
    m.target.source_type = "POINT" if meta.point_source else "EXTENDED"
    m.exposure.nints = meta.nints
    for name in ("detector", "filter", "pupil", "grating", "channel", "module"):
        if getattr(meta, name):
            setattr(m.instrument, name, getattr(meta, name))
    m.instrument.name, m.visit.tsovisit = meta.instrument, meta.tso
    m.subarray.name, m.subarray.xstart, m.subarray.ystart = meta.subarray, meta.x_start, meta.y_start
    m.subarray.ysize, m.subarray.xsize = meta.shape
    m.wcsinfo.v2_ref, m.wcsinfo.v3_ref, m.wcsinfo.roll_ref = g.v2_ref_arcsec, g.v3_ref_arcsec, g.roll_ref_deg
    m.wcsinfo.ra_ref, m.wcsinfo.dec_ref, m.wcsinfo.vparity = g.ra_ref_deg, g.dec_ref_deg, g.v_parity
    m.wcsinfo.v3yangle, m.wcsinfo.velosys = g.v3_ideal_angle_deg, g.velocity_m_s
    m.wcsinfo.siaf_xref_sci, m.wcsinfo.siaf_yref_sci = g.x_ref, g.y_ref
    m.velocity_aberration.scale_factor = g.va_scale
    m.target.ra, m.target.dec = g.target_ra_deg, g.target_dec_deg
    m.dither.x_offset, m.dither.y_offset = g.x_offset_arcsec, g.y_offset_arcsec
    m.instrument.fixed_slit = g.slit
    m.instrument.gwa_tilt, m.instrument.gwa_xtilt, m.instrument.gwa_ytilt = (
        g.grating_wheel_k, g.grating_wheel_x, g.grating_wheel_y,
    )  # fmt: skip
    return model


def with_wcs(meta: ExposureMeta, paths: dict[str, Path]):
    from jwst.assign_wcs.assign_wcs import load_wcs

    unused = dict.fromkeys(("filteroffset", "specwcs", "regions"))
    return load_wcs(exposure(meta), unused | {k: str(p) for k, p in paths.items()}, [-HALF, HALF])


def slit_model(meta: ExposureMeta, paths: dict[str, Path], *, corrected: bool = False):
    """The official data model of the target's slit after extract_2d and srctype, and wavecorr if `corrected`."""
    from jwst.extract_2d.nirspec import nrs_extract2d
    from jwst.srctype.srctype import set_source_type
    from jwst.wavecorr.wavecorr import do_correction

    model = with_wcs(meta, paths)
    model.meta.cal_step.assign_wcs = "COMPLETE"
    model.meta.wcsinfo.dispersion_direction = 1
    model = set_source_type(nrs_extract2d(model))
    if corrected:
        model = do_correction(model, str(paths["wavecorr"]))
    slits = getattr(model, "slits", [model])
    return next(s for s in slits if s.name == meta.geometry.slit)


def official(meta: ExposureMeta, paths: dict[str, Path], *, corrected: bool = False):
    """Wavelengths (um) of jwst's assign_wcs in every pixel of the window, and the corner (0-based) of its cut-out.

    NaN where extract_2d cuts off; `corrected` by wavecorr where there is such a reference.
    """
    if "msa" in paths:
        model = slit_model(meta, paths, corrected=corrected)
        (x, y), cut = (model.xstart - 1, model.ystart - 1), np.asarray(model.wavelength, float)
        image = np.full(meta.shape, np.nan)
        image[y:, x:][: cut.shape[0], : cut.shape[1]] = cut
        return image, (x, y)
    y, x = np.mgrid[: meta.y_size, : meta.x_size]
    order = (np.ones(x.shape),) if meta.exp_type == "NRC_TSGRISM" else ()
    return np.asarray(with_wcs(meta, paths).meta.wcs(x, y, *order)[2]), (0, 0)


def some(wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of some rows and columns of a map: its ends, and others up to one pixel beyond the lit ones."""

    def picked(lit: np.ndarray) -> np.ndarray:
        edges = np.flatnonzero(lit)
        inside = np.linspace(max(edges[0] - 1, 0), min(edges[-1] + 1, len(lit) - 1), 25).astype(int)
        return np.unique([0, *inside, len(lit) - 1])

    lit = np.isfinite(wavelength)
    return picked(lit.any(1)), picked(lit.any(0))


def of_column(column: np.ndarray, meta: ExposureMeta, samples: int):
    """SPECWCS table of the MIRI prism, `samples` in a row, from the wavelengths (micron) of a column of its window."""
    from stdatamodels.jwst import datamodels

    lit = np.flatnonzero(np.isfinite(column))
    y = np.linspace(lit[-1], lit[0], (len(lit) - 1) * samples + 1)
    x_ref, y_ref = 38.5, 829.0  # 1-based, full frame
    dx, dy = np.zeros(len(y)), y + meta.y_start - y_ref
    corners = {"x0": dx - 4, "y0": dy + 0.5, "x1": dx + 4, "y1": dy + 0.5}
    corners |= {"x2": dx + 4, "y2": dy - 0.5, "x3": dx - 4, "y3": dy - 0.5}
    columns = {"x_center": dx, "y_center": dy, "wavelength": np.interp(y, lit, column[lit]), **corners}
    table = np.rec.fromarrays(list(columns.values()), dtype=[(name, "f8") for name in columns])
    made = datamodels.MiriLRSSpecwcsModel(
        wavetable=np.asarray(table), x_ref=1.0, y_ref=1.0, x_ref_slitless=x_ref, y_ref_slitless=y_ref
    )
    made.meta.reftype = "SPECWCS"
    return made
