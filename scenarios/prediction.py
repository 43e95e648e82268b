"""What scatter a light curve should have before anyone looks: limits of an observation through a plain extraction.

The extraction is a box along each order, taken from slopes fitted by GLS with the true covariance. The background of a
column is the mean of its pixels far from every order, taken out of every group before the fit (`group`), or as a slope
after it (`integration`), or not at all (`none`). All of it is linear, so the scatter follows from the covariance of the
samples (validate/metrics/combination.py), without a draw. The sensor is a typical one: flat of one, no bad pixels,
noise and dark of the table. Light of all orders in the box counts as light.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
from jaxtyping import Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import ramp_gls
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.detector.maps import reference_pixels
from uptheramp.simulate.detector.one_over_f import layout, pink
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import background, sources
from uptheramp.simulate.optics.trace import covered, wavelength
from uptheramp.simulate.ramps import clock
from uptheramp.validate.metrics import combination

BACKGROUNDS = ("group", "integration", "none")
LEAST_BACKGROUND = 20  # pixels of a column from which its background is taken


@dataclass(frozen=True)
class Extraction:
    """A box `box_px` wide across the dispersion; pixels `clear_px` and more from every trace are background."""

    box_px: float = 36.0
    clear_px: float = 30.0


@dataclass(frozen=True)
class Channel:
    """Bins of one order: the pixels along the dispersion whose wavelength lies within."""

    order: int
    low_um: float
    high_um: float


@dataclass(frozen=True)
class Scatter:
    """Relative standard deviation of one integration, in parts per million, and what it comes from."""

    pixels: int  # along the dispersion
    electrons: float  # in the box at the last group, background removed
    l_pr_ppm: float  # Poisson and read noise of the box alone
    l_all_ppm: dict[str, float]  # with 1/f, rounding and the noise of the background, by BACKGROUNDS


@dataclass(frozen=True)
class Plan:
    """True images of an exposure out of transit and how its pixels are used; one integration's time runs from 0."""

    observation: Observation
    star_e_per_s: Float[np.ndarray, "y x"]
    rate_e_per_s: Float[np.ndarray, "y x"]  # with sky and dark
    usable: Bool[np.ndarray, "group y x"]
    slope: Float[np.ndarray, "group y x"]  # weights of the groups, 1/s
    light: Bool[np.ndarray, "y x"]  # not a reference pixel
    sky: Bool[np.ndarray, "y x"]
    extraction: Extraction


def plan(observation: Observation, extraction: Extraction = Extraction()) -> Plan:
    """Lay out the extraction of an observation.

    Raises
    ------
    InputError
        If groups are averages, lines are read by several outputs, or lines run along x.
    """
    o = observation
    if o.readout.frames_per_group > 1 or o.readout.outputs > 1 or abs(o.readout.fast_axis) != 2:
        raise InputError(f"{o.root}: predicted are single frames through one output, read along y (SOSS)")
    orders = sources.of_target(o)
    light = ~reference_pixels(o.shape, o.readout)
    star = sum(np.asarray(s.profile, float) * np.asarray(s.response(s.photons)) for s in orders) * light
    rate = star + (background.image(o.mode, o.shape, o.background_scale) + o.detector.dark_e_per_s) * light
    # what a pixel holds at each group; full wells, and the groups after, are not used
    held = rate * clock.group_end_s(o)[:, None, None]
    usable = held < o.detector.full_well_e
    far = np.stack([np.abs(_distance(o, n)) >= extraction.clear_px for n in range(len(o.mode.orders))])
    return Plan(o, star, rate, usable, _slope(o, rate, usable), light, far.all(0) & light, extraction)


def scatter(plan: Plan, channels: Sequence[Channel]) -> list[Scatter]:
    """Predict each channel; the pixels of an order that lie in none of its bins are left out."""
    numbers = {c.order for c in channels}
    planes = {n: {way: coefficients(plan, n, way) for way in BACKGROUNDS} for n in numbers}
    return [_one(plan, planes[c.order], members(plan.observation, c)) for c in channels]


def members(observation: Observation, channel: Channel) -> slice:
    """Pixels along the dispersion that belong to a channel.

    Raises
    ------
    InputError
        If no pixel has its centre within the channel.
    """
    order = next(o for o in observation.mode.orders if o.number == channel.order)
    along = np.arange(observation.shape[1], dtype=float)
    lam = wavelength(order, along)
    found = np.flatnonzero(covered(order, along) & (lam >= channel.low_um) & (lam < channel.high_um))
    if len(found) == 0:
        raise InputError(f"order {channel.order} has no pixel in {channel.low_um:.4f} to {channel.high_um:.4f} micron")
    return slice(int(found[0]), int(found[-1]) + 1)


