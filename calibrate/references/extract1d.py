"""EXTRACT1D: the aperture of the extraction and the windows of the background.

Edges across the dispersion are continuous coordinates in which pixel j covers j - 0.5 .. j + 0.5, so the edges 8.5 and
28.5 take the pixels 9 to 28. They are polynomials of the pixel along the dispersion, or of the wavelength (micron) of
each pixel, lowest power first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.kernels.aperture import across_axis, coverage
from uptheramp.calibrate.references.optics import slit, source
from uptheramp.calibrate.references.optics.models import MODELS
from uptheramp.calibrate.references.slits import of_target

FITS = ("poly", "mean", "median")
LARGEST_DEGREE = 5  # of a background: more is noise


class Extract1d(eqx.Module):
    """Edges of the aperture and of the background windows; `dispersion_axis` is 1 along x, 2 along y.

    `more[r, 0]` and `[r, 1]` are the edges of further regions of the aperture, of which each pixel takes the largest
    part. `background[w, 0]` and `[w, 1]` are the lower and upper edge of window w; `background_order` is the degree of
    the polynomial drawn through all windows of a dispersion element; with `background_median` their median is taken.
    Before that they are smoothed along the dispersion by a box of `smoothing_px` pixels (odd; 0: not). `first` and
    `last` (included) are the dispersion pixels between which there is an aperture. `at_source`: the file asks that the
    aperture be moved to where the source is expected, which is done where the optics say it (`from_parts`).
    `of_wavelength`: edges are functions of wavelength; `wavelength_um` are those of the window, for whoever has none
    at hand, if the optics tell them.
    """

    lower: Float[np.ndarray | Array, "coefficient"]
    upper: Float[np.ndarray | Array, "coefficient"]
    background: Float[np.ndarray | Array, "window 2 term"]
    dispersion_axis: int = eqx.field(static=True)
    background_order: int = eqx.field(static=True, default=0)
    first: int = eqx.field(static=True, default=0)
    last: int | None = eqx.field(static=True, default=None)
    at_source: bool = eqx.field(static=True, default=False)
    background_median: bool = eqx.field(static=True, default=False)
    smoothing_px: int = eqx.field(static=True, default=0)
    more: Float[np.ndarray | Array, "region 2 term"] = eqx.field(default_factory=lambda: np.zeros((0, 2, 1)))
    of_wavelength: bool = eqx.field(static=True, default=False)
    wavelength_um: Float[np.ndarray | Array, "y x"] | None = None
    ending: ClassVar[str] = "json"

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Extract1d":
        """Read the aperture of the first order from the official JSON format (src_coeff, or start and stop pixels)."""
        try:
            content = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable EXTRACT1D file ({error}); it should be JSON") from error
        aperture = _choose(content.get("apertures", []), meta, path)
        axis = int(aperture.get("dispaxis") or 1)
        fit, order = str(aperture.get("bkg_fit") or "poly").lower(), aperture.get("bkg_order") or 0
        order = 0 if fit in ("median", "mean") else order
        if axis not in (1, 2) or order not in range(LARGEST_DEGREE + 1) or fit not in FITS:
            raise InputError(
                f"{path}: dispaxis {axis}, bkg_fit {fit}, bkg_order {order}; readable are dispaxis 1, 2, bkg_fit "
                f"{', '.join(FITS)} and bkg_order 0 to {LARGEST_DEGREE}"
            )
        (lower, upper), *others = _regions(aperture, axis, meta, path)
        windows = _pairs(aperture.get("bkg_coeff") or [], "bkg_coeff", path)
        varying = any(len(edge) > 1 for pair in (*windows, *others, (lower, upper)) for edge in pair)
        of_wavelength = varying and str(aperture.get("independent_var", "pixel")).lower().startswith("wavelength")
        letter = "x" if axis == 1 else "y"
        first, last = aperture.get(f"{letter}start") or 0, aperture.get(f"{letter}stop")
        last = None if last is None else int(np.floor(last))
        edges = np.asarray(lower, float), np.asarray(upper, float)
        at_source = aperture.get("use_source_posn")
        at_source = meta.exp_type in slit.EXP_TYPES if at_source is None else bool(at_source)
        at_source = at_source and meta.point_source
        return cls(
            *edges,
            _array(windows),
            axis,
            int(order),
            int(np.ceil(first)),
            last,
            at_source,
            fit == "median",
            _odd(aperture.get("smoothing_length") or 0),
            _array(others),
            of_wavelength,
        )

    @classmethod
    def parts(cls, meta: ExposureMeta) -> tuple[str, ...]:
        """REFTYPEs: its own and the optics, which tell wavelengths and, behind a slit, the official cut-out and source.

        Without the optics the file is read as it is.
        """
        return ("extract1d", *MODELS[meta.exp_type].reftypes) if meta.exp_type in MODELS else ()

    @classmethod
    def from_parts(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Extract1d":
        """Place the aperture as jwst 3.0.0 extract_1d: its pixels are those of the cut-out of extract_2d."""
        if meta.exp_type not in slit.EXP_TYPES:
            return _with_wavelengths(cls.from_file(paths["extract1d"], meta), paths, meta)
        cut = slit.box(paths, meta)
        (left, right), (bottom, top) = cut.columns, cut.rows
        inside = cls.from_file(paths["extract1d"], replace(meta, x_size=right - left, y_size=top - bottom))
        aperture = _with_wavelengths(inside.moved(left, bottom), paths, meta)
        if not inside.at_source:
            return aperture
        column, wavelength = cut.middle()
        row = cut.row(wavelength, source.place(paths, meta))
        if not bottom - 0.5 <= row <= top - 0.5:  # parity: also where the row is not known
            return aperture
        lam = cut.wavelength_um(*cut.pixels()) if inside.of_wavelength else None
        taken = np.asarray(inside.inside((top - bottom, right - left), lam))[:, round(column - left)]
        if not taken.any():
            taken = np.ones_like(taken)
        return aperture.moved(0, row - np.average(np.arange(bottom, top), weights=taken))

    def moved(self, along: int, across: float) -> "Extract1d":
        """The same aperture so many pixels further on along and across the dispersion."""

        def shifted(edge: np.ndarray) -> np.ndarray:
            if not self.of_wavelength:
                moved = np.polynomial.Polynomial(edge)(np.polynomial.Polynomial([-along, 1.0])).coef
                edge = np.pad(moved, (0, len(edge) - len(moved)))
            return edge + across * (np.arange(len(edge)) == 0)

        def each(pairs: np.ndarray) -> np.ndarray:
            return np.array([[shifted(edge) for edge in pair] for pair in pairs]).reshape(pairs.shape)

        return replace(
            self,
            lower=shifted(self.lower),
            upper=shifted(self.upper),
            more=each(self.more),
            background=each(self.background),
            first=self.first + along,
            last=None if self.last is None else self.last + along,
        )

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official JSON format."""
        aperture = {
            "id": "ANY",
            "region_type": "target",
            "dispaxis": self.dispersion_axis,
            "independent_var": "wavelength" if self.of_wavelength else "pixel",
            "src_coeff": [np.asarray(edge).tolist() for pair in self.regions for edge in pair],
            "use_source_posn": False,
        }
        letter = "x" if self.dispersion_axis == 1 else "y"
        aperture |= {f"{letter}start": self.first} if self.first else {}
        aperture |= {f"{letter}stop": self.last} if self.last is not None else {}
        if len(self.background):
            aperture["bkg_coeff"] = np.asarray(self.background).reshape(-1, self.background.shape[-1]).tolist()
            aperture |= {"bkg_fit": "median" if self.background_median else "poly", "bkg_order": self.background_order}
            aperture |= {"smoothing_length": self.smoothing_px} if self.smoothing_px else {}
        content = {
            "reftype": "EXTRACT1D",
            "instrument": meta.instrument,
            "detector": meta.detector,
            "subarray": meta.subarray,
            "filter": meta.filter,
            "telescope": "JWST",
            "exp_type": meta.exp_type,
            "author": "uptheramp",
            "pedigree": "SIMULATED",
            "descrip": "Simulated EXTRACT1D reference of uptheramp",
            "useafter": "2022-01-01T00:00:00",
            "apertures": [aperture],
        }
        with whole(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1))

    def between(self, shape: tuple[int, int]) -> Bool[np.ndarray, "..."]:
        """Whether there is an aperture at a dispersion pixel, shaped to broadcast against (y, x)."""
        pixel = np.arange(shape[-1 if self.dispersion_axis == 1 else -2])
        inside = (pixel >= self.first) & (pixel <= (len(pixel) if self.last is None else self.last))
        return inside[None, :] if self.dispersion_axis == 1 else inside[:, None]

    @property
    def regions(self) -> list[tuple[Any, Any]]:
        """Lower and upper edge of each region of the aperture."""
        return [(self.lower, self.upper), *((pair[0], pair[1]) for pair in self.more)]

    def inside(self, shape: tuple[int, ...], wavelength_um: Float[Array, "y x"] | None = None) -> Float[Array, "y x"]:
        """Part of each pixel of a (y, x) window that is in the aperture, as far as its edges tell (not `between`)."""
        return reduce(jnp.maximum, self._covered(self.regions, shape, wavelength_um))

    def beside(self, shape: tuple[int, ...], wavelength_um: Float[Array, "y x"] | None = None) -> Float[Array, "y x"]:
        """Part of each pixel of a (y, x) window that is in the windows of the background."""
        windows = [(pair[0], pair[1]) for pair in jnp.asarray(self.background)]
        return jnp.minimum(reduce(add, self._covered(windows, shape, wavelength_um), jnp.zeros(shape)), 1)

    def _covered(
        self, pairs: Sequence[tuple[Any, Any]], shape: tuple[int, ...], wavelength_um: Float[Array, "y x"] | None
    ) -> list[Float[Array, "y x"]]:
        axis, along = across_axis(self.dispersion_axis), None
        if self.of_wavelength and pairs:
            along = jnp.asarray(self._wavelengths() if wavelength_um is None else wavelength_um, jnp.float64)
        return [coverage(lower, upper, shape, axis, along) for lower, upper in pairs]

    def _wavelengths(self) -> Float[np.ndarray | Array, "y x"]:
        if self.wavelength_um is None:
            raise InputError(
                "the edges of EXTRACT1D are functions of wavelength, and no optical references tell wavelengths where "
                "the aperture is asked for; add them, or give edges in pixels"
            )
        return self.wavelength_um

    def middle_px(self, length: int) -> Float[np.ndarray, "dispersion"]:
        """Pixel across the dispersion in the middle of the aperture, for each of `length` dispersion pixels.

        Of several regions that of their mean, by width.
        """
        at = np.arange(length, dtype=float)
        if self.of_wavelength:
            at = _along(np.asarray(self._wavelengths()), self.dispersion_axis)
        edges = [[np.polyval(np.asarray(edge)[::-1], at) for edge in pair] for pair in self.regions]
        width = np.array([np.maximum(upper - lower, 1e-6) for lower, upper in edges])
        middle = np.array([(upper + lower) / 2 for lower, upper in edges])
        return (middle * width).sum(0) / width.sum(0)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Extract1d":
        """Every pixel across the shorter side, and no background window."""
        axis = 1 if meta.x_size >= meta.y_size else 2
        across = min(meta.shape)
        return cls(np.array([-0.5]), np.array([across - 0.5]), np.zeros((0, 2, 1)), axis)


