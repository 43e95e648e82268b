"""Stopped and started again: the products are those of an undisturbed run, and what was finished is not done twice."""

import multiprocessing
import re
import shutil
from contextlib import suppress
from signal import SIGKILL
from time import sleep

import numpy as np
import pytest

from uptheramp.calibrate import reduce, sink
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.scenarios.real import calibrate_files

KILLS = 10
# what takes long to compile is left out
LIGHT = {f"{step}.skip": "true" for step in ("saturation", "refpix", "jump")}
CHUNK_MB = 0.35  # two integrations at a time
# and the hash of the headers, dates included, that the official models keep
DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?|_fits_hash: [0-9a-f]{64}")


@pytest.fixture
def exposure(two_segments):
    return two_segments[1:]


@pytest.fixture
def in_small_steps(monkeypatch):
    """Small chunks, and a checkpoint after each."""
    small_steps(monkeypatch.setattr)


def small_steps(put):
    put(reduce, "CHUNK_MB", CHUNK_MB)
    put(sink, "CHECKPOINT_S", 0.0)


def calibrate(exposure, out, progress=reduce.quiet, **overrides):
    files, refs = exposure
    given = LIGHT | {key.replace("__", "."): value for key, value in overrides.items()}
    return calibrate_files(files, out, refs, (1, 2, 3), "recommended", None, given, progress)


def contents(folder):
    """Bytes of every product, with all dates made one."""
    return {path.name: DATE.sub(b"", path.read_bytes()) for path in folder.glob("[!.]*")}


def in_a_process(exposure, out, cache, reports):
    import jax

    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    small_steps(setattr)
    calibrate(exposure, out, lambda *report: reports.send(report))


def test_killed_at_random_moments_it_ends_with_the_files_of_an_undisturbed_run(exposure, tmp_path):
    # a dozen processes, some seconds each: nothing else can be killed
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["uptheramp.scenarios.real", __name__])
    rng = np.random.default_rng(7)

    def run(out, reports=1000, later_s=0.0):
        """Kill it some time after so many reports of progress; returns the reports before."""
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=in_a_process, args=(exposure, out, str(tmp_path / "cache"), there))
        process.start()
        there.close()
        heard = []
        with suppress(EOFError):
            heard += [here.recv() for _ in range(reports)]
            sleep(later_s)
        process.kill() if len(heard) == reports else process.join()
        process.join()
        return process.exitcode, heard

    assert run(tmp_path / "undisturbed")[0] == 0
    killed, starts = 0, set()
    while killed < KILLS:
        code, heard = run(tmp_path / "killed", rng.integers(1, 9), rng.uniform(0, 0.05))
        assert code in (0, -SIGKILL), f"it failed by itself with {code}"
        starts.add(heard[0] if heard else None)
        killed += code == -SIGKILL
        if code == 0:  # it came to the end before
            assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
            shutil.rmtree(tmp_path / "killed")
    assert len(starts) > 2  # they went on from different places
    assert run(tmp_path / "killed")[0] == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert sorted(p.name for p in (tmp_path / "killed").glob(".*")) == [".finished.json"]


class Stopped(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("where", [("stage 1", 8), ("stage 2", 40), ("stage 3", 40)])
def test_it_goes_on_where_it_was_stopped(exposure, tmp_path, in_small_steps, where):
    def stop(stage, done, total):
        if (stage, done) >= where:
            raise Stopped

    seen = []
    calibrate(exposure, tmp_path / "whole")
    with pytest.raises(Stopped):
        calibrate(exposure, tmp_path / "stopped", stop)
    calibrate(exposure, tmp_path / "stopped", lambda *report: seen.append(report))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    reported = [done for stage, done, _ in seen if stage == "stage 1"]
    assert reported[0] >= (8 if where[0] == "stage 1" else 40)


def done_again(exposure, out, **changes):
    """Which products a second run writes anew."""
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.fits")}
    calibrate(exposure, out, **changes)
    return {
        path.name.split("_")[-1][:-5] for path in out.glob("*.fits") if before[path.name] != path.stat().st_mtime_ns
    }


def test_finished_products_are_left_alone_until_something_they_depend_on_changes(exposure, tmp_path):
    files, refs = exposure
    mine = tmp_path / "references"
    shutil.copytree(refs, mine)
    given = files, mine
    out = tmp_path / "out"
    calibrate(given, out)
    assert done_again(given, out) == set()
    assert done_again(given, out, bkg_subtract__sigma="3.5") == {"calints", "crfints", "x1dints"}
    assert done_again(given, out, bkg_subtract__sigma="3.5", linearity__skip="true") == {
        *("rateints", "rate", "calints", "crfints", "x1dints")
    }
    assert done_again(given, out, bkg_subtract__sigma="3.5", linearity__skip="true") == set()
    # another gain
    (path,) = mine.glob("*_gain.fits")
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data *= 1.01
    assert "rateints" in done_again(given, out, bkg_subtract__sigma="3.5", linearity__skip="true")
    # a product that someone has edited
    with fits.open(out / "nirspec_prism_calints.fits", mode="update") as hdus:
        hdus["SCI"].data[0] = 0
    again = done_again(given, out, bkg_subtract__sigma="3.5", linearity__skip="true")
    assert again == {"calints", "crfints", "x1dints"}
    assert np.asarray(open_exposure([out / "nirspec_prism_calints.fits"]).rates(0, 1).data).any()
