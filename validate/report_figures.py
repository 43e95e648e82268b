"""The figures of a mode's report, drawn and embedded: data URIs, no file beside the page."""

from base64 import b64encode
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from uptheramp.validate.figures import style
from uptheramp.validate.figures.light_curve_2d import light_curve_2d
from uptheramp.validate.figures.pull_histogram import pull_histogram
from uptheramp.validate.figures.ramp import ramp
from uptheramp.validate.figures.raw_frame import raw_frame
from uptheramp.validate.figures.spectrum import spectrum
from uptheramp.validate.figures.white_light import white_light
from uptheramp.validate.metrics.depth import pulls
from uptheramp.validate.report_types import ModeReport


@dataclass(frozen=True)
class Picture:
    """An embedded figure: its heading, what one sees in it, and the image itself as a data URI."""

    heading: str
    caption: str
    source: str


def svg_uri(figure: Figure) -> str:
    """A figure of lines as a data URI."""
    return "data:image/svg+xml;base64," + b64encode(style.to_svg(figure).encode()).decode()


def png_uri(figure: Figure) -> str:
    """A figure of images as a data URI."""
    return "data:image/png;base64," + b64encode(style.to_png(figure)).decode()


def _spectrum(mode: ModeReport) -> Picture | None:
    s = mode.spectrum
    if s is None:
        return None
    drawn = spectrum(s.wavelength_um, s.half_width_um, s.depth, np.sqrt(s.covariance.diagonal()), s.truth)
    caption = "Transit depth by wavelength, with the error that the pipeline states."
    if s.truth is not None:
        caption += " Black bars: the depth put into the simulation, blurred and weighted as the extraction does."
    return Picture("The planet's spectrum", caption, svg_uri(drawn))


def _white_light(mode: ModeReport) -> Picture | None:
    w = mode.white_light
    if w is None:
        return None
    drawn = white_light(w.time_h, w.flux, w.error, w.model, beta=w.beta, expected_ppm=w.expected_ppm)
    caption = (
        "All wavelengths summed, the fitted transit, and what is left. β compares the scatter of averages over that "
        "stretch of time with what independent points would give: 1 is white noise."
    )
    return Picture("White light", caption, svg_uri(drawn))


def _map(mode: ModeReport) -> Picture | None:
    m = mode.light_curve_map
    if m is None:
        return None
    drawn = light_curve_2d(m.time_h, m.wavelength_um, m.flux)
    caption = "Every wavelength against time, each divided by its level out of transit. Horizontal streaks are noise."
    return Picture("All light curves", caption, png_uri(drawn))


def _frames(mode: ModeReport) -> Picture | None:
    f = mode.frames
    if f is None:
        return None
    drawn = raw_frame(
        f.first_group_dn,
        f.last_group_dn,
        f.rate,
        saturated=f.saturated,
        flagged=f.flagged,
        dispersion_axis=f.dispersion_axis,
        rate_unit=f.rate_unit,
    )
    caption = "One integration: what the detector delivered first and last, and the count rate that was made of it."
    return Picture("On the detector", caption, png_uri(drawn))


def _ramps(mode: ModeReport) -> list[Picture]:
    caption = "One pixel, group by group. Its slope is the count rate of this integration."
    return [
        Picture(
            f"Up the ramp: {r.title}",
            caption,
            svg_uri(ramp(r.time_s, r.raw_dn, r.linear_dn, r.slope_dn_per_s, r.usable)),
        )
        for r in mode.ramps
    ]


def _pulls(mode: ModeReport) -> list[Picture]:
    s = mode.spectrum
    if s is None or s.truth is None:
        return []
    use = np.isfinite(s.depth + s.truth + s.covariance.diagonal())
    if not use.any():
        return []
    z = pulls(s.depth[None, use], s.covariance[None][:, use][:, :, use], s.truth[None, use])
    caption = "Differences from the truth in units of the stated error, freed of the correlation between bins."
    return [Picture("Are the errors honest?", caption, svg_uri(pull_histogram(z)))]


def pictures(mode: ModeReport) -> tuple[list[Picture], list[Picture]]:
    """Draw the wide pictures, from the result back to the detector, and the small ones (pulls, ramps)."""
    wide = [p for p in (_spectrum(mode), _white_light(mode), _map(mode), _frames(mode)) if p is not None]
    return wide, _pulls(mode) + _ramps(mode)
