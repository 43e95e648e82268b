"""How fast exposures are rendered: by mode, by effect, and a whole one written to disk.

    python benchmarks/rendering.py modes                 # million samples a second, every default effect on
    python benchmarks/rendering.py effects MODE          # what each effect adds
    python benchmarks/rendering.py write SCENARIO -o DIR # an exposure of the catalogue, with memory and disk

A sample is one pixel of one frame that is clocked, averaged or dropped frames included. Times are of compiled programs,
the best of three; CPU seconds are of all threads.
"""

import argparse
import os
import platform
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

from uptheramp.calibrate.instruments import lookup
from uptheramp.scenarios import cache
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.observation import Observation, observe
from uptheramp.simulate.ramps import chain, level1b, render

SYSTEM = find("quickstart")
SAMPLES = 15e6  # rendered in one measurement


def observation(mode: str) -> Observation:
    """A short exposure of a mode in its default window: 5 groups, the star and planet of the quickstart."""
    return observe(mode, ngroups=5, nints=400, star=SYSTEM.star, planet=SYSTEM.planet)


def measure(o: Observation) -> tuple[float, float]:
    """Seconds an integration: wall and CPU."""
    constants = render.build(o)
    count = max(1, min(o.nints // 4, int(SAMPLES / size(o))))
    _, memory, _ = render.draw_chunk(o, constants, 0, count)
    wall, cpu = [], []
    for turn in range(1, 4):
        start, used = perf_counter(), process_time()
        _, memory, _ = render.draw_chunk(o, constants, turn * count, count, memory)
        wall.append((perf_counter() - start) / count)
        cpu.append((process_time() - used) / count)
    return min(wall), min(cpu)


def size(o: Observation) -> int:
    """Samples of an integration."""
    return o.reads_per_integration * o.shape[0] * o.shape[1]


def modes() -> None:
    print("| mode | window | outputs | million samples / s | CPU ns a sample |\n|---|---|---|---|---|")
    for mode in lookup.modes():
        o = observation(mode.name)
        wall, cpu = measure(o)
        window = f"{o.shape[1]} x {o.shape[0]}"
        rate, each = size(o) / wall / 1e6, 1e9 * cpu / size(o)
        print(f"| {mode.name} | {window} | {o.readout.outputs} | {rate:.1f} | {each:.0f} |", flush=True)


def effects(mode: str) -> None:
    o = observation(mode)
    whole = measure(o)[1]
    print(f"{mode}: {1e9 * whole / size(o):.1f} CPU ns a sample with {', '.join(o.effects)}\n")
    print("| effect | CPU ns a sample that go with it |\n|---|---|")
    for name in (n for n, effect in chain.EFFECTS.items() if effect.exists(o.detector)):
        on = name in o.effects
        toggled = tuple(e for e in chain.EFFECTS if (e in o.effects) != (e == name))
        cost = (measure(replace(o, effects=toggled))[1] - whole) * (-1 if on else 1)
        print(f"| {name}{'' if on else ' (off by default)'} | {1e9 * cost / size(o):.1f} |", flush=True)


def write(scenario: str, out: Path | None) -> None:
    chosen = find(scenario)
    o = observation_of(chosen, chosen.mode[0])
    with tempfile.TemporaryDirectory() as name:
        start, used = perf_counter(), process_time()
        paths = level1b.write(o, out or Path(name), integrations_per_segment=-(-o.nints // 4))
        wall, cpu = perf_counter() - start, process_time() - used
        written = sum(p.stat().st_size for p in paths)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    samples = size(o) * o.nints
    print(f"{scenario} {o.root}: {o.nints} integrations x {o.ngroups} groups x {o.shape[0]} x {o.shape[1]}")
    print(f"effects: {', '.join(o.effects)}")
    print(
        f"{wall:.0f} s wall, {cpu:.0f} s CPU, {samples / wall / 1e6:.1f} million samples / s, "
        f"peak memory {peak:.2f} GiB, {written / 2**30:.2f} GiB written in {len(paths)} segments"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("modes", "effects", "write"))
    parser.add_argument("name", nargs="?", default="niriss_soss")
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    cache.enable()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    if given.what == "modes":
        modes()
    elif given.what == "effects":
        effects(given.name)
    else:
        write(given.name, given.out)


if __name__ == "__main__":
    main()
