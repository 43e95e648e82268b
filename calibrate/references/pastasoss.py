"""PASTASOSS: where the orders of SOSS fall, at which wavelengths, and how much light they get."""

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

COMMANDED_DEG = 245.76  # of the pupil wheel, for SOSS
TOLERANCE_DEG = 0.25  # how far the wheel stops from there at most
FIRST_ROW = 1792  # 0-based row of the detector where SUBSTRIP256 begins, in which files give the traces
DEGREE = 9  # of the wavelength polynomials that are written: they leave less than a tenth of a pixel
SEPARATION_UM = (0.77, 0.95)  # where the official extraction takes order 2 apart from order 1, its default
DETECTOR_COLUMNS, WAVEMAP_ROWS = 2048, 300  # in which the official pipeline draws its wavelength maps
WAVEMAP_UM = (0.5, 5.5, 5001)


class Pastasoss(eqx.Module):
    """Traces, wavelengths and throughputs by order, for the stand of the pupil wheel of one exposure.

    `trace_px` is the row (0-based in the window) and `wavelength_um` the wavelength in each column of the window, both
    NaN in columns that the order does not reach; `order` holds the orders' numbers.
    """

    trace_px: Float[np.ndarray | Array, "order x"]
    wavelength_um: Float[np.ndarray | Array, "order x"]
    throughput_um: Float[np.ndarray | Array, "knot"]
    throughput: Float[np.ndarray | Array, "order knot"]
    order: tuple[int, ...] = eqx.field(static=True)
    ending: ClassVar[str] = "asdf"
    dispersion_axis: ClassVar[int] = 1

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Pastasoss":
        """Evaluate the official model at the exposure's PWCPOS (commanded where the header has none).

        Raises
        ------
        InputError
            If the file is not such a model, or the wheel stood outside its bounds.
        """
        import asdf

        try:
            with asdf.open(path, lazy_load=False, memmap=False) as file:
                tree = file.tree
                meta_tree, traces = tree["meta"], {t["spectral_order"]: t for t in tree["traces"]}
                solutions = {s["spectral_order"]: s for s in tree["wavecal_models"]}
                throughputs = {t["spectral_order"]: t for t in tree["throughputs"]}
                commanded, bounds = float(meta_tree["pwcpos_cmd"]), list(meta_tree["pwcpos_bounds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a PASTASOSS reference file ({error}); give another") from error
        wheel = meta.geometry.pupil_wheel_deg if meta.geometry else None
        turn = 0.0 if wheel is None else wheel - commanded
        if not bounds[0] <= commanded + turn <= bounds[1]:
            raise InputError(f"{path}: PWCPOS {wheel} is outside the file's {bounds[0]} to {bounds[1]} degrees")
        numbers = tuple(sorted(set(traces) & set(solutions) & set(throughputs)))
        column = np.arange(meta.x_size) + meta.x_start - 1.0
        first_row = float(meta_tree.get("subarray_ymin", FIRST_ROW))
        down = first_row - (meta.y_start - 1)
        traced = np.stack([_turned(traces[n], turn, column) for n in numbers])
        wavelength = np.stack([_wavelength(solutions[n], column, turn) for n in numbers])
        grid = np.asarray(throughputs[numbers[0]]["wavelength"], float)
        efficiency = [np.interp(grid, throughputs[n]["wavelength"], throughputs[n]["throughput"]) for n in numbers]
        wavelength = np.where(np.isfinite(traced), wavelength, np.nan)
        rows, wavelength, grid, throughput = (
            np.ascontiguousarray(p, np.float32) for p in (traced + down, wavelength, grid, np.stack(efficiency))
        )
        return cls(rows, wavelength, grid, throughput, numbers)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official model: the traces as they are at the exposure's PWCPOS, wavelengths as polynomials."""
        from stdatamodels.jwst import datamodels

        up = meta.y_start - 1 - FIRST_ROW
        traces, solutions, throughputs = [], [], []
        for k, number in enumerate(self.order):
            lit = np.flatnonzero(np.isfinite(np.asarray(self.trace_px[k])))
            x = lit + meta.x_start - 1.0
            y = np.asarray(self.trace_px[k], float)[lit] + up
            common = {"spectral_order": number, "oversampling": 1, "cutoff": int(x[-1]) + 1}
            traces.append({**common, "pivot_x": x.mean(), "pivot_y": y.mean(), "trace": np.stack([x, y], axis=1)})
            polynomial = _polynomial(x, np.asarray(self.wavelength_um[k], float)[lit])
            solutions.append({"spectral_order": number, **polynomial})
            curve = {"wavelength": np.asarray(self.throughput_um, float), "throughput": np.asarray(self.throughput[k])}
            throughputs.append({"spectral_order": number, **curve})
        wheel = meta.geometry.pupil_wheel_deg if meta.geometry else None
        commanded = COMMANDED_DEG if wheel is None else wheel
        with datamodels.PastasossModel() as model:
            base.describe(model, meta, "pastasoss", window=False)
            for name, value in _official_meta(commanded).items():
                setattr(model.meta, name, value)
            model.traces, model.wavecal_models, model.throughputs = traces, solutions, throughputs
            base.save(model, path)

    def middle_px(self, length: int) -> Float[np.ndarray, "dispersion"]:
        """Row of the trace in each of `length` columns, the orders end to end; 0 where an order has none."""
        return np.nan_to_num(np.asarray(self.trace_px, float)[:, :length]).ravel()

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Pastasoss":
        """One order along the middle row, with wavelengths of one to two micron."""
        middle = np.full((1, meta.x_size), (meta.y_size - 1) / 2, np.float32)
        wavelength = np.linspace(1, 2, meta.x_size, dtype=np.float32)[None]
        return cls(middle, wavelength, np.array([0.5, 5.5], np.float32), np.ones((1, 2), np.float32), (1,))


def _turned(trace: Any, degrees: float, column: Float[np.ndarray, "x"]) -> Float[np.ndarray, "x"]:
    """Row of a trace in each column, after a turn about its pivot; NaN outside the columns of the table."""
    x, y = np.asarray(trace["trace"], float).T
    px, py, angle = trace["pivot_x"], trace["pivot_y"], np.radians(degrees)
    moved_x = px + (x - px) * np.cos(angle) - (y - py) * np.sin(angle)
    moved_y = py + (x - px) * np.sin(angle) + (y - py) * np.cos(angle)
    by_column = np.argsort(moved_x)
    row = _line_through(column, moved_x[by_column], moved_y[by_column])
    cutoff = trace.get("cutoff") or x.max() + 1
    return np.where((column >= x.min()) & (column <= x.max()) & (column < cutoff), row, np.nan)


def _line_through(
    at: Float[np.ndarray, "x"], x: Float[np.ndarray, "knot"], y: Float[np.ndarray, "knot"]
) -> Float[np.ndarray, "x"]:
    """Interpolate between neighbours, and go straight on beyond the ends, where a turn leaves a column uncovered."""
    left = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    return y[left] + (at - x[left]) * (y[left + 1] - y[left]) / (x[left + 1] - x[left])


def _wavelength(solution: Any, column: Float[np.ndarray, "x"], turn: float) -> Float[np.ndarray, "x"]:
    """Evaluate sum c_ij u^i v^j of the scaled column u and turn v; the powers of degree k begin at k (k + 1) / 2."""
    (x0, v0), (x1, v1) = solution["scale_extents"]
    u, v = (column - x0) / (x1 - x0), (turn - v0) / (v1 - v0)
    total = np.zeros_like(column)
    for index, c in enumerate(solution["coefficients"]):
        degree = int((np.sqrt(8 * index + 1) - 1) / 2)
        of_turn = index - degree * (degree + 1) // 2
        total += c * u ** (degree - of_turn) * v**of_turn
    return total


def _polynomial(x: Float[np.ndarray, "lit"], wavelength_um: Float[np.ndarray, "lit"]) -> dict[str, Any]:
    """Wavelength as the file has it: powers of the scaled column and of the wheel's offset, the latter all zero."""
    degree = min(DEGREE, len(x) - 1)
    scaled = (x - x[0]) / (x[-1] - x[0])
    power = np.arange(degree + 1)
    coefficients = np.zeros((degree + 1) * (degree + 2) // 2)
    fitted = np.polynomial.Polynomial.fit(scaled, wavelength_um, degree).convert().coef
    coefficients[power * (power + 1) // 2] = np.pad(fitted, (0, degree + 1 - len(fitted)))
    extents = [[float(x[0]), -TOLERANCE_DEG], [float(x[-1]), TOLERANCE_DEG]]
    return {"coefficients": coefficients.tolist(), "polynomial_degree": degree, "scale_extents": extents}


def _official_meta(commanded_deg: float) -> dict[str, Any]:
    return {
        "order2_separation_cutoff": list(SEPARATION_UM),
        "pwcpos_bounds": [commanded_deg - TOLERANCE_DEG, commanded_deg + TOLERANCE_DEG],
        "pwcpos_cmd": commanded_deg,
        "soss_xdim": DETECTOR_COLUMNS,
        "soss_ydim": WAVEMAP_ROWS,
        "subarray_ymin": FIRST_ROW,
        "wavemap_wlmin": WAVEMAP_UM[0],
        "wavemap_wlmax": WAVEMAP_UM[1],
        "wavemap_nwl": WAVEMAP_UM[2],
    }