def _with_wavelengths(aperture: Extract1d, paths: Mapping[str, Path], meta: ExposureMeta) -> Extract1d:
    """With the wavelengths of the window, if edges depend on them."""
    if not aperture.of_wavelength:
        return aperture
    return replace(aperture, wavelength_um=np.float32(MODELS[meta.exp_type].light(paths, meta).wavelength_um))


def _odd(length: float) -> int:
    """A length of smoothing as jwst 3.0.0 takes it: whole, odd, none below 3."""
    whole_px = round(length)
    return 0 if whole_px < 3 else whole_px - (whole_px % 2 == 0)


def _choose(apertures: list[dict[str, Any]], meta: ExposureMeta, path: Path) -> dict[str, Any]:
    """Find the target aperture of the first order that is meant for this exposure."""
    names = ("ANY", meta.exp_type, of_target(meta) or meta.exp_type)
    found = [
        a
        for a in apertures
        if a.get("id") in names
        and a.get("region_type", "target") == "target"
        and a.get("spectral_order", 1) in (1, "ANY")
    ]
    if not found:
        raise InputError(
            f"{path}: no target aperture with id {' or '.join(sorted(set(names)))}; use a file that has one"
        )
    return found[0]


def _pairs(polynomials: list[list[float]], key: str, path: Path) -> list[tuple[list[float], list[float]]]:
    """Lower and upper edges, which alternate in the file."""
    if len(polynomials) % 2:
        raise InputError(f"{path}: {key} must alternate lower and upper edges, it has {len(polynomials)} entries")
    return list(zip(polynomials[::2], polynomials[1::2], strict=True))


