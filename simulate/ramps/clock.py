"""The exposure's clock: when frames, groups and integrations begin and end, in the tables of the official files.

An integration is `reads` frames; between integrations `reset_frames` frames are spent on the reset. INT_START is when
the first read frame starts. The pixels were reset one frame earlier, each at its own offset (kernels/readout.py), so at
read r (from 1) a pixel has integrated for r frame times, ending at start + (r - 1) frame times + offset.
"""

import numpy as np
from astropy.time import Time
from jaxtyping import Float

from uptheramp.calibrate.io.times import DAY_S, GROUP, INT_TIMES
from uptheramp.simulate.observation import Observation


def integration_start_s(observation: Observation) -> Float[np.ndarray, "integration"]:
    """Seconds from the start of the exposure to the first read frame of each integration."""
    return np.arange(observation.nints) * observation.cadence_s


def group_end_s(observation: Observation) -> Float[np.ndarray, "group"]:
    """Seconds from the start of an integration to the end of the last frame averaged into each group."""
    r = observation.readout
    return (np.arange(r.ngroups) * r.frames_per_group + r.nframes) * observation.subarray.frame_time_s


def group_mean_s(observation: Observation) -> Float[np.ndarray, "group"]:
    """Seconds from the start of an integration to the mean of the frames of each group, for a pixel read last."""
    r = observation.readout
    first = np.arange(r.ngroups) * r.frames_per_group
    return (first + (r.nframes + 1) / 2) * observation.subarray.frame_time_s


def int_times(observation: Observation) -> np.ndarray:
    """Return the INT_TIMES rows of the exposure; barycentric times are exact, UTC leaves the light-travel time out."""
    start = observation.start_bjd_tdb + integration_start_s(observation) / DAY_S
    length = observation.reads_per_integration * observation.subarray.frame_time_s / DAY_S
    table = np.zeros(observation.nints, INT_TIMES)
    table["integration_number"] = np.arange(1, observation.nints + 1)
    behind = observation.start_bjd_tdb - observation.start_mjd_utc
    for name, part in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
        table[f"int_{name}_BJD_TDB"] = start + part * length
        table[f"int_{name}_MJD_UTC"] = start + part * length - behind
    return table


def group_table(observation: Observation, first: int, count: int) -> np.ndarray:
    """Return the GROUP rows of integrations first ... first + count - 1 (0-based)."""
    starts = integration_start_s(observation)[first : first + count]
    end_s = (starts[:, None] + group_end_s(observation)).ravel()
    ngroups = observation.ngroups
    table = np.zeros(len(end_s), GROUP)
    table["integration_number"] = np.repeat(np.arange(first + 1, first + count + 1), ngroups)
    table["group_number"] = np.tile(np.arange(1, ngroups + 1), count)
    utc = observation.start_mjd_utc + end_s / DAY_S
    milliseconds = (utc % 1) * DAY_S * 1e3
    table["end_day"] = (utc - 51544).astype(int)  # days since 2000-01-01
    table["end_milliseconds"] = milliseconds.astype(int)
    table["end_submilliseconds"] = (milliseconds % 1 * 1e3).astype(int)
    table["group_end_time"] = Time(utc, format="mjd", scale="utc").isot.astype("S26")
    table["number_of_columns"], table["number_of_rows"] = observation.subarray.size
    table["completion_code_text"] = b"Normal Completion"
    table["bary_end_time"] = table["helio_end_time"] = observation.start_bjd_tdb + end_s / DAY_S
    return table
