"""Rows as a sweep would leave them, drawn from the statistics alone: known truth and noise, errors planted at will."""

from dataclasses import dataclass, replace

import numpy as np

from uptheramp.scenarios.identity import Code, digest
from uptheramp.scenarios.store.rows import Case, Member, Result, StoredSweep
from uptheramp.validate.light_curve_records import mid_transit_record, scatter_records
from uptheramp.validate.seed_records import depth_records

WAVELENGTH = np.linspace(0.8, 5.0, 40)
TRUTH = 0.021 + 1e-4 * np.sin(3 * WAVELENGTH)
POINTS, LEVEL = 160, 90e-6  # integrations, scatter of one: half of them out of transit


@dataclass(frozen=True)
class Planted:
    """What a version of the code does wrong."""

    bias_ppm: float = 0.0
    claimed: float = 1.0  # error bars over the right ones
    scatter: float = 1.0  # white light, by independent noise of its own
    reshuffled: float = 0.0  # part of the noise of the depths that is not that of other versions


def case(mode="prism", setting=0):
    return Case(digest([mode, setting]), "synthetic", mode, "spectrum", {"mode": {"mode": mode}, "setting": setting})


def draw(rng, sign):
    return sign * rng.normal(size=len(WAVELENGTH)), sign * rng.normal(size=POINTS)


def result(of, seed, code, planted=Planted(), mirror=False, sigma_ppm=300.0, serial=0):
    """One row; the noise is that of the mode and seed, plus what the version `serial` adds of its own."""
    mode = sum(map(ord, of.mode))
    noise, white = draw(np.random.default_rng([seed, mode]), -1 if mirror else 1)
    own, more = draw(np.random.default_rng([seed, mode, 7, serial]), -1 if mirror else 1)
    share = planted.reshuffled
    noise = noise * (1 - share**2) ** 0.5 + share * own
    sigma = sigma_ppm * 1e-6 * (1 + 0.5 * np.linspace(0, 1, len(WAVELENGTH)))
    second_order = 2e-6 * np.random.default_rng([seed, mode, 8, mirror]).normal()  # what antitheses do not cancel
    depth = TRUTH + sigma * noise + planted.bias_ppm * 1e-6 + second_order
    covariance = np.diag((sigma * planted.claimed) ** 2)
    flux = 1 + LEVEL * (white + (planted.scatter**2 - 1) ** 0.5 * more)
    time = np.linspace(-0.06, 0.06, POINTS)
    records = depth_records(WAVELENGTH, depth, covariance, TRUTH, 1000, TRUTH + planted.bias_ppm * 1e-6)
    records += scatter_records(time, flux, np.abs(time) > 0.03, limit_pr=LEVEL, limit_all=LEVEL, alpha=1e-3)
    records += (mid_transit_record(noise[0] * 1e-6, 1e-6, 0.0, 1e-3),)
    arrays = {"wavelength_um": WAVELENGTH, "depth": depth, "covariance": covariance, "truth": TRUTH}
    arrays |= {"residuals": np.asarray(1000), "twin": TRUTH + planted.bias_ppm * 1e-6}
    arrays |= {"ers_sigma_ppm": np.asarray(90.0)}
    return Result(
        case=of,
        seed=seed,
        mirror=mirror,
        code=code,
        grade="estimated",
        references="synthetic",
        records=records,
        arrays=arrays,
        machine={"jax": "none"},
        started=f"2026-11-25T12:{serial:02d}:00+00:00",
        wall_s=6.0,
        cpu_s=7.0,
        peak_mb=900.0,
    )


def version(number):
    return Code(f"source{number:02d}", "0.1.0", f"c0ffee{number:02d}")


def fill(store, serial, planted=Planted(), seeds=range(1, 51), modes=("prism", "nircam", "miri"), pairs=10):
    """All rows of a version of the code."""
    exposures = [(seed, mirror) for seed in seeds for mirror in (False, True)[: 1 + (seed - seeds[0] < pairs)]]
    store.add(
        result(case(mode), seed, version(serial), planted, mirror, serial=serial)
        for mode in modes
        for seed, mirror in exposures
    )


def sweep_of(cases, knob="jump.rejection_threshold"):
    members = tuple(Member(c.id, c.mode, c.parameters["setting"], {knob: v}) for c, v in cases)
    return StoredSweep("threshold", "What the threshold does.", {"level": "spectrum"}, members)


def with_settings(store, serial, values=(3.0, 4.0, 5.0), seeds=range(1, 13), modes=("prism", "miri")):
    """A sweep of three settings, the last one noisier."""
    cases = []
    for mode in modes:
        for i, value in enumerate(values):
            of = replace(case(mode, i), scenario="swept")
            cases.append((of, value))
            sigma = 300.0 * (1 + 0.3 * (i == len(values) - 1))
            store.add(result(of, s, version(serial), sigma_ppm=sigma, serial=serial) for s in seeds)
    store.keep_sweep(sweep_of(cases), [c for c, _ in cases])
