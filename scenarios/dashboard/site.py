"""The whole site: overview, history, a page for each sweep and each case. Opens from disk, without a network."""

from pathlib import Path

from uptheramp.scenarios.dashboard.case_page import case_page
from uptheramp.scenarios.dashboard.check import Checked, check
from uptheramp.scenarios.dashboard.history import HISTORY, history
from uptheramp.scenarios.dashboard.overview import INDEX, base_settings, overview
from uptheramp.scenarios.dashboard.shell import Page, write_page, write_shared
from uptheramp.scenarios.dashboard.sweep_page import file_of, sweep_page
from uptheramp.scenarios.dashboard.view import SweepView, sweep_view
from uptheramp.scenarios.store.store import Store


def write_site(store: Store, out: Path, against: str | None = None) -> Checked:
    """Write all pages; returns what the check of the newest version found."""
    checked = check(store, against)
    views = [sweep_view(store, sweep) for sweep in store.sweeps()]
    links = {"Overview": INDEX, "History": HISTORY} | {v.sweep.name: file_of(v.sweep.name) for v in views}
    pages = [overview(views, checked), history(store, base_settings(views))]
    write_shared(out)
    for page in [*pages, *(sweep_page(v) for v in views), *_cases(views)]:
        write_page(out, page, links)
    return checked


def _cases(views: list[SweepView]) -> list[Page]:
    settings = {s.case.id: s for v in views for of_mode in v.modes.values() for s in of_mode}
    return [case_page(s) for s in settings.values()]


def write_sweep(store: Store, name: str, out: Path) -> Path:
    """Write the report of one sweep, with the pages of its cases."""
    (sweep,) = (s for s in store.sweeps() if s.name == name)
    view = sweep_view(store, sweep)
    page = sweep_page(view)
    links = {name: page.file}
    write_shared(out)
    for case in _cases([view]):
        write_page(out, case, links)
    return write_page(out, page, links)
