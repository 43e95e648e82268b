"""What flows between the steps: ramps, rates, spectra, light curves, the planet's spectrum.

Each is an `equinox.Module`: frozen, a pytree, rebuilt without `__init__` when JAX maps over it (a registered dataclass
runs its checks on every unflatten and breaks). Pixels are float32; times, light curves and fits float64. Importing this
module turns 64-bit JAX on.

Axes are always `integration, group, y, x`; MIRI's dispersion along y is data, not a transpose.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, UInt8, UInt32

from uptheramp.calibrate.instruments.core import Readout

jax.config.update("jax_enable_x64", True)


class Ramps(eqx.Module):
    """Up-the-ramp samples of some integrations of an exposure.

    `data` in DN (uint16 as read from a file, float32 from the first step on); `integration` is the 0-based number in
    the exposure (padding continues the count); times in seconds; `memory` carries what runs on from chunk to chunk, by
    the name of the step. `start_s` is when each integration starts, from the first of the exposure; None: one after
    the other. `zeroframe` is the first frame of each integration where it was kept (0: not usable). `keep` is the
    probability that a difference of neighbouring groups is no jump, where that is not decided by flags. `interleaved`
    is what frames hold between the lines of the image (`kernels.interleaved`), with its flags; refpix uses it up.
    `dark_e_per_s` is the mean dark current where the user gives it, in place of that of the reference.
    """

    data: Num[Array, "integration group y x"]
    groupdq: UInt8[Array, "integration group y x"]
    pixeldq: UInt32[Array, "y x"]
    integration: Int[Array, "integration"]
    frame_time_s: Float[Array, ""]
    group_time_s: Float[Array, ""]
    readout: Readout = eqx.field(static=True)
    memory: dict[str, Any] = eqx.field(default_factory=dict)
    start_s: Float[Array, "integration"] | None = None
    zeroframe: Num[Array, "integration y x"] | None = None
    keep: Float[Array, "integration difference y x"] | None = None
    interleaved: Num[Array, "integration group extra x"] | None = None
    interleaved_dq: UInt32[Array, "extra x"] | None = None
    dark_e_per_s: Float[Array, ""] | None = None
    per_integration: ClassVar = ("data", "groupdq", "integration", "start_s", "zeroframe", "keep", "interleaved")

    @property
    def starts_s(self) -> Float[Array, "integration"]:
        """Starts of the integrations, s after that of the exposure."""
        if self.start_s is not None:
            return self.start_s
        return self.integration * self.readout.ngroups * self.group_time_s


class Rates(eqx.Module):
    """Slopes per integration (rateints), or what Stage 2 makes of them (calints), with variances by cause.

    `unit` is the unit of `data` ("DN/s", "MJy/sr", ...); variances in its square. `wavelength_um` is set by assign_wcs,
    `pathloss_point` and `pathloss_uniform` by pathloss: its tables at the pixels, 1 where they do not tell. `imputed`
    tells pixels to which pixel_replace gave the mean of those before and behind along the dispersion.
    """

    data: Float[Array, "integration y x"]
    var_poisson: Float[Array, "integration y x"]
    var_rnoise: Float[Array, "integration y x"]
    var_flat: Float[Array, "integration y x"]
    dq: UInt32[Array, "integration y x"]
    integration: Int[Array, "integration"]
    wavelength_um: Float[Array, "y x"] | None = None
    unit: str = eqx.field(static=True, default="DN/s")
    pathloss_point: Float[Array, "y x"] | None = None
    pathloss_uniform: Float[Array, "y x"] | None = None
    imputed: Bool[Array, "integration y x"] | None = None
    per_integration: ClassVar = ("data", "var_poisson", "var_rnoise", "var_flat", "dq", "integration", "imputed")

    @property
    def err(self) -> Float[Array, "integration y x"]:
        """Total standard error, the root of the summed variances."""
        return (self.var_poisson + self.var_rnoise + self.var_flat) ** 0.5


TRACE = ("position_px", "rotation_px", "width")  # what Spectra.trace holds of each integration


class Spectra(eqx.Module):
    """Extracted spectra per integration (x1dints); flux in `unit` summed over the aperture.

    Orders lie end to end on the wavelength axis, and `order` tells which element is whose: what works on elements
    (light curves, flags, sums) needs no loop over orders, and their lengths may differ. Elements of two orders that
    were solved for in the same column share noise, and so do elements with pixels that were made of each other:
    `covariance[:, p]` is that of the elements `pairs[p]`. `background`
    is what was taken from the sum. With `pixel_sr`, the solid angle of a pixel, surface brightnesses can be told.

    `trace` is how the trace lies in each integration, where that was measured, relative to the learned profile: its
    displacement across the dispersion in the middle of the spectrum (px), what is added to it at the last element and
    taken from it at the first (px), and the relative change of its width; `trace_err` are standard errors.

    Elements that share noise have the covariance `shared @ shared.T` off the diagonal, the same in all integrations;
    on it are the variances, which hold it too.
    """

    flux: Float[Array, "integration wavelength"]
    var_poisson: Float[Array, "integration wavelength"]
    var_rnoise: Float[Array, "integration wavelength"]
    var_flat: Float[Array, "integration wavelength"]
    background: Float[Array, "integration wavelength"]
    dq: UInt32[Array, "integration wavelength"]
    npixels: Float[Array, "wavelength"]
    wavelength_um: Float[Array, "wavelength"]
    integration: Int[Array, "integration"]
    order: Int[Array, "wavelength"]
    pairs: Int[Array, "pair 2"]
    covariance: Float[Array, "integration pair"]
    unit: str = eqx.field(static=True, default="DN/s")
    pixel_sr: float | None = eqx.field(static=True, default=None)
    trace: Float[Array, "integration quantity"] | None = None
    trace_err: Float[Array, "integration quantity"] | None = None
    shared: Float[Array, "wavelength factor"] | None = None
    per_integration: ClassVar = (
        "flux",
        "var_poisson",
        "var_rnoise",
        "var_flat",
        "background",
        "dq",
        "integration",
        "covariance",
        "trace",
        "trace_err",
    )

    @property
    def err(self) -> Float[Array, "integration wavelength"]:
        """Total standard error, the root of the summed variances."""
        return (self.var_poisson + self.var_rnoise + self.var_flat) ** 0.5


class Photometry(Spectra):
    """The flux of an imaged star (phot): Spectra of one element, the filter's band, and what its catalogue says.

    The columns of `measured` are named by `columns`: sums and official errors in `unit`, areas and places in pixels
    (0-based), the part of the star's light that was seen.
    """

    measured: Float[Array, "integration column"] = eqx.field(kw_only=True)
    band_um: Float[Array, "2"] = eqx.field(kw_only=True)  # NaN where the filter is not known
    radii_px: Float[Array, "3"] = eqx.field(kw_only=True)  # of the circle, of the annulus inside and outside
    columns: ClassVar = (
        *("aperture_sum", "aperture_sum_err", "aperture_area", "annulus_sum", "annulus_sum_err", "annulus_area"),
        *("light_seen", "aperture_x", "aperture_y", "centroid_x", "centroid_y"),
        *("psf_width_x", "psf_width_y", "psf_flux"),
    )
    per_integration: ClassVar = (*Spectra.per_integration, "measured")

    def column(self, name: str) -> Float[Array, "integration"]:
        """One of the columns."""
        return self.measured[:, self.columns.index(name)]


def single_order(integrations: int, elements: int, dtype: Any = jnp.float32, number: int = 1) -> dict[str, Array]:
    """The fields of Spectra that tell orders apart, where there is one: no elements share a column."""
    return {
        "order": jnp.full(elements, number, jnp.int32),
        "pairs": jnp.zeros((0, 2), jnp.int32),
        "covariance": jnp.zeros((integrations, 0), dtype),
    }


class LightCurves(eqx.Module):
    """Flux against time by channel, float64; `time` is BJD_TDB - 2400000.5 d, the mean time of the groups used.

    `time_offset_s` is when each channel's pixels are read, relative to `time` (row by row). NaN flux is unused.
    `covariance` is that of simultaneous points of the channels, as the errors of the pixels have it, where it is known.
    """

    time: Float[Array, "time"]
    exposure_s: Float[Array, ""]  # how long one point integrates
    flux: Float[Array, "channel time"]
    err: Float[Array, "channel time"]
    wavelength_um: Float[Array, "channel"]
    half_width_um: Float[Array, "channel"]
    time_offset_s: Float[Array, "channel"]
    covariance: Float[Array, "channel channel"] | None = None


class PlanetSpectrum(eqx.Module):
    """Transit depth (Rp/R*)^2 by channel with its covariance, float64."""

    wavelength_um: Float[Array, "channel"]
    half_width_um: Float[Array, "channel"]
    depth: Float[Array, "channel"]
    covariance: Float[Array, "channel channel"]

    @property
    def error(self) -> Float[Array, "channel"]:
        """Marginal standard errors."""
        return self.covariance.diagonal() ** 0.5


def take(state: Any, index: Any) -> Any:
    """Some integrations of Ramps, Rates or Spectra."""
    return each(lambda x: x[index], state)


def one_by_one(function: Callable[[Any], Any], state: Any) -> Any:
    """`function` of the state an integration at a time; all arrays of its results go by integration, and are joined."""
    arrays = [x for name in state.per_integration if (x := getattr(state, name)) is not None]

    def one(of_one: list[Array]) -> Any:
        each_of = iter(of_one)
        return function(each(lambda _: next(each_of)[None], state))

    return jax.tree.map(lambda x: x[:, 0], jax.lax.map(one, arrays))


def join(parts: list[tuple[int, int, Any]]) -> Any:
    """Chunks back to one state, padding cut off."""
    return each(lambda *arrays: jnp.concatenate(arrays), *(take(state, slice(0, count)) for _, count, state in parts))


def each(function: Callable[..., Array], *states: Any) -> Any:
    """The first state with `function` of the states' arrays in place of each that goes by integration."""

    def arrays(state: Any) -> list[Array]:
        return [x for name in state.per_integration if (x := getattr(state, name)) is not None]

    return eqx.tree_at(arrays, states[0], [function(*of) for of in zip(*map(arrays, states), strict=True)])
