"""How wrong profiles move the depths of SOSS orders: the extraction alone, on noise-free images.

    python benchmarks/soss_profiles.py docs/soss_profiles.json

The image out of transit and that in mid-transit (a planet on a star without limb darkening hides k^2 of the light) of
WASP-39 b, sky included, go through `extract_1d` with references that are wrong in one way. A depth is judged against
that of the order's own light with the same weights; channels have R = 100. Writes, for each error and method, median,
95th percentile and maximum of |D0 - D| over the channels of each order, in ppm.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import numpy as np

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.series import usable_range
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, Typical, extract_1d
from uptheramp.calibrate.stage3.bins import membership, of_orders
from uptheramp.calibrate.state import Rates
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.calibration.soss_extraction import pastasoss
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
    alone = shares * light[:, None]  # one image for each order
    transit = (shares * (light - hidden)[:, None]).sum(0)
    images = np.concatenate([[alone.sum(0) + sky, transit + sky], alone])
    zero = np.zeros_like(images)
    variance = np.broadcast_to(images[0] + READ_E_PER_S**2, images.shape)
    state = Rates(images, variance, zero, zero, np.zeros(images.shape, np.uint32), np.arange(len(images)))
    solution = pastasoss(OBSERVATION)
    extract = eqx.filter_jit(extract_1d)
    rows = []
    for name, believed in wrong_profiles():
        refs = Extract1dRefs(solution, Specprofile(believed, solution.order), Typical(variance[0]))
        for method, params in METHODS.items():
            spectra, _ = extract(state, refs, params)
            order = np.asarray(spectra.order)
            flux = np.nan_to_num(np.asarray(spectra.flux))
            own = np.select([order == n for n in solution.order], list(flux[2:]))
            depth = (hidden / np.where(light > 0, light, 1)).ravel()
            wavelength = usable_range(spectra, OBSERVATION.mode.useful_range_um, OBSERVATION.mode.orders)
            bins = of_orders(wavelength, order, resolving_power=POWER)
            weight = np.asarray(membership(wavelength, order, bins)) * np.maximum(flux[0], 0) / _variance(spectra)
            found = 1 - (weight @ flux[1]) / (weight @ flux[0])
            error = np.abs(found - (weight @ (own * depth)) / (weight @ own)) * 1e6
            rows += [{"wrong": name, "method": method, "order": n, **_summary(error[bins.order == n])} for n in (1, 2)]
            print(rows[-2], rows[-1], flush=True)
    with whole(out) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _variance(spectra) -> np.ndarray:
    variance = np.asarray(spectra.var_poisson)[0]
    return np.where(variance > 0, variance, np.inf)


def _summary(error_ppm: np.ndarray) -> dict[str, float]:
    median, most = np.percentile(error_ppm, [50, 95])
    figures = {"median_ppm": median, "p95_ppm": most, "max_ppm": error_ppm.max()}
    return {name: float(f"{value:.3g}") for name, value in figures.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
