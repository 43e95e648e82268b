"""The site in a browser: it opens from disk, draws, asks for nothing outside, and its links lead somewhere."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from uptheramp.scenarios import sweep_table
from uptheramp.scenarios.dashboard.site import write_site, write_sweep
from uptheramp.scenarios.dashboard.view import sweep_view
from uptheramp.scenarios.store.rows import Member, StoredSweep
from uptheramp.scenarios.store.store import Store
from uptheramp.validate import metrics_file


@pytest.fixture(scope="module")
def site(synthetic, tmp_path_factory):
    """A site over three versions of the code, two sweeps; a mode's name is as unfriendly as TOML allows."""
    folder = tmp_path_factory.mktemp("site")
    store = Store(folder / "store.sqlite")
    modes = ("prism", "</script><b>&\"'")
    for serial, planted in enumerate((synthetic.Planted(),) * 2 + (synthetic.Planted(bias_ppm=25),)):
        synthetic.fill(store, serial, planted, seeds=range(1, 9), modes=modes)
    cases = [synthetic.case(m) for m in modes]
    members = tuple(Member(c.id, c.mode, 0, {}) for c in cases)
    store.keep_sweep(StoredSweep("recovery", "How well?", {"level": "spectrum"}, members), cases)
    synthetic.with_settings(store, 2, seeds=range(1, 9), modes=("prism",))
    write_site(store, folder / "site")
    return folder / "site", store


DRAWN = """[...document.querySelectorAll('div.plot')].filter(
    place => place.querySelector('.main-svg path.js-line, .main-svg path.point')).length"""


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src") and not value.startswith("data:")]


def links(page):
    parser = Links()
    parser.feed(page.read_text())
    return parser.found


def test_every_link_leads_to_a_file_beside_and_every_page_is_reached(site):
    folder, _ = site
    seen, todo = set(), {"index.html"}
    while todo:
        name = todo.pop()
        seen.add(name)
        for link in links(folder / name):
            assert (folder / link).is_file(), f"{name} -> {link}"
            if link.endswith(".html") and link not in seen:
                todo.add(link)
    assert seen == {p.name for p in folder.glob("*.html")}
    assert len(seen) == 4 + 4  # overview, history, two sweeps; four cases, one of them in both


def test_one_script_for_all_pages(site):
    folder, _ = site
    assert [p.name for p in folder.glob("*.js")] == ["site.js"]
    for page in folder.glob("*.html"):
        assert re.findall(r"<script src=\"([^\"]*)\"", page.read_text()) == ["site.js"]
        assert page.stat().st_size < 200_000


def test_what_got_worse_is_on_the_first_page(site):
    text = (site[0] / "index.html").read_text()
    assert "Worse than before" in text
    assert "mean_bias: worse by 25" in text


def test_a_sweep_has_a_report_of_its_own(site, tmp_path):
    page = write_sweep(site[1], "threshold", tmp_path)
    assert page.name == "sweep-threshold.html"
    text = page.read_text()
    assert "worse" in text
    assert "no preference" in text
    for link in links(page):
        assert (tmp_path / link).is_file()


def test_a_sweep_as_markdown(site, tmp_path):
    store = site[1]
    sweep = next(s for s in store.sweeps() if s.name == "threshold")
    sweep_table.write(tmp_path / "threshold.md", sweep_view(store, sweep), "uptheramp sweep threshold")
    text = (tmp_path / "threshold.md").read_text()
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| jump.rejection_threshold")}
    assert widths == {9}
    assert "### prism, jump.rejection_threshold 5.0:" in text
    assert {m.mode for m in metrics_file.read(tmp_path / "threshold.json")} == {
        f"prism, jump.rejection_threshold {value}" for value in (3.0, 4.0, 5.0)
    }


def test_a_case_in_which_every_bin_fails_once_is_shown_and_not_judged(synthetic, tmp_path):
    store, of = Store(tmp_path / "store.sqlite"), synthetic.case()
    rows = [synthetic.result(of, seed, synthetic.version(0)) for seed in (1, 2, 3)]
    for number, row in enumerate(rows):
        row.arrays["depth"] = np.where(np.arange(len(synthetic.WAVELENGTH)) % 3 == number, np.nan, row.arrays["depth"])
    store.add(rows)
    store.keep_sweep(synthetic.sweep_of([(of, 4.0)]), [of])
    (sweep,) = store.sweeps()
    sweep_table.write(tmp_path / "lost.md", sweep_view(store, sweep), "uptheramp sweep lost")
    assert "nothing to judge, no bin has a depth in each of 3 seeds" in (tmp_path / "lost.md").read_text()
    assert not (tmp_path / "lost.json").exists()


def test_in_a_browser(site, chromium, tmp_path):
    folder, _ = site
    pages = sorted(folder.glob("*.html"))
    with chromium.Browser(chromium.find(), tmp_path / "profile") as window:
        for width in (1200, 390):
            for path in pages:
                page = window.open(path.as_uri(), width=width)
                page.screenshot(tmp_path / f"{path.stem}-{width}.png")
                assert page.complaints() == [], path.name
                outside = [r for r in page.requests() if not r.startswith(("file://", "data:"))]
                assert outside == [], path.name
                places = page.evaluate("document.querySelectorAll('div.plot').length")
                assert page.evaluate(DRAWN) == places, path.name
                assert places > 0 or path.name == "index.html"
                across = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert across <= 0, f"{path.name} scrolls sideways at {width}"
