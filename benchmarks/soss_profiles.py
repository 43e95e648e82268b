"""How wrong profiles move the depths of SOSS orders: the extraction alone, on noise-free images.

    python benchmarks/soss_profiles.py docs/soss_profiles.json

The image out of transit and that in mid-transit (a planet on a star without limb darkening hides k^2 of the light) of
WASP-39 b, sky included, go through `extract_1d` with references that are wrong in one way. A depth is judged against
that of the order's own light with the same weights; channels have R = 100. Writes, for each error and method, median,
95th percentile and maximum of |D0 - D| over the channels of each order, in ppm, and under `flux` those of the light
found out of transit less the order's own, in ppm of it. The same for a planet whose depth
jumps by 10 000 ppm from order to order, for profiles cut as official ones are and for profiles from the data: the image
without noise, or the median of integrations with noise. It shows what part of the light one order lends another. The
full model (`method = "full"`) is judged with wrong throughputs, line spreads and wavelengths besides.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.kernels import trace_profiles
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.series import usable_range
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, Typical, extract_1d, learn_typical
from uptheramp.calibrate.stage3.bins import membership, of_orders
from uptheramp.calibrate.state import Rates, take
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.calibration.soss_extraction import pastasoss, speckernel
from uptheramp.simulate.optics import trace
from uptheramp.simulate.ramps.render import build

POWER = 100.0
READ_E_PER_S = 2.0  # of a slope, in the weights
METHODS = {
    "optimal": Extract1dParams(),
    "optimal, no level": Extract1dParams(background="none"),
    "box": Extract1dParams(method="box"),
    "plain box": Extract1dParams(method="box", decontaminate=False, background="none"),
}
APART = 0.01  # between the depths of one order and the next
SAMPLE, SLOPE_S = 24, 49.4  # integrations whose median gives profiles, and how long each looks
FULL = {"full": Extract1dParams(method="full")}
EXTRACT = eqx.filter_jit(extract_1d)
SCENARIO = find("wasp-39b-niriss-soss-quick")
OBSERVATION = observation_of(SCENARIO, replace(SCENARIO.mode[0], nints=2, integrations_in_transit=0.0))


def wrong_profiles() -> Iterator[tuple[str, np.ndarray]]:
    """Yield what is wrong and the profiles that result."""
    true = profiles()
    yield "nothing", true
    for shift in (0.01, 0.03, 0.1, 0.3, 1.0):
        yield f"all traces {shift} px off", profiles(shift)
    for shift in (0.1, 1.0):
        yield f"trace of order 2 {shift} px off", np.stack([true[0], profiles(shift)[1], true[2]])
    for width in (0.003, 0.01, 0.03):
        yield f"{width:.1%} too wide", profiles(widened=width)
    for part in (0.9, 1.1):
        yield f"wings times {part}", profiles(wings=part)
    for reach in (80, 40, 25, 15):
        yield f"cut at {reach} px", true * near(reach)
    yield "order 3 unknown", true * np.array([1, 1, 0])[:, None, None]


def wrong_models() -> Iterator[tuple[str, Extract1dRefs]]:
    """Yield what is wrong and the references of the full model that result, with true profiles."""
    solution = pastasoss(OBSERVATION)
    right = Extract1dRefs(
        solution, Specprofile(profiles(), solution.order), Typical(np.empty(0)), speckernel(OBSERVATION)
    )
    yield "nothing", right
    curve = np.asarray(solution.throughput, float)
    second = np.array([[0.0], [1.0], [0.0]])
    for part in (0.01, 0.05, 0.2):
        yield (
            f"throughput of order 2 {part:.0%} too high",
            replace(right, pastasoss=replace(solution, throughput=curve * (1 + part * second))),
        )
    wave = np.sin(2 * np.pi * np.asarray(solution.throughput_um, float) / 0.1)
    for part in (0.01, 0.05):
        rippled = replace(solution, throughput=curve * (1 + part * wave * second))
        yield f"throughput of order 2 rippled by {part:.0%}", replace(right, pastasoss=rippled)
    for scale in (1.03, 1.1, 1.2):
        yield f"line spread {scale - 1:.0%} too wide", replace(right, speckernel=speckernel(OBSERVATION, scale))
    for shift in (0.1, 0.3):
        step = np.gradient(np.asarray(solution.wavelength_um, float), axis=1) * second
        moved = replace(solution, wavelength_um=np.asarray(solution.wavelength_um, float) + shift * step)
        yield f"wavelengths of order 2 {shift} px off", replace(right, pastasoss=moved)


def learned_profiles(image: np.ndarray, variance: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield profiles for orders that differ much: true ones, as official files have them, and from the image."""
    true = profiles()
    yield "nothing", true
    yield "cut at 25 px", true * near(25)
    solution = pastasoss(OBSERVATION)
    traces = np.asarray(solution.trace_px, float), np.asarray(solution.wavelength_um, float)
    yield "from the image without noise", trace_profiles.fit(image, 1 / variance, *traces)
    # the median of n normal values has pi / 2 of the variance of their mean
    spread = np.sqrt(np.pi / 2 * variance / SLOPE_S / SAMPLE)
    noisy = image + spread * np.random.default_rng(0).standard_normal(image.shape)
    yield f"from the median of {SAMPLE} integrations", trace_profiles.fit(noisy, 1 / variance, *traces)


def profiles(shift: float = 0.0, widened: float = 0.0, wings: float = 1.0) -> np.ndarray:
    """Profiles of all orders, moved across the dispersion, with other widths and wings."""
    return np.stack(
        [
            trace.profile(_winged(order, wings), OBSERVATION.shape, 1, (0.0, shift), widened)
            for order in OBSERVATION.mode.orders
        ]
    )