def coefficients(plan: Plan, number: int, way: str) -> Float[np.ndarray, "group y x"]:
    """Weight of every group and pixel in the spectrum of an order, its columns side by side; per electron, 1/s."""
    o = plan.observation
    index = next(i for i, order in enumerate(o.mode.orders) if order.number == number)
    distance = _distance(o, index)
    box = np.clip(plan.extraction.box_px / 2 + 0.5 - np.abs(distance), 0, 1) * plan.light
    taken = box * plan.slope
    if way == "none":
        return taken
    count = plan.sky.sum(0)
    share = np.where(count >= LEAST_BACKGROUND, plan.sky / np.maximum(count, 1), 0.0)
    if way == "group":
        return taken - share * taken.sum(1, keepdims=True)
    return taken - share * plan.slope * box.sum(0)


def bins(centre_um: Float[np.ndarray, "channel"], order: int) -> list[Channel]:
    """Channels from their centres: edges at a constant ratio, the last one where the last centre puts it."""
    ratio = centre_um[1] / centre_um[0]
    edges = centre_um[0] * 2 / (1 + ratio) * ratio ** np.arange(len(centre_um))
    edges = np.append(edges, 2 * centre_um[-1] - edges[-1])
    return [Channel(order, float(low), float(high)) for low, high in zip(edges[:-1], edges[1:], strict=True)]


def _one(plan: Plan, planes: dict[str, np.ndarray], along: slice) -> Scatter:
    o = plan.observation
    frame_s, noise_e = o.subarray.frame_time_s, o.detector.read_noise_e
    rate = plan.rate_e_per_s[:, along]
    parts = {way: c[:, :, along] for way, c in planes.items()}
    flux = {way: _flux(plan, c, along) for way, c in parts.items()}
    alone = combination.poisson(parts["none"], rate, frame_s) + combination.white(parts["none"], noise_e)
    rounded = float(np.hypot(noise_e, o.detector.gain_e_per_dn / np.sqrt(12)))
    everything = {}
    for way, c in parts.items():
        own = (combination.poisson(c, rate, frame_s) + combination.white(c, rounded)).sum()
        everything[way] = 1e6 * float(np.sqrt(own + one_over_f_variance(o, c))) / flux[way]
    return Scatter(
        pixels=along.stop - along.start,
        electrons=flux["group"] * clock.group_end_s(o)[-1],
        l_pr_ppm=1e6 * float(np.sqrt(alone.sum())) / flux["none"],
        l_all_ppm=everything,
    )


def _flux(plan: Plan, c: Float[np.ndarray, "group y part"], along: slice) -> float:
    """Light of the stars in a combination of some columns, e-/s."""
    return float(np.einsum("gyx,yx,g->", c, plan.star_e_per_s[:, along], clock.group_end_s(plan.observation)))


def one_over_f_variance(o: Observation, c: Float[np.ndarray, "group y part"]) -> float:
    """Variance by 1/f noise of neighbouring columns: the stream of all pixels, and the one alternating in a line."""
    frame = round(o.subarray.frame_time_s / CLOCK_S)
    overhead = o.subarray.row_overhead_clocks
    process = _process(o.detector, o.readout, layout(o.detector, o.readout, o.shape, (overhead, frame, frame)))
    turns = np.where(np.arange(o.shape[0]) % 2, -1.0, 1.0)[:, None]
    streams = zip(process.layout.streams, np.asarray(process.amplitude_e, float), strict=True)
    clocks = (o.readout.fast_axis, o.readout.slow_axis), overhead, o.subarray.frame_time_s
    return sum(
        amplitude**2
        * combination.stationary(
            c * turns if name == "alternating" else c, process.deviation**2, process.rate_per_s, *clocks
        )
        for name, amplitude in streams
    )


_process = cache(pink)  # asked for by every channel


def _distance(o: Observation, index: int) -> Float[np.ndarray, "y x"]:
    """Pixels across the dispersion from the trace of an order; beyond its ends the trace stays where it ends."""
    trace = o.mode.orders[index].trace_px
    return np.arange(o.shape[0])[:, None] - np.interp(np.arange(o.shape[1]), trace.x, trace.y)


def _slope(
    o: Observation, rate_e_per_s: Float[np.ndarray, "y x"], usable: Bool[np.ndarray, "group y x"]
) -> Float[np.ndarray, "group y x"]:
    """Weights of the groups in the GLS slope, sum_g w_g t_g = 1; zero where nothing can be fitted."""
    noise, spacing_s = o.detector.read_noise_e**2, np.float64(o.subarray.frame_time_s)
    differences = usable[1:] & usable[:-1]
    w = np.asarray(
        jax.jit(ramp_gls.weights)(differences, rate_e_per_s, np.full(o.shape, noise), spacing_s, np.float64(0))
    )
    total = w.sum(0)
    w = np.where(total > 0, w / np.where(total > 0, total, 1) / spacing_s, 0.0)
    nothing = np.zeros((1, *o.shape))
    return -np.diff(w, axis=0, prepend=nothing, append=nothing)
