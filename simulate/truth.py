"""What went in: everything needed to judge what comes out, in `truth/truth.npz` (arrays) and `truth/truth.json`."""

import json
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics.sources import Source
from uptheramp.simulate.ramps import chain, clock, render
from uptheramp.simulate.ramps.render import Constants
from uptheramp.simulate.scene.limb_darkening import quadratic_of
from uptheramp.simulate.scene.system import steady

CATALOGUE = {"integration": np.int32, "frame": np.int32, "y": np.int16, "x": np.int16, "electrons": np.float32}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth of an exposure. Rates are per second of real time; maps are of the window; orders come first.

    `flux_e_per_s` is L * (T F), `depth_flux_e_per_s` L * (T F k^2) on dispersion elements (METRICS.md), so that the
    true depth of a bin is sum w depth_flux / sum w flux. Limb darkening by element is weighted by the flux likewise.
    Fine grids are padded with NaN to a common length.
    """

    fine_wavelength_um: Float[np.ndarray, "order fine"]
    fine_radius_ratio: Float[np.ndarray, "order fine"]
    fine_u1: Float[np.ndarray, "order fine"]
    fine_u2: Float[np.ndarray, "order fine"]
    wavelength_um: Float[np.ndarray, "order along"]
    flux_e_per_s: Float[np.ndarray, "order along"]
    depth_flux_e_per_s: Float[np.ndarray, "order along"]
    day_flux_e_per_s: Float[np.ndarray, "order along"]  # L * (T F day): eclipse depths, like depth_flux_e_per_s
    u1: Float[np.ndarray, "order along"]  # quadratic law nearest to the one injected
    u2: Float[np.ndarray, "order along"]
    read_offset_s: Float[np.ndarray, "order along"]
    # the star's light alone, out of transit, at the start, before the flat; of an image by piece of its band (`along`)
    order_e_per_s: Float[np.ndarray, "order y x"]
    rate_e_per_s: Float[np.ndarray, "y x"]  # all electrons, out of transit, at the start
    rate_dn_per_s: Float[np.ndarray, "y x"]
    gain: Float[np.ndarray, "y x"]
    flat: Float[np.ndarray, "y x"]
    dark_e_per_s: Float[np.ndarray, "y x"]
    bias_dn: Float[np.ndarray, "y x"]
    read_noise_e: Float[np.ndarray, "y x"]
    telegraph_e: Float[np.ndarray, "y x"]  # distance of the levels of pixels that jump, 0 elsewhere
    int_start_bjd_tdb: Float[np.ndarray, "integration"]  # - 2400000.5 d
    time_bjd_tdb: Float[np.ndarray, "integration"]  # mean time of the groups for a pixel read last
    light_curve_e_per_s: Float[np.ndarray, "integration order along"]  # mean rate over the reads
    pointing: Float[np.ndarray, "integration frame state"]  # shift x, y (px), relative width, relative flux
    cosmic_rays: np.ndarray  # structured: integration, frame, y, x, electrons
    large_hits: np.ndarray  # the same of snowballs and showers, a row an event: its centre, its charge in the window
    facts: dict[str, Any]  # names, seeds, orbit, compression, version

    @property
    def star_e_per_s(self) -> Float[np.ndarray, "y x"]:
        """The star's light in all orders."""
        return self.order_e_per_s.sum(0)

    def save(self, directory: Path) -> None:
        """Write `truth.npz` and `truth.json` into the folder."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "facts"}
        with whole(directory / "truth.npz") as path, path.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        with whole(directory / "truth.json") as path:
            path.write_text(json.dumps(self.facts, indent=1))


def load(directory: Path) -> Truth:
    """Return the truth in a folder.

    Raises
    ------
    InputError
        If the folder does not hold one.
    """
    directory = Path(directory)
    try:
        facts = json.loads((directory / "truth.json").read_text())
        with np.load(directory / "truth.npz") as arrays:
            return Truth(**dict(arrays), facts=facts)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{directory}: not a truth folder ({error}); give the truth/ of a simulated run") from error


def of(
    observation: Observation,
    constants: Constants,
    light_curve_e_per_s: Float[np.ndarray, "integration order along"],
    pointing: Float[np.ndarray, "integration frame state"],
    cosmic_rays: np.ndarray,
    large_hits: np.ndarray | None = None,
) -> Truth:
    """Return the truth of an exposure from what it was made of and what was drawn."""
    o, c, maps = observation, constants, constants.maps
    orders = [_order(s) for s in c.spectra]
    star, others = [_image((s,), c) for source in c.spectra for s in source.apart()], _image(c.field, c)
    rate = np.asarray(sum(star) + others + c.background, float)
    rate = rate * maps.flat if "flat" in o.effects else rate
    rate = rate + maps.dark_e_per_s if "dark" in o.effects else rate
    rate = rate * maps.light if "reference_pixels" in o.effects else rate
    start = o.int_start()
    return Truth(
        **{name: _stacked([order[name] for order in orders]) for name in orders[0]},
        order_e_per_s=np.asarray(star, np.float32),
        rate_e_per_s=np.asarray(rate, np.float32),
        rate_dn_per_s=np.asarray(rate / maps.gain, np.float32),
        gain=np.asarray(maps.gain),
        flat=np.asarray(maps.flat),
        dark_e_per_s=np.asarray(maps.dark_e_per_s),
        bias_dn=np.asarray(maps.bias_dn),
        read_noise_e=np.asarray(maps.read_noise_e),
        telegraph_e=_telegraph(o, c),
        int_start_bjd_tdb=start,
        time_bjd_tdb=start + clock.group_mean_s(o).mean() / clock.DAY_S,
        light_curve_e_per_s=light_curve_e_per_s,
        pointing=pointing,
        cosmic_rays=cosmic_rays,
        large_hits=no_cosmic_rays() if large_hits is None else large_hits,
        facts=_facts(o),
    )


def _telegraph(observation: Observation, constants: Constants) -> Float[np.ndarray, "y x"]:
    image, pixels = np.zeros(observation.shape, np.float32), constants.own.get("telegraph")
    if pixels is not None:
        image[pixels.y, pixels.x] = pixels.amplitude_e
    return image


def catalogue(first: int, hits: Any) -> np.ndarray:
    """Rows of the cosmic-ray list from the deposits of a chunk whose first integration is `first`, padding removed."""
    index, deposit = np.nonzero(hits.electrons > 0)
    out = np.zeros(len(index), list(CATALOGUE.items()))
    out["integration"] = first + index
    for name in ("frame", "y", "x", "electrons"):
        out[name] = getattr(hits, name)[index, deposit]
    return out


def no_cosmic_rays() -> np.ndarray:
    """Return an empty list."""
    return np.zeros(0, list(CATALOGUE.items()))


def _order(s: Source) -> dict[str, np.ndarray]:
    planet, light = s.curve.bodies[0], np.asarray(s.photons)
    u1, u2 = quadratic_of(np.asarray(s.curve.u))
    own = np.zeros_like(light) if planet.emission is None else np.asarray(planet.emission.day)

    def spread(values: np.ndarray) -> np.ndarray:
        return np.asarray(s.response(values))

    flux = spread(light)
    lit = np.where(flux > 0, flux, np.nan)
    return {
        "fine_wavelength_um": np.asarray(s.wavelength_um),
        "fine_radius_ratio": np.asarray(planet.radius_ratio),
        "fine_u1": u1,
        "fine_u2": u2,
        "wavelength_um": np.asarray(s.along_um),
        "flux_e_per_s": flux,
        "depth_flux_e_per_s": spread(light * planet.radius_ratio**2),
        "day_flux_e_per_s": spread(light * own),
        "u1": spread(light * u1) / lit,
        "u2": spread(light * u2) / lit,
        "read_offset_s": np.asarray(s.curve.read_offset_s)[s.response.middle()],
    }


def _image(sources: tuple[Source, ...], constants: Constants) -> np.ndarray:
    """Light of some sources without transits, as they are pointed at during the first integration, e-/s."""
    pointing = render.expected_pointing(constants)
    image = np.zeros(constants.background.shape)
    for s in sources:
        alone = replace(s, curve=steady(s.wavelength_um, s.curve.read_offset_s))
        rate, _ = alone.light(np.zeros(len(pointing.width)), constants.params.frame_time_s, pointing)
        image += np.asarray(rate).mean(0)
    return image


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack by order, NaN after the end of shorter ones."""
    longest = max(len(a) for a in arrays)
    return np.stack([np.pad(np.asarray(a, float), (0, longest - len(a)), constant_values=np.nan) for a in arrays])


