"""A reduced exposure against its truth: the depths that went in, the twin's, and the records of both."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.curve import T0
from uptheramp.calibrate.fit.system import LimbDarkening, System
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io import tspec
from uptheramp.calibrate.io.times import DAY_S
from uptheramp.calibrate.pipeline import run
from uptheramp.calibrate.state import Photometry, PlanetSpectrum, Rates, Spectra
from uptheramp.calibrate.stream import split
from uptheramp.scenarios.reduced import Fitted, Reduced
from uptheramp.scenarios.scenario import Scenario
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.truth import Truth, load
from uptheramp.validate import metrics_file
from uptheramp.validate.channel_limits import channel_limits, pixel_variance
from uptheramp.validate.light_curve_records import mid_transit_record, red_noise_records, scatter_records
from uptheramp.validate.metrics.limits import light_curve_limit
from uptheramp.validate.metrics_file import ModeMetrics
from uptheramp.validate.record import Record
from uptheramp.validate.recovery import alpha_for
from uptheramp.validate.truth_depth import truth_depth


@dataclass(frozen=True)
class TrueChannels:
    """What the channels of a reduction should have found."""

    depth: Float[np.ndarray, "channel"]
    limits: Float[np.ndarray, "channel"]  # L_pr: relative standard deviation of one integration
    system: System  # the injected orbit, limb darkening weighted by the light of each channel


def check(scenario: Scenario) -> None:
    """Refuse what cannot be judged: the true depths and the fit are of transits.

    Raises
    ------
    InputError
        For an eclipse.
    """
    if scenario.planet.event == "eclipse":
        raise InputError(
            f"scenario {scenario.name}: planet.event is an eclipse, and only transits are judged; "
            "use `uptheramp simulate`, `calibrate` and `lightcurve` on it"
        )


def pixel_weights(reduced: Reduced) -> Float[np.ndarray, "order y x"]:
    """How much each pixel adds to the spectrum of each order: the derivative of the extraction, which is linear.

    The extraction is given no light, equal variances, and the pixels that were lost throughout.
    """
    _, steps = split(reduced.recipe.stage3, Spectra)
    shape = reduced.exposure.meta.shape
    plane = jnp.ones((1, *shape))
    dq = jnp.where(reduced.lost, flags.DO_NOT_USE, 0).astype(jnp.uint32)[None]
    state = Rates(0 * plane, plane, plane, 0 * plane, dq, jnp.zeros(1, int))
    order = np.asarray(reduced.spectra.order)
    chosen = jnp.asarray(order == order_numbers(reduced)[:, None], float)[:, None]

    @eqx.filter_jit
    def derivative(library: dict[str, Any], params: dict[str, Any]) -> Float[Array, "order y x"]:
        def flux(data: Float[Array, "one y x"]) -> Float[Array, "one dispersion"]:
            return run(steps, replace(state, data=data), library, params)[0].flux

        _, pull = jax.vjp(flux, state.data)
        return jax.vmap(lambda one: pull(one)[0][0])(chosen)

    return np.asarray(derivative(reduced.library, reduced.recipe.params), float)


def order_numbers(reduced: Reduced) -> Int[np.ndarray, "order"]:
    """Numbers of the orders in the spectra, as they lie there end to end."""
    return np.unique(np.asarray(reduced.spectra.order))


def true_channels(reduced: Reduced, observation: Observation, truth: Truth) -> TrueChannels:
    """Weigh the truth as the extraction and the binning weighed the data."""
    if isinstance(reduced.spectra, Photometry):
        return _true_band(reduced, observation, truth)
    axis, orders = observation.mode.dispersion_axis, observation.mode.orders
    number = {order.number: k for k, order in enumerate(orders)}
    which = [number[n] for n in order_numbers(reduced).tolist()] if len(orders) > 1 else [0]
    across, along = (0, 1) if axis == 1 else (1, 0)

    def end_to_end(images: Iterable[Float[np.ndarray, "y x"]]) -> Float[np.ndarray, "y x"]:
        return np.concatenate(list(images), axis=along)  # as the spectra lie

    shares, weights = end_to_end(pixel_weights(reduced)), reduced.binning.weights
    good = end_to_end([~reduced.lost] * len(which))
    star = end_to_end(truth.order_e_per_s[which]) * good
    seen = (shares * star).sum(across) * calibration(reduced)  # the flat takes the gains out of the spectra
    flux, lost = (np.concatenate(x[which]) for x in (truth.flux_e_per_s, truth.depth_flux_e_per_s))
    depth_of = np.where(flux > 0, lost, 0) / np.where(flux > 0, flux, 1)
    everything = [np.arange(len(seen))]
    depth = np.concatenate([truth_depth(seen, seen * depth_of, w, everything) for w in weights])
    variance = pixel_variance(
        truth.rate_e_per_s,
        truth.read_noise_e,
        reduced.exposure.readout,
        truth.facts["frame_time_s"],
        typical_groups(reduced),
    )
    variance = end_to_end([np.where(np.isfinite(variance), variance, 0)] * len(which))
    limits = [
        channel_limits(star, variance * good, shares, w * calibration(reduced), everything, dispersion_axis=axis)[0]
        for w in weights
    ]
    light = weights * seen
    total = light.sum(1)
    lit = total > 0  # a channel all of whose pixels were lost (saturated) shows nothing: the table goes across it
    share = light[lit] / total[lit, None]
    u1, u2 = (share @ np.nan_to_num(np.concatenate(u[which])) for u in (truth.u1, truth.u2))
    centre = np.asarray(reduced.curves.wavelength_um)[lit]
    return TrueChannels(depth, np.array(limits), system_of(observation, centre, u1, u2))


def _true_band(reduced: Reduced, observation: Observation, truth: Truth) -> TrueChannels:
    """Weigh the pieces of a filter's band by their light in the aperture, which holds less of the wider ones."""
    good = ~reduced.lost
    share = pixel_weights(reduced)[0] * good
    seen = (share * truth.order_e_per_s).sum((1, 2))
    flux, lost = truth.flux_e_per_s[0], truth.depth_flux_e_per_s[0]
    depth = truth_depth(seen, seen * lost / flux, np.ones(len(seen)), [np.arange(len(seen))])
    variance = pixel_variance(
        truth.rate_e_per_s,
        truth.read_noise_e,
        reduced.exposure.readout,
        truth.facts["frame_time_s"],
        typical_groups(reduced),
    )
    variance = np.where(good & np.isfinite(variance), variance, 0)
    limit = light_curve_limit(truth.star_e_per_s.ravel(), variance.ravel(), share.ravel())
    u1, u2 = (np.atleast_1d(seen @ u[0] / seen.sum()) for u in (truth.u1, truth.u2))
    return TrueChannels(
        depth, np.array([limit]), system_of(observation, np.asarray(reduced.curves.wavelength_um), u1, u2)
    )


