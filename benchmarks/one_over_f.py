"""What each method against 1/f noise leaves at group level, and what it does to a transit.

    python benchmarks/one_over_f.py docs/one_over_f_spectra.md

Writes the tables of a page, and a picture of the spectra beside it. An exposure is drawn twice, with 1/f noise and
without it; the other draws are the same. What the steps before the slope fit leave of the difference of the two is the
1/f noise itself before any correction, and what a method leaves or puts in after it.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.exposure import Exposure, Segment
from uptheramp.calibrate.kernels import aperture
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.pipeline import compiled
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import learned
from uptheramp.scenarios import cache
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.calibration import optical
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock
from uptheramp.simulate.ramps.layers import pixel_flags
from uptheramp.simulate.ramps.render import build, draw_chunk, mean_chunk
from uptheramp.validate.figures.style import new_figure, styled, to_png

NINTS, IN_TRANSIT, CHUNK, SAMPLE = 32, 16.0, 8, 24
CHANNELS = 16  # stretches of the spectrum whose depths are looked at
# a linear and flat detector that no ion hits: nothing else is on the page, and references hold the truth
EFFECTS = ("reference_pixels", "poisson", "superbias", "ktc", "read_noise", "one_over_f", "adc")
MODES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "SOSS, SUBSTRIP96, bright": ("ten-modes", "niriss_soss_substrip96", {}),
    "SOSS, SUBSTRIP96, faint": ("ten-modes", "niriss_soss_substrip96", {"ngroups": 9, "k_mag": 10.2}),
    "PRISM, SUB512": ("quickstart", "nirspec_prism", {}),
    "NIRCam F322W2, SUBGRISM64": ("quickstart", "nircam_f322w2", {}),
}
MEDIAN = "reference pixels, running median"
REFPIX = {
    "nothing": {"refpix.skip": "true"},
    MEDIAN: {"refpix.side_estimator": "median"},
    "reference pixels, kriging": {},
}
METHODS: dict[str, dict[str, str]] = {  # after the last of the above
    "clean_flicker_noise, median": {},
    "clean_flicker_noise, median_image": {"clean_flicker_noise.background_method": "median_image"},
    "one_over_f, background": {"one_over_f.method": "background"},
    "one_over_f, template": {"one_over_f.method": "template"},
    "one_over_f, joint": {"one_over_f.method": "joint"},
    "one_over_f, joint, kriging = false": {"one_over_f.method": "joint", "one_over_f.kriging": "false"},
}
HEAD = ("dq_init", "superbias", "refpix")
ON = {"clean_flicker_noise.skip": "false", "one_over_f.skip": "false"}
PAGE, END = "<!-- tables -->\n", "<!-- end -->\n"

Groups = Float[np.ndarray, "integration group y x"]


@dataclass(frozen=True)
class Setting:
    """An exposure with and without its 1/f noise, and its noise-free twin, raw."""

    observation: Observation
    exposure: Exposure
    library: dict[str, Any]
    seen: np.ndarray  # pixels that see light
    raw: dict[str, np.ndarray]  # noisy, quiet, mean


@dataclass(frozen=True)
class Left:
    """What a method leaves: levels of lines (e-); scatter, bias and worst channel's bias of summed light (ppm).

    Of all that the aperture holds, and after a level of each dispersion element was taken out, as Stage 2 does.
    """

    levels: Float[np.ndarray, "image line output"]
    scatter: float
    bias: float
    worst: float
    scatter_levelled: float
    bias_levelled: float
    worst_levelled: float


def observed(scenario: str, label: str, changes: dict[str, Any]) -> Observation:
    """The observation, with few effects."""
    found = find(scenario)
    block = next(b for b in found.mode if b.label == label)
    o = observation_of(found, replace(block, nints=NINTS, integrations_in_transit=IN_TRANSIT, **changes))
    return replace(o, effects=EFFECTS)


def setting(o: Observation) -> Setting:
    """Draw it all."""
    constants = build(o)
    silent = eqx.tree_at(lambda c: c.own["one_over_f"].amplitude_e, constants, replace_fn=np.zeros_like)
    noisy, quiet = (draw_chunk(o, c, 0, NINTS)[0] for c in (constants, silent))
    mean = np.asarray(mean_chunk(o, constants, 0, NINTS)[0])
    instrument, mode, subarray = lookup.match(o.meta)
    segment = Segment(Path("memory_uncal.fits"), o.meta, "uncal", clock.int_times(o))
    exposure = Exposure((segment,), instrument, mode, subarray)
    maps = constants.maps
    library = {
        "mask": Mask(pixel_flags(constants)),
        "superbias": Superbias(np.asarray(maps.bias_dn, np.float32), np.zeros(o.shape, np.uint32)),
        "gain": Gain(np.asarray(maps.gain, np.float32), np.float32(1)),
        "readnoise": ReadNoise(np.asarray(maps.read_noise_e / maps.gain * 2**0.5, np.float32)),
        "extract1d": optical.extract1d(o),
    }
    raw = {"noisy": noisy, "quiet": quiet, "mean": mean}
    return Setting(o, exposure, library, np.asarray(maps.light) > 0, raw)


def chosen(s: Setting, overrides: Mapping[str, str]) -> Recipe:
    """The recipe with everything against 1/f noise in it."""
    family, kind = s.exposure.instrument.step_family, s.exposure.meta.exp_type
    return recipe("recommended", family, kind, {**ON, **overrides}, stages=(1,))


def applied(s: Setting, steps: tuple[Step, ...], how: Recipe, states: dict[str, list[Ramps]]) -> dict[str, list[Ramps]]:
    """The steps on exposures by chunks; what is learned is learned on the noisy one."""
    picks = np.linspace(0, NINTS - 1, SAMPLE).round().astype(int)
    chunk = [states["noisy"][i // CHUNK] for i in picks]
    parts = {
        name: np.stack([np.asarray(getattr(c, name))[i % CHUNK] for c, i in zip(chunk, picks, strict=True)])
        for name in ("data", "groupdq", "integration", "start_s")
    }
    library = learned(steps, replace(chunk[0], **parts), s.library, how.params)
    return {
        name: [compiled(steps, part, library, dict(how.params))[0] for part in parts] for name, parts in states.items()
    }


def headed(s: Setting, how: Recipe) -> dict[str, list[Ramps]]:
    """The steps that every method follows on, from the raw exposures."""
    steps = tuple(step for step in how.stage1 if step.name in HEAD)
    return applied(s, steps, how, {name: list(chunks(s.exposure, data)) for name, data in s.raw.items()})


def chunks(exposure: Exposure, data: np.ndarray) -> Iterator[Ramps]:
    """States of some integrations at a time."""
    for first in range(0, NINTS, CHUNK):
        number = np.arange(first, first + CHUNK)
        yield exposure.ramps(data[number], number, np.ones(CHUNK, bool))


def joined(parts: list[Ramps]) -> Groups:
    """Groups of all chunks, DN."""
    return np.concatenate([np.asarray(part.data) for part in parts])


def levels(s: Setting, left: Groups) -> Float[np.ndarray, "image line output"]:
    """Mean of each line and output of the later groups less the first, e-; lines that see no light are left out."""
    r = s.observation.readout
    images = np.where(s.seen, (left[:, 1:] - left[:, :1]) * np.asarray(s.library["gain"].data, float), np.nan)
    images = images.reshape(-1, *images.shape[2:])
    images = images.swapaxes(-1, -2) if abs(r.fast_axis) == 2 else images
    images = images[:, np.isfinite(images[0]).any(-1)]
    outputs = r.outputs if r.reference_correction == "amplifiers" else 1
    return np.nanmean(images.reshape(*images.shape[:2], outputs, -1), -1)


def spectrum(o: Observation, level: Float[np.ndarray, "image line output"]) -> tuple[np.ndarray, np.ndarray]:
    """Frequency (Hz) and one-sided power (e-^2/Hz) of the levels within a frame."""
    pixels = o.shape[0] if abs(o.readout.fast_axis) == 2 else o.shape[1]
    line_s = (pixels / o.readout.outputs + o.subarray.row_overhead_clocks) * CLOCK_S
    window = np.hanning(level.shape[1])[:, None]
    power = np.abs(np.fft.rfft((level - level.mean(1, keepdims=True)) * window, axis=1)) ** 2
    power = power.mean((0, 2)) * 2 * line_s / (window**2).sum()
    return np.fft.rfftfreq(level.shape[1], line_s)[1:], power[1:]


def slopes(s: Setting, how: Recipe, states: dict[str, list[Ramps]]) -> dict[str, Float[np.ndarray, "integration y x"]]:
    """Slopes by the fit of the recipe, DN/s: in it lit and dark pixels weigh the groups of a ramp differently."""
    fit = tuple(step for step in how.stage1 if step.name == "ramp_fit")
    return {name: joined(parts) for name, parts in applied(s, fit, how, states).items()}


def light(
    image: Float[np.ndarray, "integration y x"], e: Extract1d, profile: Float[np.ndarray, "y x"] | None = None
) -> Float[np.ndarray, "integration element"]:
    """Slopes summed in the aperture, by dispersion element.

    With a `profile` (the mean image) a level of each element is taken out: that of the background windows, or, where
    there are none (SOSS), that of least squares beside the profile.
    """
    axis = aperture.across_axis(e.dispersion_axis)
    shape = image.shape[-2:]
    image = np.nan_to_num(np.asarray(image, float))
    share = np.asarray(aperture.coverage(e.lower, e.upper, shape, axis))
    if profile is None:
        return (image * share).sum(axis)
    if len(e.background):
        beside = sum(np.asarray(aperture.coverage(*pair, shape, axis)) for pair in e.background)
        level = (image * beside).sum(axis, keepdims=True) / beside.sum(axis, keepdims=True)
    else:
        seen = profile > 0
        mean, middle = (
            np.sum(x * seen, axis, keepdims=True) / np.maximum(seen.sum(axis, keepdims=True), 1)
            for x in (image, profile)
        )
        away = np.where(seen, profile - middle, 0)
        scale = (image * away).sum(axis, keepdims=True) / np.maximum((away**2).sum(axis, keepdims=True), 1e-30)
        level = mean - scale * middle
    return ((image - level) * share).sum(axis)


def by_channel(by_element: Float[np.ndarray, "integration element"]) -> Float[np.ndarray, "integration channel"]:
    """Light of stretches of the spectrum, after that of all of it."""
    stretches = [x.sum(1) for x in np.array_split(by_element, CHANNELS, axis=1)]
    return np.stack([by_element.sum(1), *stretches], 1)


def depths(channels: Float[np.ndarray, "integration channel"]) -> Float[np.ndarray, " channel"]:
    """Depth in ppm: middle quarter of the exposure against its first and last sixth."""
    inside, outside = slice(3 * NINTS // 8, 5 * NINTS // 8), np.r_[: NINTS // 6, NINTS - NINTS // 6 : NINTS]
    return 1e6 * (1 - channels[inside].mean(0) / channels[outside].mean(0))


def judged(s: Setting, how: Recipe, last: dict[str, list[Ramps]], states: dict[str, list[Ramps]]) -> Left:
    """Judge a method; `last` are the exposures before it: without 1/f noise, and the mean."""
    e, rates = s.library["extract1d"], slopes(s, how, {k: states[k] for k in ("noisy", "mean")})
    before = slopes(s, how, {k: last[k] for k in ("noisy", "quiet", "mean")})
    profile = np.nan_to_num(before["mean"]).mean(0) * s.seen
    found = []
    for beside in (None, profile):
        truth = by_channel(light(before["mean"], e, beside))
        left = light(rates["noisy"], e, beside) - light(before["quiet"], e, beside)
        scatter = 1e6 * left.sum(1).std() / truth[:, 0].mean()
        lit = truth[0] > 0.01 * truth[0, 0]
        bias = (depths(by_channel(light(rates["mean"], e, beside))) - depths(truth))[lit]
        found += [scatter, float(bias[0]), np.abs(bias[1:]).max()]
    return Left(levels(s, joined(states["noisy"]) - joined(last["quiet"])), *found)


def compared(s: Setting) -> dict[str, Left]:
    """Every method on one exposure."""
    heads = {}
    for name, overrides in REFPIX.items():
        if name == MEDIAN and s.observation.readout.outputs == 1:
            continue  # one output takes one level from all its reference pixels
        heads[name] = headed(s, chosen(s, overrides))
    last = heads["reference pixels, kriging"]
    found = {name: judged(s, chosen(s, {}), last, states) for name, states in heads.items()}
    for name, overrides in METHODS.items():
        how = chosen(s, overrides)
        steps = tuple(step for step in how.stage1 if step.name == name.split(",")[0])
        after = applied(s, steps, how, {kind: last[kind] for kind in ("noisy", "mean")})
        found[name] = judged(s, how, last, after)
        print(name, {k: round(float(v), 3) for k, v in vars(found[name]).items() if k != "levels"}, flush=True)
    return found


def table(found: dict[str, Left]) -> str:
    """The table of one mode."""
    lines = [
        "| | level of a line, e- rms | summed light, ppm rms | bias of the depth, ppm | worst of the channels "
        "| levels taken out: ppm rms | bias | worst |",
        "|---" * 8 + "|",
    ]
    for name, x in found.items():
        cells = [f"{x.levels.std():.2f}", f"{x.scatter:.0f}", f"{x.bias:+.2f}", f"{x.worst:.2f}"]
        cells += [f"{x.scatter_levelled:.0f}", f"{x.bias_levelled:+.2f}", f"{x.worst_levelled:.2f}"]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines) + "\n"


COLOURS = {
    "nothing": "#1A1A1A",
    "reference pixels, kriging": "#8A8F98",
    "clean_flicker_noise, median": "#D55E00",
    "one_over_f, background": "#009E73",
    "one_over_f, template": "#CC79A7",
    "one_over_f, joint": "#0072B2",
}


@styled
def picture(by_mode: dict[str, tuple[Observation, dict[str, Left]]]) -> Figure:
    """Spectra of the levels of lines, a panel for each mode."""
    figure = new_figure(5.2 * len(by_mode), 4.6)
    axes = np.atleast_1d(figure.subplots(1, len(by_mode)))
    for panel, (mode, (o, found)) in zip(axes, by_mode.items(), strict=True):
        for name, colour in COLOURS.items():
            frequency, power = spectrum(o, found[name].levels)
            edges = np.unique(np.geomspace(1, len(power), 24).astype(int))
            means = [(frequency[a:b].mean(), power[a:b].mean()) for a, b in zip(edges, edges[1:], strict=False)]
            panel.loglog(*np.transpose(means), color=colour, lw=2, label=name)
        panel.set(title=mode, xlabel="frequency, Hz")
    axes[0].set_ylabel("power of the level of a line, e-²/Hz")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def main() -> None:
    """Write page and picture, mode by mode."""
    cache.enable()
    page = Path(sys.argv[1])
    text = page.read_text() if page.exists() else PAGE + END
    before, after = text[: text.index(PAGE)], text[text.index(END) :]
    by_mode, tables = {}, ""
    for mode, asked in MODES.items():
        s = setting(observed(*asked))
        by_mode[mode] = s.observation, compared(s)
        tables += f"### {mode}\n{table(by_mode[mode][1])}\n"
        with whole(page) as path:
            path.write_text(before + PAGE + tables + after)
        with whole(page.with_suffix(".png")) as path:
            path.write_bytes(to_png(picture(by_mode), 80))


if __name__ == "__main__":
    main()
