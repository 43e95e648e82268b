"""Looking into the store from the shell: what is there, as tables of `rich`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store.rows import Case, Result, StoredSweep
from uptheramp.scenarios.store.store import Store, Wanted
from uptheramp.scenarios.store.summary import newest, summaries
from uptheramp.validate.report_words import number


def sweep_of(store: Store, name: str) -> StoredSweep:
    """A sweep by name.

    Raises
    ------
    InputError
        If the store has none of this name.
    """
    known = {s.name: s for s in store.sweeps()}
    if name not in known:
        raise InputError(f"{store.where}: no sweep {name!r}; there are {', '.join(known) or 'none'}")
    return known[name]


def found(store: Store, wanted: Wanted, sweep: str | None, code: str | None) -> list[Result]:
    """Results for a table: of the newest code of each case, or of the version that `code` begins to name.

    Raises
    ------
    InputError
        If there is no such sweep or version, or nothing at all.
    """
    if sweep is not None:
        wanted = replace(wanted, cases=[m.case for m in sweep_of(store, sweep).members])
    codes = [use.code for use in store.codes()]
    if code is not None:
        named = [c for c in codes if c.source.startswith(code) or c.commit.startswith(code)]
        if not named:
            known = ", ".join(c.commit or c.source for c in codes)
            raise InputError(f"{store.where}: no version of the code named {code}; there are {known or 'none'}")
        wanted = replace(wanted, source=named[-1].source)
    rows = newest(store.results(wanted, arrays=False), codes)
    if not rows:
        raise InputError(f"{store.where}: nothing that fits; leave out a filter, or run a sweep first")
    return rows


def knobs_in_words(knobs: dict[str, Any]) -> str:
    """`jump.rejection_threshold 5, star.k_mag 9`; "as it is" where nothing was turned."""
    return ", ".join(f"{k} {v}" for k, v in knobs.items()) or "as it is"


def table(store: Store, rows: Sequence[Result], metrics: tuple[str, ...], sweep: str | None, *, each: bool) -> Table:
    """The results as a table: means over seeds, or `each` seed by itself."""
    settings = {m.case: knobs_in_words(m.knobs) for s in store.sweeps() if sweep in (None, s.name) for m in s.members}
    columns = ["scenario", "mode", "level", "setting", "code", "metric", "seed" if each else "seeds", "value", "unit"]
    out = Table(*columns, *(["verdict"] if each else []))

    def head(case: Case, code: Code) -> tuple[str, ...]:
        return case.scenario, case.mode, case.level, settings.get(case.id, ""), code.commit or code.source

    if not each:
        for s in summaries(rows, metrics):
            out.add_row(*head(s.case, s.code), s.metric, str(s.seeds), number(s.mean, s.standard_error), s.unit)
        return out
    for r in rows:
        seed = f"{r.seed}{' mirror' if r.mirror else ''}"
        for record in r.records:
            if not metrics or record.name in metrics:
                value = number(record.value, record.standard_error)
                out.add_row(*head(r.case, r.code), record.name, seed, value, record.unit, record.verdict)
    return out