def _winged(order: Order, factor: float) -> Order:
    assert order.horns is not None
    return replace(order, horns=replace(order.horns, wing_fraction=factor * order.horns.wing_fraction))


def near(reach_px: float) -> np.ndarray:
    """Mark the pixels near each trace."""
    row, column = np.arange(OBSERVATION.shape[0])[:, None], np.arange(OBSERVATION.shape[1])
    centres = [np.interp(column, order.trace_px.x, order.trace_px.y) for order in OBSERVATION.mode.orders]
    return np.stack([np.abs(row - centre) <= reach_px for centre in centres])


def main(out: Path) -> None:
    """Write the table."""
    constants = build(OBSERVATION)
    light = np.stack([np.asarray(s.response(s.photons), float) for s in constants.spectra])
    hidden = np.stack(
        [np.asarray(s.response(s.photons * s.curve.bodies[0].radius_ratio ** 2), float) for s in constants.spectra]
    )
    shares = np.stack([np.asarray(s.profile, float) for s in constants.spectra])
    sky = np.asarray(constants.background, float)
    star = seen(light, hidden, shares, sky)
    rows = judged("WASP-39 b", with_profiles(wrong_profiles()), METHODS, star)
    rows += judged("WASP-39 b", wrong_models(), FULL, star)
    apart = seen(light, light * (0.02 + APART * np.arange(len(light)))[:, None], shares, sky)
    learned = with_profiles(learned_profiles(star.out, star.variance))
    rows += judged("orders 10000 ppm apart", learned, METHODS, apart)
    with whole(out) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def with_profiles(believed: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, Extract1dRefs]]:
    """References with these profiles, otherwise right."""
    solution = pastasoss(OBSERVATION)
    for name, shape in believed:
        yield name, Extract1dRefs(solution, Specprofile(shape, solution.order), Typical(np.empty(0)))


class Images(NamedTuple):
    """Noise-free images of a star: of each order alone, what of it is left in mid-transit, and the sky.

    `depth` is the true depth of each order and column, `wanted` the images whose light an extraction should find.
    """

    alone: np.ndarray
    left: np.ndarray
    depth: np.ndarray
    sky: np.ndarray
    wanted: np.ndarray

    @property
    def out(self) -> np.ndarray:
        """The image out of transit."""
        return self.alone.sum(0) + self.sky

    @property
    def variance(self) -> np.ndarray:
        """What pixels are weighted by."""
        return self.out + READ_E_PER_S**2


def seen(light: np.ndarray, hidden: np.ndarray, shares: np.ndarray, sky: np.ndarray) -> Images:
    """Images of a star from the `light` of its orders by column, and what of it the planet hides."""
    depth = hidden / np.where(light > 0, light, 1)
    alone = shares * light[:, None]
    return Images(alone, shares * (light - hidden)[:, None], depth, sky, alone)


def judged(
    planet: str,
    believed: Iterator[tuple[str, Extract1dRefs]],
    methods: dict[str, Extract1dParams],
    star: Images,
) -> list[dict[str, Any]]:
    """Rows of the table for one planet."""
    images = np.concatenate([[star.out, star.left.sum(0) + star.sky], star.wanted])
    zero = np.zeros_like(images)
    variance = np.broadcast_to(star.variance, images.shape)
    state = Rates(images, variance, zero, zero, np.zeros(images.shape, np.uint32), np.arange(len(images)))
    depth = star.depth.ravel()
    rows = []
    for name, refs in believed:
        for method, params in methods.items():
            typical = replace(learn_typical(take(state, slice(0, 1)), refs, params), variance=variance[0])
            spectra, _ = EXTRACT(state, replace(refs, typical=typical), params)
            order = np.asarray(spectra.order)
            flux = np.nan_to_num(np.asarray(spectra.flux))
            alone = flux[2:]
            if params.method == "full":  # an order alone is no light of one spectrum: what its box holds says the box
                boxed = replace(params, method="box")
                alone = np.nan_to_num(np.asarray(EXTRACT(state, replace(refs, typical=typical), boxed)[0].flux))[2:]
            own = np.select([order == n for n in refs.pastasoss.order], list(alone))
            wavelength = usable_range(spectra, OBSERVATION.mode.useful_range_um, OBSERVATION.mode.orders)
            bins = of_orders(wavelength, order, resolving_power=POWER)
            weight = np.asarray(membership(wavelength, order, bins)) * np.maximum(flux[0], 0) / _variance(spectra)
            found = 1 - (weight @ flux[1]) / (weight @ flux[0])
            error = np.abs(found - (weight @ (own * depth)) / (weight @ own)) * 1e6
            light = np.abs((weight @ flux[0]) / (weight @ own) - 1) * 1e6
            about = {"planet": planet, "wrong": name, "method": method}
            rows += [
                {**about, "order": n, **_summary(error[mine]), "flux": _summary(light[mine])}
                for n, mine in ((n, bins.order == n) for n in (1, 2))
            ]
            print(rows[-2], rows[-1], flush=True)
    return rows


def _variance(spectra) -> np.ndarray:
    variance = np.asarray(spectra.var_poisson)[0]
    return np.where(variance > 0, variance, np.inf)


def _summary(error_ppm: np.ndarray) -> dict[str, float]:
    median, most = np.percentile(error_ppm, [50, 95])
    figures = {"median_ppm": median, "p95_ppm": most, "max_ppm": error_ppm.max()}
    return {name: float(f"{value:.3g}") for name, value in figures.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
