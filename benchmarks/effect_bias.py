"""What each effect alone does to the depth of summed light, before any correction.

    python benchmarks/effect_bias.py docs/effect_bias.md

Writes a table: modes across, effects down, ppm of depth. See validate/summed_light.py for the exposure and for what is
summed. Means of the effects are taken: what draws add on average, not their scatter.
"""

import sys
from pathlib import Path

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.atomic import whole
from uptheramp.scenarios import cache
from uptheramp.scenarios.scenario import find
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.ramps.render import build
from uptheramp.validate.summed_light import depth, double, filled, groups, short, straightened, true_depth

FILL = 0.7  # of the well, in the brightest pixel at the last group
SYSTEM = find("quickstart")
MODES = {
    "nirspec_prism": {"subarray": "SUB512S", "ngroups": 5},
    "nircam_f322w2": {"pattern": "BRIGHT2", "ngroups": 5},
    "miri_lrs": {"ngroups": 20},
    "niriss_soss": {"subarray": "SUBSTRIP96", "ngroups": 4},
}
CORRECTED = {"nonlinearity, after the polynomial": False, "the same, with the spread of averaged frames": True}
NOTE = """\
# What each effect alone does to the depth

Made by `python benchmarks/effect_bias.py docs/effect_bias.md`. Depth of the summed light of a noise-free exposure minus
the true one, in ppm, with one effect on at a time and none corrected; for scale, the depth itself. Light is the
difference of the last and the first group, summed over the whole window, of a transit across a uniform star that fills
the brightest pixel to {fill:.0%} of its well. Effects whose mean changes nothing (noise) are left out; a dash is an
effect the detector does not have, or one that leaves the depth as it is to 0.005 ppm.

What dilutes (dark, glow, reset anomaly) acts here through every pixel of the window, spectrum or not; a narrow aperture
sees less of it. `flat` weighs wavelengths differently, which is no error: METRICS.md weighs the truth alike.
`last_frame` and `emi` act through the last group alone, which the reduction drops, and through phases that repeat.

The polynomial of an on-board average is not the average of the polynomials: with two frames a group (NIRCam, BRIGHT2)
that leaves a bias by itself, here of some ppm, and of 26 ppm for three groups filled to 75 % of the well
(`tests/validate/test_summed_light.py`). It goes when the spread of the frames within a group is added, to second order,
as `linearity.frames_within_groups` does (on in the `recommended` table).

"""


def averages(effect: Effect) -> bool:
    """Whether the mean of an effect does anything."""
    return type(effect).mean is not Effect.mean


def column(mode: str) -> dict[str, float]:
    """Bias of every effect of a mode, ppm."""
    keywords = MODES[mode]
    instrument, table = lookup.find_mode(mode)
    chip = lookup.detector(instrument, table.detector)
    named = [e.name for e in chain.EFFECTS.values() if averages(e) and e.exists(chip)]
    found = {}
    for name in ("none", *named):
        o = short(mode, SYSTEM.star, SYSTEM.planet, () if name == "none" else (name,), **keywords)
        plain = double(build(o))
        constants = filled(o, plain, FILL)
        true, data = true_depth(constants), groups(o, constants)
        found.setdefault("depth", 1e6 * true)
        found[name] = 1e6 * (depth(data, constants) - true)
        if name == "nonlinearity":
            for row, within in CORRECTED.items():
                found[row] = 1e6 * (depth(straightened(constants, within_groups=within)(data), constants) - true)
        print(f"{mode} {name}: {found[name]:.3f} ppm", flush=True)
    return found


def cell(value: float | None) -> str:
    """Two decimals, whole numbers where they are large."""
    if value is None or abs(value) < 0.005:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def table(columns: dict[str, dict[str, float]]) -> str:
    """The table of some modes."""
    rows = list(dict.fromkeys(name for c in columns.values() for name in c))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in rows:
        cells = [cell(c.get(name)) for c in columns.values()]
        if set(cells) != {"-"} or name == "none":
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table, mode by mode."""
    cache.enable()
    columns = {}
    for mode in MODES:
        columns[mode] = column(mode)
        with whole(Path(sys.argv[1])) as path:
            path.write_text(NOTE.format(fill=FILL) + table(columns))


if __name__ == "__main__":
    main()
