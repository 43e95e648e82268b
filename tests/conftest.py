"""Fixtures that every room's tests use."""

import os
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import DAY_S, GROUP, INT_TIMES
from uptheramp.calibrate.io.uncal import UncalWriter

os.environ.setdefault("GLIBC_TUNABLES", "")  # the command line, called from a test, is not to start anew
# Nearly all of the suite's time is compilation, and a program of a test runs once on few pixels: this halves it.
# `XLA_FLAGS= pytest` compiles as the command line does.
HASTE = (
    *("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false"),
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("XLA_FLAGS", " ".join(HASTE))
jax.config.update("jax_enable_x64", True)
# programs compiled by one test process serve the others
jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "uptheramp-tests-xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Drop compiled programs after each file: Linux allows a process 65530 mappings, and each program takes several."""
    yield
    jax.clear_caches()


SHARED = Path(__file__).parents[1] / ".." / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ beside the repository is absent")
    return SHARED.resolve()


def prism(nints=7, ngroups=3, **changes):
    values = {
        "instrument": "NIRSPEC",
        "detector": "NRS1",
        "exp_type": "NRS_BRIGHTOBJ",
        "subarray": "SUB512",
        "x_start": 1025,
        "y_start": 959,
        "x_size": 512,
        "y_size": 32,
        "fast_axis": 2,
        "slow_axis": 1,
        "pattern": "NRSRAPID",
        "nints": nints,
        "ngroups": ngroups,
        "nframes": 1,
        "groupgap": 0,
        "frame_divisor": 1,
        "outputs": 1,
        "frame_time_s": 0.22616,
        "group_time_s": 0.22616,
        "start_mjd": 59770.0,
        "filter": "CLEAR",
        "grating": "PRISM",
    }
    return ExposureMeta(**{**values, **changes})


def times_of(meta):
    table = np.zeros(meta.integration_end - meta.integration_start + 1, INT_TIMES)
    number = np.arange(meta.integration_start, meta.integration_end + 1)
    start = meta.start_mjd + (number - 1) * (meta.ngroups + 1) * meta.frame_time_s / DAY_S
    length = meta.ngroups * meta.frame_time_s / DAY_S
    table["integration_number"] = number
    for scale, shift in (("MJD_UTC", 0.0), ("BJD_TDB", 0.004)):
        for when, part in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
            table[f"int_{when}_{scale}"] = start + shift + part * length
    return table


@pytest.fixture(name="prism")
def prism_fixture():
    return prism


@pytest.fixture(name="times_of")
def times_of_fixture():
    return times_of


@pytest.fixture
def write_uncal(tmp_path):
    """Write (segments of) a tiny exposure whose samples are known; returns paths and samples."""

    def write(meta=None, cuts=(), name="toy"):
        meta = meta or prism()
        rng = np.random.default_rng(3)
        data = rng.integers(0, 65536, (meta.nints, meta.ngroups, *meta.shape), dtype=np.uint16)
        edges = [0, *cuts, meta.nints]
        paths = []
        for n, (low, high) in enumerate(zip(edges, edges[1:], strict=False), start=1):
            part = meta.segment_of(n, len(edges) - 1, low + 1, high)
            path = tmp_path / f"{name}-seg{n:03d}_uncal.fits"
            groups = np.zeros((high - low) * meta.ngroups, GROUP)
            with UncalWriter(path, part, times_of(part), groups) as file:
                for i in range(low, high, 2):
                    file.append(data[i : min(i + 2, high)])
            paths.append(path)
        return paths, data

    return write