def _array(pairs: Sequence[tuple[list[float], list[float]]]) -> Float[np.ndarray, "pair 2 term"]:
    """Pairs of polynomials, filled up with zeros."""
    filled = np.zeros((len(pairs), 2, max((len(edge) for pair in pairs for edge in pair), default=1)))
    for p, pair in enumerate(pairs):
        for side, edge in enumerate(pair):
            filled[p, side, : len(edge)] = edge
    return filled


def _along(wavelength_um: Float[np.ndarray, "y x"], axis: int) -> Float[np.ndarray, "dispersion"]:
    """Mean wavelength at each dispersion pixel; the nearest ones where there is none."""
    lit = np.isfinite(wavelength_um)
    across = 0 if axis == 1 else 1
    number = lit.sum(across)
    pixel = np.flatnonzero(number)
    mean = np.where(lit, wavelength_um, 0).sum(across)[pixel] / number[pixel]
    return np.interp(np.arange(len(number)), pixel, mean)


def _regions(
    aperture: dict[str, Any], axis: int, meta: ExposureMeta, path: Path
) -> list[tuple[list[float], list[float]]]:
    """Edge polynomials of the target: src_coeff, else inclusive start and stop pixels, narrowed to extract_width."""
    if aperture.get("src_coeff"):
        return _pairs(aperture["src_coeff"], "src_coeff", path)
    letter, size = ("y", meta.y_size) if axis == 1 else ("x", meta.x_size)
    start, stop = aperture.get(f"{letter}start", 0), aperture.get(f"{letter}stop", size - 1)
    width = aperture.get("extract_width") or stop - start + 1
    middle = (start + stop) / 2
    return [([middle - width / 2], [middle + width / 2])]
