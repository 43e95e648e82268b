"""Snowballs: large hits of the near-infrared arrays, with a saturated core and a halo of jumps.

Finding regions is host code (`kernels/regions.py`); the step calls it from the compiled program by `host.call`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from uptheramp.calibrate import flags, host
from uptheramp.calibrate.kernels.regions import Ellipse, ellipses, pixels


class SnowballParams(eqx.Module):
    """Names and defaults of the official step; lengths in pixels, areas in pixels with holes filled.

    A group's region of jumps of `min_jump_area` is a snowball if a region of newly saturated pixels of
    `min_sat_area`, in this group or the next, has its centre inside, or if it lies within `edge_size` of the edge (of
    a square as high as the window, as the official code has it). Its minor axis grows by the factor `expand_factor`
    and its major one by as many pixels. Every newly saturated region wider than `min_sat_radius_extend` grows by
    `sat_expand` at each end and stays saturated to the end of the integration; with `mask_snowball_core_next_int` the
    region itself is flagged as a jump in the next one too, for `snowball_time_masked_next_int` seconds. Without
    `sat_required_snowball` every region of jumps is a snowball and no saturated one is looked at.
    `max_extended_radius` bounds what is drawn, of showers too.
    """

    expand_large_events: bool = eqx.field(static=True, default=False)
    min_sat_area: float | jax.Array = 1.0
    min_jump_area: float | jax.Array = 5.0
    expand_factor: float | jax.Array = 2.0
    sat_required_snowball: bool = eqx.field(static=True, default=True)
    min_sat_radius_extend: float | jax.Array = 2.5
    sat_expand: int | jax.Array = 2
    edge_size: int | jax.Array = 25
    mask_snowball_core_next_int: bool = eqx.field(static=True, default=True)
    snowball_time_masked_next_int: int | jax.Array = 4000
    max_extended_radius: int | jax.Array = 200


class _Limits(NamedTuple):
    """The parameters as numbers, pixels."""

    min_sat_area: float
    min_jump_area: float
    expand_factor: float
    min_sat_radius_extend: float
    sat_expand: float
    edge_size: float
    max_extended_radius: float

    @property
    def widest(self) -> float:
        """The largest axis that is drawn."""
        return 2 * self.max_extended_radius


def expanded(
    groupdq: UInt8[Array, "integration group y x"],
    core_before: Bool[Array, "y x"],
    group_time_s: Float[Array, ""],
    params: SnowballParams,
) -> tuple[UInt8[Array, "integration group y x"], Bool[Array, "y x"]]:
    """Group flags with snowballs in full, and the saturated cores of the last integration.

    `core_before` are those of the integration before the first.
    """
    nints, ngroups, *shape = groupdq.shape
    groupdq, core = host.call(
        _Flagging(params.sat_required_snowball),
        (jax.ShapeDtypeStruct(groupdq.shape, np.uint8), jax.ShapeDtypeStruct((nints, *shape), bool)),
        groupdq,
        jnp.stack([jnp.asarray(getattr(params, name), float) for name in _Limits._fields]),
    )
    if not params.mask_snowball_core_next_int:
        return groupdq, core[-1]
    earlier = jnp.concatenate([core_before[None], core[:-1]])[:, None]
    number = jnp.arange(ngroups)[:, None, None]
    masked = (number >= 1) & (number < params.snowball_time_masked_next_int // group_time_s)
    return groupdq | jnp.where(earlier & masked, flags.JUMP_DET, 0).astype(np.uint8), core[-1]


class _Flagging(NamedTuple):
    """The host function; equal ones share a compiled program."""

    sat_required: bool

    def __call__(self, groupdq: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        limits = _Limits(*map(float, numbers))
        groupdq = groupdq.copy()
        cores = np.zeros((len(groupdq), *groupdq.shape[2:]), bool)
        for cube, core in zip(groupdq, cores, strict=True):
            for group in range(1, len(cube)):
                _flag(cube, group, core, limits, sat_required=self.sat_required)
        return groupdq, cores


def _flag(
    cube: UInt8[np.ndarray, "group y x"],
    group: int,
    core: Bool[np.ndarray, "y x"],
    limits: _Limits,
    *,
    sat_required: bool,
) -> None:
    """Flag the snowballs of a group, in place, and add to the cores of the integration."""
    jumps = ellipses((cube[group] & flags.JUMP_DET) != 0, limits.min_jump_area)
    if sat_required:
        cores = _newly_saturated(cube, group, limits)
        centres = [*cores, *(_newly_saturated(cube, group + 1, limits) if group + 1 < len(cube) else [])]
        jumps = [jump for jump in jumps if _near_edge(jump, limits.edge_size, len(core)) or _centred(jump, centres)]
        for window, grown, own in _extended(cores, core.shape, limits):
            cube[group:, *window][:, grown] = flags.SATURATED
            core[own[0]] |= own[1]
    for jump in jumps:
        window, covered = pixels(core.shape, jump, *jump.axes(limits.expand_factor, limits.widest))
        flagged = cube[group, *window]
        flagged[covered & ((flagged & flags.SATURATED) == 0)] |= flags.JUMP_DET


def _newly_saturated(cube: UInt8[np.ndarray, "group y x"], group: int, limits: _Limits) -> list[Ellipse]:
    now, before = ((cube[g] & flags.SATURATED) != 0 for g in (group, group - 1))
    return ellipses(now & ~before, limits.min_sat_area)


def _near_edge(jump: Ellipse, edge: float, height: int) -> bool:
    high = max(0, height - edge)
    return jump.x < edge or jump.y < edge or jump.x > high or jump.y > high


def _centred(jump: Ellipse, inside: list[Ellipse]) -> bool:
    return any(jump.holds(other.x, other.y) for other in inside)


def _extended(cores: list[Ellipse], shape: tuple[int, int], limits: _Limits) -> Iterator[tuple]:
    """Of each core wide enough: the window, the grown core in it, and the window and pixels of the core itself."""
    for found in cores:
        if found.minor_px > limits.min_sat_radius_extend:
            axes = (min(axis + 2 * limits.sat_expand, limits.widest) for axis in (found.minor_px, found.major_px))
            yield *pixels(shape, found, *axes), pixels(shape, found, found.minor_px, found.major_px)