def system_of(
    observation: Observation,
    wavelength_um: Float[np.ndarray, "channel"],
    u1: Float[np.ndarray, "channel"],
    u2: Float[np.ndarray, "channel"],
) -> System:
    """The injected system, as an observer would write it down for `--system`."""
    planet = observation.orbit_planet
    return System(
        name=observation.target,
        period_d=planet.period_d,
        t0_bjd_tdb=planet.t0_bjd_tdb,
        a_rs=planet.a_rs,
        inclination_deg=planet.inclination_deg,
        eccentricity=planet.eccentricity,
        omega_deg=planet.omega_deg,
        rp_rs=float(np.mean(planet.radius_ratio.y)),
        limb_darkening=LimbDarkening(
            wavelength_um=tuple(wavelength_um),
            u1=tuple(u1),
            u2=tuple(u2),
            source="injected",
            confidence="documented",
        ),
        source="injected",
        confidence="documented",
    )


def calibration(reduced: Reduced) -> Float[np.ndarray, "dispersion"]:
    """What one DN/s becomes at each dispersion pixel before the extraction, up to a common factor.

    1 where no photom ran, or where it came after (SOSS): then it is in the weights of the pixels.
    """
    table = reduced.library.get("photom")
    wavelength = np.nan_to_num(np.asarray(reduced.spectra.wavelength_um, float))
    on_images, _ = split(reduced.recipe.stage2, Spectra)
    if table is None or not any(step.name == "photom" for step in on_images):
        return np.ones(len(wavelength))
    response = np.interp(wavelength, table.wavelength_um, table.response)
    step_um = np.abs(np.gradient(wavelength)) if table.per_micron else 1.0
    return np.where(wavelength > 0, response / np.where(step_um > 0, step_um, 1), 0)


def typical_groups(reduced: Reduced) -> np.ndarray:
    """Groups usable in most integrations."""
    unusable = flags.DO_NOT_USE | flags.SATURATED
    return ((reduced.groupdq & unusable) == 0).mean(0) > 0.5


def judge_reduction(
    name: str,
    fitted: Fitted,
    true: TrueChannels,
    observation: Observation,
    twin: Fitted,
    pink: Float[np.ndarray, "channel channel"],
    *,
    modes: int,
    resolving_power: float,
) -> ModeMetrics:
    """All records of one mode of one seed; `pink` is the covariance that 1/f noise adds to one integration."""
    all_noise = np.sqrt(true.limits**2 + pink.diagonal())
    return metrics_file.summarise_run(
        name,
        wavelength_um=np.asarray(fitted.planet.wavelength_um),
        depth=np.asarray(fitted.planet.depth),
        covariance=np.asarray(fitted.planet.covariance),
        truth=true.depth,
        twin=np.asarray(twin.planet.depth),
        residuals=freedom(fitted),
        ers_sigma_ppm=ers_sigma_ppm(all_noise, observation, resolving_power),
        extra=white_records(fitted, twin, true, pink, observation, alpha_for(modes)),
        scenario={
            "compression": observation.compression,
            "integrations": observation.nints,
            "groups": observation.ngroups,
            "cadence_s": observation.cadence_s,
            "seed": observation.seed,
        },
        modes=modes,
    )


