"""Compiled programs are kept between runs, in the user's cache folder."""

import os
import platform
from pathlib import Path

MAX_BYTES = 2 * 2**30


def enable() -> None:
    """Turn on JAX's persistent compilation cache.

    XLA:CPU programs are machine code, so the folder is named after the processor. Without a threshold of zero JAX keeps
    only programs that took a second to compile, which is almost none of ours.
    """
    import jax

    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "uptheramp"
    folder = root / f"xla-{platform.machine()}-{processor()}"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)


def processor() -> str:
    """The name of the processor in letters, digits and dashes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "cpu"
    return "".join(c if c.isalnum() else "-" for c in name.strip().lower())
