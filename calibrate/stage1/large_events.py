"""Hits that cover many pixels: snowballs of the near-infrared arrays, showers of the mid-infrared one.

Both are regions of connected pixels, described by the ellipse of their second moments and flagged as a larger one.
Regions cannot be traced, so this is numpy, called from the compiled step (`jump.py`). Source: stcal 1.20.0,
`jump.flag_large_events` and `jump.find_faint_extended`, of which the quirks are kept and named.
"""

from collections.abc import Iterator
from math import atan2, cos, pi, sin
from typing import NamedTuple

import numpy as np
from astropy.convolution import Ring2DKernel
from astropy.stats import sigma_clipped_stats
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy.ndimage import binary_fill_holes, find_objects, label
from scipy.signal import oaconvolve

from uptheramp.calibrate import flags

Flags = UInt8[ndarray, "integration group y x"]
Plane = Bool[ndarray, "y x"]

EVERY_SIDE = np.ones((3, 3), bool)  # pixels that touch at a corner are connected
FEWEST_DIFFERENCES = 10  # for showers
SHOWER_CLIP = 5.0  # standard deviations, across integrations
LEAST_WEIGHT = 1e-3  # of the ring around a pixel that must be usable, relative to its mean element
BAD = flags.DO_NOT_USE | flags.SATURATED | flags.JUMP_DET


class Snowballs(NamedTuple):
    """The official parameters, with times in groups: when a region is one, by how much it and its core are enlarged."""

    min_jump_area: float
    min_sat_area: float
    expand_factor: float
    sat_required_snowball: bool
    min_sat_radius_extend: float
    sat_expand: float
    edge_size: int
    mask_snowball_core_next_int: bool
    groups_masked_next_int: int
    max_extended_radius: float


class Showers(NamedTuple):
    """The official parameters, with times in groups; `max_amplitude` is in electrons a group."""

    extend_snr_threshold: float
    extend_min_area: float
    extend_inner_radius: float
    extend_outer_radius: float
    extend_ellipse_expand_ratio: float
    groups_masked: int
    max_amplitude: float
    max_extended_radius: float
    minimum_sigclip_groups: int


class Ellipse(NamedTuple):
    """Centre (pixels), full axes less a pixel, angle of the major one to the y axis (rad)."""

    y: float
    x: float
    minor: float
    major: float
    angle: float

    def holds(self, other: "Ellipse") -> bool:
        """Whether the centre of another one lies inside; the angle is taken as from the x axis, as it officially is."""
        turn = pi - self.angle
        x, y = other.x - self.x, other.y - self.y
        along, across = x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn)
        long, short = max(self.minor, self.major) / 2, min(self.minor, self.major) / 2
        if 0 in (long, short):
            return False
        return along**2 / long**2 + across**2 / short**2 <= 1

    def drawn(self, shape: tuple[int, int], minor: int, major: int) -> Plane:
        """The pixels within an ellipse of other half axes at the same place."""
        if 0 in (minor, major):
            return np.zeros(shape, bool)
        y, x = np.ogrid[: shape[0], : shape[1]]
        dy, dx = y - round(self.y), x - round(self.x)
        turn = self.angle % pi
        long, short = dy * cos(turn) + dx * sin(turn), dy * sin(turn) - dx * cos(turn)
        return (long / major) ** 2 + (short / minor) ** 2 < 1


def regions(mask: Plane, least: float) -> Iterator[Ellipse]:
    """Ellipses of the connected regions of at least so many pixels, holes counted."""
    numbered, _ = label(mask, EVERY_SIDE)
    for number, box in enumerate(find_objects(numbered), 1):
        region = numbered[box] == number
        if binary_fill_holes(region, EVERY_SIDE).sum() < least:
            continue
        y, x = np.nonzero(region)
        across, down, both = x.var(), y.var(), ((x - x.mean()) * (y - y.mean())).mean()
        middle, half = (across + down) / 2, np.hypot(2 * both, across - down) / 2
        angle = 0.5 * atan2(2 * both, down - across) if across != down else (pi / 4 if both > 0 else -pi / 4)
        minor, major = (4 * np.sqrt(max(v, 0)) - 1 for v in (middle - half, middle + half))
        yield Ellipse(y.mean() + box[0].start, x.mean() + box[1].start, minor, major, angle)


def expanded(ellipse: Ellipse, factor: float, most: float, shape: tuple[int, int]) -> Plane:
    """The ellipse with its minor axis `factor` times as long, the major one longer by as much; none above `most`."""
    growth = (factor - 1) * min(ellipse.minor, ellipse.major)
    minor, major = (round(min(axis + growth, 2 * most) / 2) for axis in (ellipse.minor, ellipse.major))
    return ellipse.drawn(shape, minor, major)


def flag_snowballs(groupdq: Flags, before: Plane, chosen: Snowballs) -> tuple[Flags, Plane]:
    """Flags with snowballs enlarged, and the cores of the last integration; `before` are those of the one before.

    A snowball is a region of jumps that holds the centre of newly saturated pixels, of this group or the next, or that
    lies near an edge. Cores of some size are enlarged too, as saturated to the end of the integration, and flagged as
    jumps in the first groups of the next one.
    """
    out = groupdq.copy()
    cores = [before, *(_snowballs_of(ramp, chosen) for ramp in out)]
    if chosen.mask_snowball_core_next_int:
        last = min(chosen.groups_masked_next_int, out.shape[1])
        for ramp, core in zip(out, cores[:-1], strict=True):
            ramp[1:last] |= np.where(core, flags.JUMP_DET, 0).astype(np.uint8)
    return out, cores[-1]


