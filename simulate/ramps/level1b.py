"""Level-1b files of an exposure, rendered and written chunk by chunk, with the truth beside them."""

from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import jax
import numpy as np

from uptheramp.calibrate.io.overlap import ahead
from uptheramp.calibrate.io.uncal import UncalWriter
from uptheramp.simulate import truth
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock, foresight, layers
from uptheramp.simulate.ramps.render import Constants, build, draw_chunk

CHUNK_SAMPLES = 10_000_000  # of the groups rendered at once: bounds memory at a few hundred MB


def write(
    observation: Observation,
    directory: Path,
    *,
    constants: Constants | None = None,
    integrations_per_segment: int | None = None,
    chunk: int | None = None,
    truth_integrations: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `<root>-segNNN_uncal.fits` and `truth/`; return the paths of the segments.

    Warns first where saturation leaves little. `progress(done, nints)` is called after each chunk. The data depend
    neither on the chunk nor on the segments. The ramps of the first `truth_integrations` are kept layer by layer.
    """
    o, directory = observation, Path(directory)
    constants = build(o) if constants is None else constants
    foresight.warn(o, constants)
    bounds = [*range(0, o.nints, integrations_per_segment or o.nints), o.nints]
    times = clock.int_times(o)
    refout = round(o.detector.bias_dn) if o.interleaved else None
    spectra, pointing, hits, large, paths = [], [], [truth.no_cosmic_rays()], [truth.no_cosmic_rays()], []

    def rendered() -> Iterator[tuple[int, np.ndarray]]:
        for first, data, drawn in ahead(chunks(o, constants, chunk or chunk_size(o))):
            spectra.append(drawn["spectra"])
            pointing.append(drawn["pointing"])
            if "cosmic_rays" in drawn:
                hits.append(truth.catalogue(first, drawn["cosmic_rays"]))
            large.extend(truth.catalogue(first, drawn[name]) for name in ("snowballs", "showers") if name in drawn)
            yield first, data
            if progress is not None:
                progress(first + len(data), o.nints)

    for number, pieces in groupby(cut(rendered(), bounds), itemgetter(0)):
        start, stop = bounds[number], bounds[number + 1]
        meta = o.meta.segment_of(number + 1, len(bounds) - 1, start + 1, stop)
        path = directory / f"{o.root}-seg{number + 1:03d}_uncal.fits"
        table = clock.group_table(o, start, stop - start)
        with UncalWriter(path, meta, times[start:stop], table, refout) as file:
            for _, data in pieces:
                file.append(data)
        paths.append(path)
    told = truth.of(o, constants, *map(np.concatenate, (spectra, pointing, hits, large)))
    told.save(directory / "truth")
    if truth_integrations:
        layers.of(o, constants, min(truth_integrations, o.nints), told.cosmic_rays).save(directory / "truth")
    return paths


def chunks(observation: Observation, constants: Constants, size: int) -> Iterator[tuple[int, np.ndarray, dict]]:
    """Yield (first integration, data, truth); every chunk has one shape, and what overruns the exposure is cut off."""
    memory = None
    for first in range(0, observation.nints, size):
        data, memory, drawn = draw_chunk(observation, constants, first, size, memory)
        kept = slice(0, min(size, observation.nints - first))
        yield first, data[kept], jax.tree.map(lambda leaf, kept=kept: leaf[kept], drawn)


def chunk_size(observation: Observation) -> int:
    """Return how many integrations to render at once: as many as the memory bound allows, evenly over the exposure."""
    o = observation
    most = max(1, CHUNK_SAMPLES // (o.ngroups * o.shape[0] * o.shape[1]))
    return -(-o.nints // -(-o.nints // most))


def cut(rendered: Iterator[tuple[int, np.ndarray]], bounds: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number of the segment, its part of a chunk), in order."""
    for first, data in rendered:
        for number, (start, stop) in enumerate(pairwise(bounds)):
            low, high = max(start, first) - first, min(stop, first + len(data)) - first
            if low < high:
                yield number, data[low:high]
