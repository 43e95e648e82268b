"""`uptheramp sweep` without the shell: plan, run, report."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios import sweep_table
from uptheramp.scenarios.dashboard.site import write_sweep
from uptheramp.scenarios.dashboard.view import sweep_view
from uptheramp.scenarios.identity import code
from uptheramp.scenarios.progress import bars
from uptheramp.scenarios.store.store import Store
from uptheramp.scenarios.sweep.drive import drive
from uptheramp.scenarios.sweep.engine import engine as engine_of
from uptheramp.scenarios.sweep.file import find
from uptheramp.scenarios.sweep.plan import plan
from uptheramp.scenarios.work import work


def run_sweep(
    file: str,
    store: str,
    *,
    out: Path | None,
    table: Path | None,
    engine: str,
    workers: int,
    seeds: int | None,
    modes: tuple[str, ...],
) -> int:
    """Run what the store lacks, then write what is asked for: a report into `out`, Markdown into `table`.

    Returns how many tasks failed; their reasons are printed.

    Raises
    ------
    InputError
        For whatever is wrong with the sweep or the store, before anything runs.
    """
    sweep, folder = find(file)
    if seeds is not None:
        if seeds < 1:
            raise InputError(f"--seeds {seeds}: give at least 1")
        sweep = replace(sweep, seeds=seeds, antithetic=min(sweep.antithetic, seeds))
    if modes:
        sweep = replace(sweep, modes=modes)
    laid_out, runner, kept = plan(sweep, folder), engine_of(engine, workers), Store(store)
    console = Console(stderr=True)
    with bars(sweep.name, "tasks") as progress:
        end = drive(laid_out, kept, runner, code().source, work, lambda _, done, total: progress("sweep", done, total))
    for reason in end.failed:
        console.print(f"failed: {reason}", highlight=False, markup=False, soft_wrap=True)
    text = f"{sweep.name}: {end.made} results made, {end.found} were there, {len(end.failed)} tasks failed; {store}"
    console.print(text, highlight=False, soft_wrap=True)
    if out is not None:
        console.print(f"report: {write_sweep(kept, sweep.name, out)}", highlight=False, soft_wrap=True)
    if table is not None:
        sweep_table.write(table, sweep_view(kept, laid_out.stored), f"uptheramp sweep {file} --table {table}")
    return len(end.failed)