def _snowballs_of(ramp: UInt8[ndarray, "group y x"], chosen: Snowballs) -> Plane:
    """Enlarge the snowballs of an integration, in place; return their saturated cores."""
    ngroups, *shape = ramp.shape
    height, width = shape
    core = np.zeros((height, width), bool)

    def newly(group: int) -> list[Ellipse]:
        if group >= ngroups:
            return []
        full, was = ((ramp[g] & flags.SATURATED) != 0 for g in (group, group - 1))
        return list(regions(full & ~was, chosen.min_sat_area))

    def near_edge(e: Ellipse) -> bool:
        high = max(0, height - chosen.edge_size)  # of the rows, for the columns too
        return min(e.x, e.y) < chosen.edge_size or max(e.x, e.y) > high

    for group in range(1, ngroups):
        full_later, full = newly(group + 1), newly(group)
        jumps = list(regions((ramp[group] & flags.JUMP_DET) != 0, chosen.min_jump_area))
        if chosen.sat_required_snowball:
            jumps = [j for j in jumps if near_edge(j) or any(j.holds(s) for s in (*full, *full_later))]
            for s in full:
                if min(s.minor, s.major) > chosen.min_sat_radius_extend:
                    axes = (min(a + 2 * chosen.sat_expand, 2 * chosen.max_extended_radius) for a in (s.minor, s.major))
                    ramp[group:, s.drawn((height, width), *(round(a / 2) for a in axes))] = flags.SATURATED
                    core |= s.drawn((height, width), round(s.minor / 2), round(s.major / 2))
        for j in jumps:
            grown = expanded(j, chosen.expand_factor, chosen.max_extended_radius, (height, width))
            ramp[group][grown & ((ramp[group] & flags.SATURATED) == 0)] |= flags.JUMP_DET
    return core


def flag_showers(
    charge: Float[ndarray, "integration group y x"],
    groupdq: Flags,
    pixeldq: ndarray,
    noise_variance: Float[ndarray, "y x"],
    chosen: Showers,
) -> Flags:
    """Flags with showers: regions where the mean distance of differences from their median, over a ring, is large.

    `charge` in electrons. Pixels whose mean difference would be lost or change by more than `max_amplitude` keep the
    flags that they had.
    """
    nints, ngroups = groupdq.shape[:2]
    used = groupdq.copy()
    used[:, :, pixeldq == flags.REFERENCE_PIXEL] = flags.DO_NOT_USE
    dead = ((groupdq & flags.DO_NOT_USE) != 0).all((2, 3))
    if nints * (ngroups - 1) - dead.sum() < FEWEST_DIFFERENCES:
        return groupdq
    # these and no other combinations of flags
    lost = np.isin(groupdq, [flags.JUMP_DET, flags.SATURATED, flags.DO_NOT_USE])
    lost |= np.isin(groupdq, [flags.JUMP_DET | flags.DO_NOT_USE, flags.SATURATED | flags.DO_NOT_USE])
    difference = np.diff(np.where(lost, np.nan, charge), axis=1)
    with np.errstate(all="ignore"):
        if nints >= chosen.minimum_sigclip_groups:
            some = np.where(np.isnan(difference).all(0), 0, difference)
            _, middle, sigma = sigma_clipped_stats(some, np.isnan(some), sigma=SHOWER_CLIP, axis=0)
        else:
            middle = _quiet(np.nanmedian, difference, (0, 1))[None]
            sigma = np.sqrt(np.abs(middle) + noise_variance)
    ring = Ring2DKernel(chosen.extend_inner_radius, chosen.extend_outer_radius).array
    out = used.copy()
    bad = ((used | pixeldq) & BAD) != 0
    for integration in range(nints):
        with np.errstate(all="ignore"):
            ratio = np.abs(difference[integration] - middle) / sigma
        first = int(np.argmin(dead[integration]))
        for group in range(first + 1, ngroups):
            smooth = _smoothed(np.where(bad[integration, group], np.nan, ratio[group - 1]), ring)
            for e in regions(smooth > chosen.extend_snr_threshold, chosen.extend_min_area):
                grown = expanded(e, chosen.extend_ellipse_expand_ratio, chosen.max_extended_radius, smooth.shape)
                for plane in out[integration, group : group + chosen.groups_masked + 1]:
                    # saturated pixels are left out from there on
                    grown = grown & ((plane & flags.SATURATED) == 0)
                    plane[grown] |= flags.JUMP_DET
    before, after = (_mean_difference(charge, dq) for dq in (groupdq, out))
    with np.errstate(all="ignore"):
        kept = np.abs(before - after) <= chosen.max_amplitude  # False where there is none
    return np.where(kept[:, None], out, groupdq)


def _mean_difference(charge: ndarray, groupdq: Flags) -> Float[ndarray, "integration y x"]:
    return _quiet(np.nanmean, np.diff(np.where((groupdq & BAD) != 0, np.nan, charge), axis=1), 1)


def _quiet(of: np.ufunc, values: ndarray, axis: int | tuple[int, ...]) -> ndarray:
    """A nan-function without the warning where all are NaN."""
    nothing = np.isnan(values).all(axis)
    filled = np.where(np.expand_dims(nothing, axis), 0, values)
    return np.where(nothing, np.nan, of(filled, axis=axis))


def _smoothed(image: Float[ndarray, "y x"], kernel: Float[ndarray, "a b"]) -> Float[ndarray, "y x"]:
    """Mean over the usable pixels of a kernel; NaN where the pixel itself is not usable. Outside counts as 0."""
    good = np.isfinite(image)
    total = oaconvolve(np.where(good, image, 0), kernel, mode="same")
    reach = kernel.shape[0] // 2
    weight = oaconvolve(np.pad(good.astype(float), reach, constant_values=1), kernel, mode="valid")
    good &= weight > LEAST_WEIGHT * kernel.mean()
    return np.where(good, total / np.where(good, weight, 1), np.nan)
