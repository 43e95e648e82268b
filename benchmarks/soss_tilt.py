"""How tilted images of SOSS move the depths, where the extraction takes wavelength for a function of the column.

    python benchmarks/soss_tilt.py OUT.json

The monochromatic images of all orders are turned by one angle about the trace: a pixel d rows above it sees the light
of d tan(tilt) columns away, with the line spread integrated over just that place (Chebyshev polynomials in the shift,
to 1e-7). Profiles, traces, wavelengths and throughputs are right, and know of no tilt. The judge is that of
`soss_profiles.py`: depths of noise-free images of WASP-39 b, sky included, less those that upright images have, in
R = 100 channels; the same for a planet whose depth jumps by 10 000 ppm from order to order. Flux out of transit is
judged likewise, relative to that of the order alone in upright images, extracted in the same way.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from soss_profiles import APART, FULL, METHODS, OBSERVATION, Images, judged, with_profiles, wrong_models, wrong_profiles

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.io.atomic import whole
from uptheramp.simulate.optics import spectrograph, trace
from uptheramp.simulate.optics.background import image as sky_image
from uptheramp.simulate.optics.expansion import expand
from uptheramp.simulate.scene.planet import on_grid
from uptheramp.simulate.scene.star import photon_rate

NARROW = {name: METHODS[name] for name in ("optimal", "box")}
WASP, APART_BY_ORDER = "WASP-39 b", "orders 10000 ppm apart"
# a planet that differs from order to order is no light of one spectrum, which the full model takes it for
CASES = [(NARROW, tilt_deg, (WASP, APART_BY_ORDER)) for tilt_deg in (-0.1, -0.3, -1.0)] + [(FULL, -0.3, (WASP,))]
Part = Callable[[np.ndarray], np.ndarray]  # of the light, by wavelength


def tilted(order: Order, tilt_deg: float, parts: tuple[Part, ...]) -> np.ndarray:
    """Images of an order for each part of its light, lines turned by `tilt_deg`: (part, y, x), e-/s."""
    height, width = OBSERVATION.shape
    lean = np.tan(np.radians(tilt_deg)) * (
        np.arange(height)[:, None] - np.interp(np.arange(width), order.trace_px.x, order.trace_px.y)
    )
    reach = float(np.abs(lean).max())
    fine = spectrograph.grid(order, width, reach)
    moved = expand(lambda shift: np.asarray(spectrograph.response(order, fine, width, shift).bands), (reach,))
    weights = np.asarray(moved.weights(lean))
    photons = photon_rate(OBSERVATION.star, fine.wavelength_um)
    share = trace.profile(order, OBSERVATION.shape, 1)
    images = []
    for part in parts:
        elements = [
            spectrograph.Response(bands, spectrograph.SAMPLES_PER_PIXEL)(photons * part(fine.wavelength_um))
            for bands in np.asarray(moved.coefficients)
        ]
        images.append(share * np.einsum("yxt,tx->yx", weights, np.asarray(elements)))
    return np.stack(images)


def planets() -> dict[str, Callable[[Order], Part]]:
    """What of an order's light each planet hides."""

    def of_wasp_39(order: Order) -> Part:
        del order
        return lambda lam: on_grid(OBSERVATION.planet.radius_ratio, lam) ** 2

    def by_order(order: Order) -> Part:
        return lambda lam: np.full_like(lam, 0.02 + APART * (order.number - 1))

    return {WASP: of_wasp_39, APART_BY_ORDER: by_order}


def light(tilt_deg: float) -> np.ndarray:
    """Images by order: all the light, and what each planet leaves of it: (order, part, y, x)."""

    def left(hidden: Part) -> Part:
        return lambda lam: 1 - hidden(lam)

    def parts(order: Order) -> tuple[Part, ...]:
        return (np.ones_like, *(left(hides(order)) for hides in planets().values()))

    return np.stack([tilted(order, tilt_deg, parts(order)) for order in OBSERVATION.mode.orders])


def main(out: Path) -> None:
    """Write the table."""
    sky = np.asarray(sky_image(OBSERVATION.mode, OBSERVATION.shape, OBSERVATION.background_scale), float)
    upright = light(0.0)
    columns = upright.sum(2)
    by_column = next(with_profiles(iter([next(wrong_profiles())])))[1]
    by_spectrum = next(wrong_models())[1]
    rows = []
    for methods, tilt, judges in CASES:
        images, about = light(tilt), f"images tilted by {tilt} deg"
        refs = by_spectrum if methods is FULL else by_column
        for k, planet in [(k, name) for k, name in enumerate(planets(), 1) if name in judges]:
            depth = 1 - columns[:, k] / np.where(columns[:, 0] > 0, columns[:, 0], np.inf)
            star = Images(images[:, 0], images[:, k], np.where(columns[:, 0] > 0, depth, 0), sky, upright[:, 0])
            rows += judged(planet, iter([(about, refs)]), methods, star)
    with whole(out) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
