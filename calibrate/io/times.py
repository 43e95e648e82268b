"""The INT_TIMES and GROUP tables of official products: their columns, and the times we take from them.

Times inside are BJD_TDB - 2400000.5 d; the flight INT_TIMES hold just that in their `int_*_BJD_TDB` columns.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import DAY_S, ExposureMeta

_INT_TIMES = {
    "integration_number": "i4",
    **{f"int_{when}_{scale}": "f8" for scale in ("MJD_UTC", "BJD_TDB") for when in ("start", "mid", "end")},
}
INT_TIMES = np.dtype(list(_INT_TIMES.items()))
GROUP = np.dtype(
    [
        ("integration_number", "i4"),
        ("group_number", "i2"),
        ("end_day", "i2"),
        ("end_milliseconds", "i4"),
        ("end_submilliseconds", "i2"),
        ("group_end_time", "S26"),
        ("number_of_columns", "i2"),
        ("number_of_rows", "i2"),
        ("number_of_gaps", "i2"),
        ("completion_code_number", "i2"),
        ("completion_code_text", "S36"),
        ("bary_end_time", "f8"),
        ("helio_end_time", "f8"),
    ]
)


def has_int_times(hdus: fits.HDUList) -> bool:
    """Whether a file tells the times of its integrations."""
    return "INT_TIMES" in hdus and len(hdus["INT_TIMES"].data) > 0


def unknown_times(meta: ExposureMeta) -> np.ndarray:
    """INT_TIMES of images whose file does not tell any: numbers, and NaN for every time."""
    table = np.full(meta.integration_end - meta.integration_start + 1, np.nan, [(name, "f8") for name in _INT_TIMES])
    table["integration_number"] = np.arange(meta.integration_start, meta.integration_end + 1)
    return table.astype(INT_TIMES)


def read_int_times(hdus: fits.HDUList, path: Path) -> np.ndarray:
    """The INT_TIMES rows of a file, native endian, by our column names whatever the case in the file.

    Raises
    ------
    InputError
        If the extension is missing or empty: without times there is no time series.
    """
    if not has_int_times(hdus):
        raise InputError(f"{path}: INT_TIMES is missing or empty; a time series needs the times of its integrations")
    table = hdus["INT_TIMES"].data
    columns = {name.lower(): name for name in table.names}
    out = np.zeros(len(table), INT_TIMES)
    for name in _INT_TIMES:
        if name.lower() not in columns:
            raise InputError(f"{path}: INT_TIMES lacks the column {name}")
        out[name] = table[columns[name.lower()]]
    return out


def group_times_s(meta: ExposureMeta) -> Float[np.ndarray, "group"]:
    """Mean time of the frames of each group, s after INT_START, for a pixel read at the end of a frame.

    Group g (from 0) averages the frames g (nframes + gap) ... + nframes - 1 after the integration's start.
    """
    first = np.arange(meta.ngroups) * (meta.nframes + meta.groupgap)
    return (first + (meta.nframes + 1) / 2) * meta.frame_time_s


def mean_group_time(int_times: np.ndarray, meta: ExposureMeta) -> Float[np.ndarray, "integration"]:
    """Mean time of the groups used in each integration, BJD_TDB - 2400000.5 d, for a pixel read last in a frame.

    A slope measures the flux between the first and the last group, so its time is the mean of the group times, half a
    group later than `int_mid`. Pixels read earlier in the frame are earlier (`kernels.readout`'s offset less a frame).
    """
    mean_s = group_times_s(meta).mean() if meta.mean_group_s is None else meta.mean_group_s
    return int_times["int_start_BJD_TDB"] + mean_s / DAY_S