def _facts(o: Observation) -> dict[str, Any]:
    p = o.orbit_planet
    return {
        "version": version("uptheramp"),
        "instrument": o.instrument.name,
        "mode": o.mode.name,
        "detector": o.detector.name,
        "subarray": o.subarray.name,
        "pattern": o.pattern.name,
        "ngroups": o.ngroups,
        "nints": o.nints,
        "seed": o.seed,
        "antithetic": o.antithetic,
        "detector_seed": o.detector_seed,
        "effects": list(o.effects),
        "settings": {name: asdict(o.settings_of(name)) for name in o.effects if chain.EFFECTS[name].settings},
        "compression": o.compression,
        "background_scale": o.background_scale,
        "target": o.target,
        "k_mag": o.star.k_mag,
        "teff_k": o.star.teff_k,
        "period_d": o.planet.period_d,
        "period_compressed_d": p.period_d,
        "t0_bjd_tdb": p.t0_bjd_tdb,
        "a_rs": p.a_rs,
        "inclination_deg": p.inclination_deg,
        "eccentricity": p.eccentricity,
        "omega_deg": p.omega_deg,
        "frame_time_s": o.subarray.frame_time_s,
        "cadence_s": o.cadence_s,
        "dispersion_axis": o.mode.dispersion_axis,
        "approximate": o.mode.approximate,
    }