def freedom(fitted: Fitted) -> int:
    """Degrees of freedom from which the errors of the channels were estimated, of the channel that has fewest."""
    return int(np.isfinite(np.asarray(fitted.channels.residuals)).sum(1).min()) - len(fitted.channels.free)


def white_records(
    fitted: Fitted,
    twin: Fitted | None,
    true: TrueChannels,
    pink: Float[np.ndarray, "channel channel"] | None,
    observation: Observation,
    alpha: float,
) -> tuple[Record, ...]:
    """Scatter, red noise and mid-time of the white light curve; the limit L_all needs `pink`."""
    planet, time = observation.orbit_planet, np.asarray(fitted.white.time)
    weight = np.asarray(fitted.white.weight)
    limit_pr = float(np.sqrt(np.sum((weight * true.limits) ** 2)))
    limit_all = None if pink is None else float(np.sqrt(limit_pr**2 + weight @ pink @ weight))
    out = np.abs(time - true.system.t0_bjd_tdb) > 0.55 * planet.duration_d
    flux = np.asarray(fitted.white.flux)
    records = scatter_records(time, flux, out, limit_pr=limit_pr, limit_all=limit_all, alpha=alpha)
    in_transit = planet.duration_d * DAY_S / observation.cadence_s
    records += red_noise_records(np.asarray(fitted.white.curve.residuals), in_transit, alpha)
    late = mid_transit_record(float(fitted.white.t0), float(fitted.white.error(T0)), true.system.t0_bjd_tdb, alpha)
    return (*records, late) if twin is None else (*records, late, _twin_time(twin, true))


def _twin_time(twin: Fitted, true: TrueChannels) -> Record:
    return Record(
        name="mid_transit_time_algorithmic",
        value=(float(twin.white.t0) - true.system.t0_bjd_tdb) * DAY_S,
        unit="s",
        definition="Mid-transit time of the noise-free twin minus the truth.",
    )


def ers_sigma_ppm(limits: Float[np.ndarray, "channel"], observation: Observation, resolving_power: float) -> float:
    """Depth error of the R = 100 bin of a real-length visit (as long out of transit as in), ppm, from the limits.

    sigma = L sqrt(R/R_bin) sqrt(2 / N), N integrations in T14 of the uncompressed orbit; the median over bins.
    """
    real = observation.orbit_planet.duration_d * observation.compression * DAY_S / observation.cadence_s
    return float(np.median(limits) * np.sqrt(100 / resolving_power) * np.sqrt(2 / real) * 1e6)


def judge_products(products: Path, truth_folder: Path, out: Path | None) -> list[str]:
    """Judge a planet spectrum on disk against a truth folder; writes metrics.json and returns lines to print."""
    path = _spectrum_file(products)
    planet = tspec.read(path)
    truth = load(truth_folder)
    depth = _plain_depth(planet, truth)
    mode = metrics_file.summarise_run(
        truth.facts["mode"],
        wavelength_um=np.asarray(planet.wavelength_um),
        depth=np.asarray(planet.depth),
        covariance=np.asarray(planet.covariance),
        truth=depth,
        scenario={key: truth.facts[key] for key in ("compression", "seed")},
    )
    target = (out or path.parent) / "metrics.json"
    metrics_file.write(target, [mode])
    lines = [f"{mode.mode}: {mode.verdict}"]
    lines += [f"  {r.name}: {r.value:.4g} {r.unit} ({r.verdict or 'reported'})" for r in mode.records]
    return [*lines, str(target)]


def _spectrum_file(products: Path) -> Path:
    if products.is_dir():
        found = sorted(products.glob("*_tspec.fits")) or sorted(products.glob("*_tspec.ecsv"))
        if len(found) != 1:
            raise InputError(f"{products}: holds {len(found)} planet spectra (*_tspec.fits); name one of them")
        return found[0]
    return products


def _plain_depth(planet: PlanetSpectrum, truth: Truth) -> Float[np.ndarray, "channel"]:
    """True depth of each bin with the light itself as weight: what another pipeline's weights come close to."""
    mode = lookup.find_mode(truth.facts["mode"])[1]
    if mode.image is not None:
        return np.array([truth.depth_flux_e_per_s.sum() / truth.flux_e_per_s.sum()])
    orders = mode.orders
    useful = [(0.0, np.inf) if o.useful_range_um is None else o.useful_range_um or (np.inf, 0.0) for o in orders]
    own = np.array(useful)[: len(truth.wavelength_um), :, None]
    inside = (truth.wavelength_um >= own[:, 0]) & (truth.wavelength_um <= own[:, 1])
    wavelength = np.where(inside, truth.wavelength_um, np.nan).ravel()
    flux, lost = truth.flux_e_per_s.ravel(), truth.depth_flux_e_per_s.ravel()
    centre, half = np.asarray(planet.wavelength_um), np.asarray(planet.half_width_um)
    bins = [np.flatnonzero(np.abs(wavelength - c) <= h) for c, h in zip(centre, half, strict=True)]
    return truth_depth(np.nan_to_num(flux), np.nan_to_num(lost), np.ones(len(flux)), bins)
