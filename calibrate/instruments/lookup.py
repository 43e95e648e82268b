"""Find instruments, modes, windows and patterns by name, or the table entries that a file's header belongs to.

A table is read when first asked for. Never imports jax.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np

from uptheramp.calibrate import tables
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve, Detector, Instrument, Mode, Order, ReadPattern, Subarray
from uptheramp.calibrate.io.meta import ExposureMeta

NAMES = ("NIRISS", "NIRCAM", "NIRSPEC", "MIRI")

T = TypeVar("T", Detector, ReadPattern)


def instruments() -> tuple[Instrument, ...]:
    """All instruments."""
    return tuple(instrument(name) for name in NAMES)


def instrument(name: str) -> Instrument:
    """Find the instrument of this name (INSTRUME, in any case)."""
    if name.upper() not in NAMES:
        raise InputError(_unknown("instrument", name, NAMES))
    return _load(name.upper())


def modes() -> tuple[Mode, ...]:
    """All modes of all instruments."""
    return tuple(mode for i in instruments() for mode in i.modes)


def find_mode(name: str) -> tuple[Instrument, Mode]:
    """Find the mode that scenarios and the command line call by this name, with its instrument."""
    for i in instruments():
        for mode in i.modes:
            if mode.name == name.lower():
                return i, mode
    raise InputError(_unknown("mode", name, [m.name for m in modes()]))


def detector(instrument: Instrument, name: str) -> Detector:
    """Find the detector of this name."""
    return _named(instrument, "detector", name, instrument.detectors)


def pattern(instrument: Instrument, name: str) -> ReadPattern:
    """Find the read-out pattern of this name."""
    return _named(instrument, "read-out pattern", name, instrument.patterns)


def subarray(
    instrument: Instrument, name: str, detector: str, outputs: int | None = None, grating: str = ""
) -> Subarray:
    """Find the window of this name on a detector; where it exists more than once, `outputs` and `grating` choose.

    Without `outputs` the first in the table is the usual one; a window that names gratings serves only those.
    """
    found = [s for s in instrument.subarrays if (s.name, s.detector) == (name, detector)]
    found = [s for s in found if not grating or not s.gratings or grating in s.gratings]
    chosen = next((s for s in found if outputs in (None, s.outputs)), None)
    if chosen is None:
        how = f" with {outputs} outputs" if found and outputs else f" for {grating}" if grating else ""
        known = {s.name for s in instrument.subarrays if s.detector == detector}
        raise InputError(_unknown(f"subarray of {instrument.name} {detector}", f"{name}{how}", sorted(known)))
    return chosen


def window(instrument: Instrument, mode: Mode, name: str = "", outputs: int | None = None) -> Subarray:
    """Find the window of a mode: by name, or its default."""
    if name and name not in mode.subarrays:
        raise InputError(_unknown(f"subarray of mode {mode.name}", name, mode.subarrays))
    return subarray(instrument, name or mode.subarrays[0], mode.detector, outputs, mode.grating)


def placed(instrument: Instrument, mode: Mode, subarray: Subarray) -> Mode:
    """Move orders and image of a mode to the pixels of this window, without the orders that miss it.

    The tables give them in the mode's first window; a source stays where it is on the detector, so pixels shift by the
    difference of the corners. An imaged star goes to the window's own target where it has one.
    """
    home = window(instrument, mode)
    shift = (home.start[0] - subarray.start[0], home.start[1] - subarray.start[1])
    along, across = shift if mode.dispersion_axis != 2 else shift[::-1]
    length, height = subarray.size if mode.dispersion_axis != 2 else subarray.size[::-1]
    orders = tuple(moved(order, along, across) for order in mode.orders)
    sky = mode.background_shape and Curve(tuple(x + along for x in mode.background_shape.x), mode.background_shape.y)
    image = mode.image and replace(
        mode.image,
        centre_px=subarray.target_px or (mode.image.centre_px[0] + shift[0], mode.image.centre_px[1] + shift[1]),
    )
    point = mode.field_point_px and (mode.field_point_px[0] + shift[0], mode.field_point_px[1] + shift[1])
    orders = tuple(o for o in orders if meets(o.trace_px, length, height))
    return replace(mode, orders=orders, image=image, field_point_px=point, background_shape=sky)


def match(meta: ExposureMeta) -> tuple[Instrument, Mode | None, Subarray]:
    """Find the table entries of an exposure; no mode where none of ours has its elements.

    Raises
    ------
    InputError
        If the instrument, or the window on this detector, is not in the tables.
    """
    i = instrument(meta.instrument)
    known = {s.outputs for s in i.subarrays if (s.name, s.detector) == (meta.subarray, meta.detector)}
    outputs = meta.outputs if meta.outputs in known else None  # some headers leave NOUTPUTS out
    s = subarray(i, meta.subarray, meta.detector, outputs, meta.grating)
    return i, next((m for m in i.modes if _is(meta, m)), None), s


def reference_layout(subarray: Subarray) -> dict[str, Any]:
    """Where a window has reference pixels and how they are used: what headers do not say of the read-out."""
    return {
        "reference_columns": subarray.reference_columns,
        "reference_rows": subarray.reference_rows,
        "reference_correction": subarray.reference_correction,
        "edge_rows": subarray.edge_rows,
    }


def moved(order: Order, along: float, across: float) -> Order:
    """Shift an order by pixels along and across the dispersion."""
    wavelength, trace = order.wavelength_um, order.trace_px
    return replace(
        order,
        wavelength_um=Curve(tuple(x + along for x in wavelength.x), wavelength.y),
        trace_px=Curve(tuple(x + along for x in trace.x), tuple(y + across for y in trace.y)),
        pivot_px=order.pivot_px and (order.pivot_px[0] + along, order.pivot_px[1] + across),
    )


def meets(trace: Curve, length: int, height: int) -> bool:
    """Whether the trace enters a window of this length along and height across the dispersion."""
    x = np.arange(max(0, math.ceil(trace.x[0])), min(length, math.floor(trace.x[-1]) + 1))
    y = np.interp(x, trace.x, trace.y)
    return bool(np.any((y >= 0) & (y < height)))


@cache
def _load(name: str) -> Instrument:
    table = tables.load(files("uptheramp.calibrate.instruments") / f"{name.lower()}.toml", Instrument)
    return replace(table, modes=tuple(_shaped(mode) for mode in table.modes))


def _shaped(mode: Mode) -> Mode:
    """Give every order the profile that the table writes once for the mode."""
    return replace(mode, orders=tuple(replace(order, horns=mode.horns) for order in mode.orders))


def _named(instrument: Instrument, what: str, name: str, entries: Iterable[T]) -> T:
    by_name = {e.name: e for e in entries}
    if name not in by_name:
        raise InputError(_unknown(f"{what} of {instrument.name}", name, by_name))
    return by_name[name]


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = tables.nearest(name, known)
    hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
    return f"unknown {what}: {name or '(empty)'}; {hint}"


def _is(meta: ExposureMeta, mode: Mode) -> bool:
    elements = ("exp_type", "detector", "filter", "grating")
    same = all(getattr(meta, name) == getattr(mode, name) for name in elements)
    return same and mode.pupil in ("", meta.pupil) and meta.subarray in mode.subarrays
